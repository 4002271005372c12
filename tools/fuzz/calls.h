/* SPDX-License-Identifier: GPL-2.0 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

/* One function for each line of calls.def. */
#define CALL(name, weight, args) long do_##name(const long *a);
#include "calls.def"
#undef CALL

#endif /* FUZZ_CALLS_H */
