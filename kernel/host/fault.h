/* SPDX-License-Identifier: GPL-2.0-only */
/* Between fault.c, handler.c and trampoline.S. */
#ifndef LIBLINUX_FAULT_H
#define LIBLINUX_FAULT_H

#include <signal.h>
#include <ucontext.h>
#include "internal.h"

/* The order up to `ss` is that in which trampoline.S restores it. */
struct host_fault_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 bp, di, si, dx, cx, bx, ax;
	u64 ip, cs, flags, sp, ss;
	struct host_kernel *kernel; /* NULL: a window's */
	u64 outside;
	struct ll_fault fault;
};

/* What XSAVE shall save; 0: there is only FXSAVE. */
extern u32 host_vector_mask __attribute__((visibility("hidden")));
/* How much room that needs, a multiple of 64. */
extern u32 host_vector_bytes;

void host_fault_trampoline(void) __attribute__((visibility("hidden")));
void host_fault_serve(struct host_fault_frame *frame)
	__attribute__((visibility("hidden")));
void host_fault_handler(int signal, siginfo_t *info, void *context);
void host_fault_chain(int signal, siginfo_t *info, void *context);

#endif /* LIBLINUX_FAULT_H */
