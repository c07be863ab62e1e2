/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_MMU_CONTEXT_H
#define _ASM_LIB_MMU_CONTEXT_H

#include <linux/sched.h>
#include <linux/mm_types.h>

static inline int init_new_context(struct task_struct *task,
				   struct mm_struct *mm)
{
	mm->context.first = ~0UL;
	mm->context.last = 0;
	return 0;
}
#define init_new_context init_new_context

/* Every mm has its own range of host addresses: there is nothing to switch. */
static inline void switch_mm(struct mm_struct *prev, struct mm_struct *next,
			     struct task_struct *task)
{
}

#include <asm-generic/mm_hooks.h>
#include <asm-generic/mmu_context.h>

#endif
