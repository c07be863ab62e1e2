/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a new fiber begins; see <asm/stack.h> and lib_new_stack(). */
#include <linux/linkage.h>

	.text

/* On the stack: the function, and its argument. It is aligned behind them. */
SYM_FUNC_START(lib_fiber_begin)
	popq	%rdi
	popq	%rsi
	xorl	%ebp, %ebp
	call	lib_fiber_main
	ud2
SYM_FUNC_END(lib_fiber_begin)

	.section .note.GNU-stack, "", @progbits
