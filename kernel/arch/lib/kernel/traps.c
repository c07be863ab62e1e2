// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel prints about itself when something is wrong. */
#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <asm/lib.h>
#include <asm/sections.h>

/* Offsets into the text: the host has the symbols. */
#define LIB_TRACE_ENTRIES 24

void show_regs(struct pt_regs *regs)
{
	printk(KERN_DEFAULT "ip: text+0x%lx\n",
	       regs->ip - (unsigned long)_stext);
}

/* Words on the stack that look like return addresses. */
void show_stack(struct task_struct *task, unsigned long *sp, const char *level)
{
	u64 trace[LIB_TRACE_ENTRIES];
	unsigned int entries, at;
	unsigned long local;

	if (!task)
		task = current;
	if (!sp)
		sp = task == current ? &local :
				       (unsigned long *)task->thread.sp;
	entries = lib_trace(task, sp, trace, LIB_TRACE_ENTRIES);
	printk("%sCall trace:\n", level);
	for (at = 0; at < entries; at++)
		printk("%s ? text+0x%llx\n", level, trace[at] - (u64)_stext);
}
