/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_LIB_PTRACE_H
#define _UAPI_ASM_LIB_PTRACE_H

#ifndef __ASSEMBLY__

/*
 * What a library task has of registers: a system call, its arguments and its
 * result, under the names of x86-64.
 */
struct user_pt_regs {
	unsigned long di, si, dx, r10, r8, r9;
	unsigned long ax, orig_ax;
	unsigned long ip, sp, bp, flags;
};

typedef struct user_pt_regs bpf_user_pt_regs_t;

#endif

#endif
