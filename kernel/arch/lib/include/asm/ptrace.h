/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_PTRACE_H
#define _ASM_LIB_PTRACE_H

#include <uapi/asm/ptrace.h>

#ifndef __ASSEMBLY__

#include <linux/types.h>

struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9;
	unsigned long ax, orig_ax;
	unsigned long ip, sp, bp, flags;
	unsigned long user; /* these are the registers of a library task */
};

#define user_mode(regs) ((regs)->user != 0)
#define instruction_pointer(regs) ((regs)->ip)
#define user_stack_pointer(regs) ((regs)->sp)
#define profile_pc(regs) instruction_pointer(regs)
#define kernel_stack_pointer(regs) ((regs)->sp)
#define frame_pointer(regs) ((regs)->bp)

static inline unsigned long regs_return_value(struct pt_regs *regs)
{
	return regs->ax;
}

static inline int regs_irqs_disabled(struct pt_regs *regs)
{
	return 0;
}

static inline void instruction_pointer_set(struct pt_regs *regs,
					   unsigned long ip)
{
	regs->ip = ip;
}

#define arch_has_single_step() 0
#define current_pt_regs() task_pt_regs(current)

#endif

#endif
