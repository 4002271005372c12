/* SPDX-License-Identifier: GPL-2.0 */
/* Copies of the sources that a reproducer is made of. */
.macro source name, file
	.globl \name
\name:
	.incbin "\file"
	.byte 0
.endm

	.section .rodata
	source rtnl_text, "../../selftests/rtnl.h"
	source steps_h_text, "steps.h"
	source steps_text, "steps.c"
	source calls_text, "calls.c"
	.section .note.GNU-stack, "", @progbits
