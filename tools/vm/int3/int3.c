// SPDX-License-Identifier: GPL-2.0
/*
 * For emulated machines only: when a breakpoint is met that is not there any more,
 * run what it stood on.
 *
 * The kernel changes its own code (static keys) under a breakpoint, and forgets it
 * when an interrupt has reached every processor. QEMU's emulation with several
 * threads can run a translation that has the breakpoint even later, and the kernel
 * dies of one that nobody has set. Loaded before the second processor starts.
 *
 * Where there is a breakpoint, it may have been set again since the kernel looked
 * whose it is: it is asked again, not for ever.
 */
#include <linux/atomic.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <asm/text-patching.h>

#define ASK_AGAIN	1000

static atomic_t asked;

static int int3_late(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	unsigned long at = regs->ip - INT3_INSN_SIZE;

	if (event != DIE_INT3 || user_mode(regs))
		return NOTIFY_DONE;
	if (READ_ONCE(*(u8 *)at) != INT3_INSN_OPCODE)
		atomic_set(&asked, 0);
	else if (atomic_inc_return(&asked) > ASK_AGAIN)
		return NOTIFY_DONE;
	regs->ip = at;
	return NOTIFY_STOP;
}

static struct notifier_block int3_block = {
	.notifier_call = int3_late,
};

static int __init int3_init(void)
{
	return register_die_notifier(&int3_block);
}

static void __exit int3_exit(void)
{
	unregister_die_notifier(&int3_block);
}

module_init(int3_init);
module_exit(int3_exit);
MODULE_DESCRIPTION("Late breakpoints under emulation");
MODULE_LICENSE("GPL");
