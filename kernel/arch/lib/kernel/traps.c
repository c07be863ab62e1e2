// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel prints about itself when something is wrong. */
#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task_stack.h>
#include <asm/lib.h>
#include <asm/sections.h>

/* Offsets into the text: the host has the symbols. */
#define LIB_TRACE_WORDS 2048
#define LIB_TRACE_ENTRIES 24

void show_regs(struct pt_regs *regs)
{
	printk(KERN_DEFAULT "ip: text+0x%lx\n",
	       regs->ip - (unsigned long)_stext);
}

/* Words on the stack that look like return addresses. */
void show_stack(struct task_struct *task, unsigned long *sp, const char *level)
{
	unsigned long *end, local;
	int entries = 0;

	if (!task)
		task = current;
	if (!sp)
		sp = task == current ? &local :
				       (unsigned long *)task->thread.sp;
	end = (unsigned long *)(task_stack_page(task) + THREAD_SIZE);
	if (end - sp > LIB_TRACE_WORDS)
		end = sp + LIB_TRACE_WORDS;
	printk("%sCall trace:\n", level);
	for (; sp < end && entries < LIB_TRACE_ENTRIES; sp++)
		if (__kernel_text_address(*sp)) {
			printk("%s ? text+0x%lx\n", level,
			       *sp - (unsigned long)_stext);
			entries++;
		}
}
