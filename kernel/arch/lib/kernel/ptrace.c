// SPDX-License-Identifier: GPL-2.0-only
/*
 * A library task has no program to trace: its registers are the host's. What
 * generic ptrace can do without them (attach, wait, options) still works.
 */
#include <linux/errno.h>
#include <linux/ptrace.h>

long arch_ptrace(struct task_struct *child, long request, unsigned long address,
		 unsigned long data)
{
	return ptrace_request(child, request, address, data);
}

void ptrace_disable(struct task_struct *child)
{
}

void user_disable_single_step(struct task_struct *child)
{
}
