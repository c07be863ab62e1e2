/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two things that C cannot do: to call a function on another stack, and
 * to go on from a fault as if nothing had happened.
 */
	.text

/*
 * void host_on_stack(void (*function)(void *), void *argument, void *stack)
 *
 * Nothing is written to the caller's stack between the switch and the return.
 */
	.globl	host_on_stack
	.hidden	host_on_stack
	.type	host_on_stack, @function
	.p2align 4
host_on_stack:
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rdx, %rsp
	andq	$-16, %rsp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	movq	%rbp, %rsp
	popq	%rbp
	ret
	.size	host_on_stack, .-host_on_stack

/*
 * Where the signal handler makes a thread go on that has faulted. It has put
 * the registers into a struct host_frame, whose address is in rbx, and left
 * room for the vector registers at rsp, which is aligned to 64 bytes and whose
 * header is zero. Vector state is still that of the interrupted code.
 *
 * host_fault_serve() may return on another host thread.
 */
	.globl	host_fault_trampoline
	.hidden	host_fault_trampoline
	.type	host_fault_trampoline, @function
	.p2align 4
host_fault_trampoline:
	cld
	movq	%rsp, %r12
	movl	host_vector_mask(%rip), %eax
	xorl	%edx, %edx
	testl	%eax, %eax
	jz	1f
	xsave64	(%r12)
	jmp	2f
1:	fxsave64 (%r12)
2:	movq	%rbx, %rdi
	call	host_fault_serve
	movl	host_vector_mask(%rip), %eax
	xorl	%edx, %edx
	testl	%eax, %eax
	jz	3f
	xrstor64 (%r12)
	jmp	4f
3:	fxrstor64 (%r12)
4:	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	/* ip, cs, flags, sp, ss: all at once, and no use of the red zone */
	iretq
	.size	host_fault_trampoline, .-host_fault_trampoline

	.section .note.GNU-stack, "", @progbits
