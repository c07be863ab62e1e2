/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one primitive under everything: leave this stack, go on on that one.
 * Fibers of the kernel and the host's own stacks are all changed by it, so a
 * fiber can be resumed by any thread of the host.
 */
#include <linux/linkage.h>

	.text

/* void lib_switch_stack(unsigned long *save, unsigned long load) */
SYM_FUNC_START(lib_switch_stack)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
SYM_FUNC_END(lib_switch_stack)

/*
 * Where a new fiber begins. lib_new_stack() put the function into rbx and its
 * argument into r12; the stack is aligned to 16 bytes here.
 */
SYM_FUNC_START(lib_fiber_begin)
	xorl	%ebp, %ebp
	movq	%rbx, %rdi
	movq	%r12, %rsi
	call	lib_fiber_main
	ud2
SYM_FUNC_END(lib_fiber_begin)

	.section .note.GNU-stack, "", @progbits
