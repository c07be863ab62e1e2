/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving memory. This is ordinary user-space code, so SSE may be used: fibers
 * change only at calls, where vector registers are dead. Up to 64 bytes
 * everything is loaded before anything is stored, which also serves overlap.
 */
#include <linux/linkage.h>

/* From here on the machine's own string instruction is the fastest. */
#define REP_BYTES 1024

	.text

SYM_FUNC_START(memcpy)
	movq	%rdi, %rax
	cmpq	$16, %rdx
	jb	.Lsmall
	cmpq	$32, %rdx
	ja	.Lover32
	movups	(%rsi), %xmm0
	movups	-16(%rsi,%rdx), %xmm1
	movups	%xmm0, (%rdi)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
.Lover32:
	cmpq	$64, %rdx
	ja	.Lover64
	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	-32(%rsi,%rdx), %xmm2
	movups	-16(%rsi,%rdx), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	movups	%xmm2, -32(%rdi,%rdx)
	movups	%xmm3, -16(%rdi,%rdx)
	ret
.Lover64:
	cmpq	$REP_BYTES, %rdx
	jae	.Lrep
	/* The tail is kept in registers: it may be overwritten by the loop. */
	movups	-64(%rsi,%rdx), %xmm4
	movups	-48(%rsi,%rdx), %xmm5
	movups	-32(%rsi,%rdx), %xmm6
	movups	-16(%rsi,%rdx), %xmm7
	leaq	(%rdi,%rdx), %rcx
1:	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	32(%rsi), %xmm2
	movups	48(%rsi), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	movups	%xmm2, 32(%rdi)
	movups	%xmm3, 48(%rdi)
	addq	$64, %rsi
	addq	$64, %rdi
	subq	$64, %rdx
	cmpq	$64, %rdx
	ja	1b
	movups	%xmm4, -64(%rcx)
	movups	%xmm5, -48(%rcx)
	movups	%xmm6, -32(%rcx)
	movups	%xmm7, -16(%rcx)
	ret
.Lrep:
	movq	%rdx, %rcx
	rep movsb
	ret
.Lsmall:
	cmpl	$8, %edx
	jae	8f
	cmpl	$4, %edx
	jae	4f
	testl	%edx, %edx
	jz	9f
	movzbl	(%rsi), %ecx
	movzbl	-1(%rsi,%rdx), %r8d
	movl	%edx, %r9d
	shrl	$1, %r9d
	movzbl	(%rsi,%r9), %r10d
	movb	%cl, (%rdi)
	movb	%r10b, (%rdi,%r9)
	movb	%r8b, -1(%rdi,%rdx)
	ret
8:	movq	(%rsi), %rcx
	movq	-8(%rsi,%rdx), %r8
	movq	%rcx, (%rdi)
	movq	%r8, -8(%rdi,%rdx)
	ret
4:	movl	(%rsi), %ecx
	movl	-4(%rsi,%rdx), %r8d
	movl	%ecx, (%rdi)
	movl	%r8d, -4(%rdi,%rdx)
9:	ret
SYM_FUNC_END(memcpy)

SYM_FUNC_START(memmove)
	cmpq	$64, %rdx
	jbe	memcpy
	movq	%rdi, %rax
	subq	%rsi, %rax
	cmpq	%rdx, %rax
	jae	memcpy
	/* The destination begins inside the source: from the end down. */
	movq	%rdi, %rax
	movups	(%rsi), %xmm4
	movups	16(%rsi), %xmm5
	movups	32(%rsi), %xmm6
	movups	48(%rsi), %xmm7
1:	movups	-16(%rsi,%rdx), %xmm0
	movups	-32(%rsi,%rdx), %xmm1
	movups	-48(%rsi,%rdx), %xmm2
	movups	-64(%rsi,%rdx), %xmm3
	movups	%xmm0, -16(%rdi,%rdx)
	movups	%xmm1, -32(%rdi,%rdx)
	movups	%xmm2, -48(%rdi,%rdx)
	movups	%xmm3, -64(%rdi,%rdx)
	subq	$64, %rdx
	cmpq	$64, %rdx
	ja	1b
	movups	%xmm4, (%rdi)
	movups	%xmm5, 16(%rdi)
	movups	%xmm6, 32(%rdi)
	movups	%xmm7, 48(%rdi)
	ret
SYM_FUNC_END(memmove)

SYM_FUNC_START(memset)
	movq	%rdi, %r8
	movzbl	%sil, %eax
	movq	%rdx, %rcx
	movabsq	$0x0101010101010101, %r9
	imulq	%r9, %rax
	cmpq	$8, %rdx
	jb	2f
	cmpq	$128, %rdx
	ja	3f
	leaq	(%rdi,%rdx), %r10
1:	movq	%rax, (%rdi)
	addq	$8, %rdi
	subq	$8, %rdx
	cmpq	$8, %rdx
	jae	1b
	movq	%rax, -8(%r10)
	movq	%r8, %rax
	ret
2:	testl	%edx, %edx
	jz	4f
	movb	%al, (%rdi)
	incq	%rdi
	decl	%edx
	jmp	2b
3:	rep stosb
4:	movq	%r8, %rax
	ret
SYM_FUNC_END(memset)

/*
 * User memory: these may fault. A fault inside a string instruction leaves
 * the number of bytes not done in rcx.
 */
#define EXTABLE(from, to)			\
	.pushsection __lib_extable, "a";	\
	.balign	4;				\
	.long	from - .;			\
	.long	to - .;				\
	.popsection

/*
 * unsigned long lib_user_copy(void *to, const void *from, unsigned long bytes)
 *
 * The string instruction takes 14 cycles to begin. What faults before it is done
 * again by it, byte by byte.
 */
SYM_FUNC_START(lib_user_copy)
	movq	%rdx, %rcx
	cmpq	$16, %rdx
	ja	1f
	cmpl	$8, %edx
	jae	8f
	cmpl	$4, %edx
	jae	4f
	testl	%edx, %edx
	jz	9f
11:	movzbl	(%rsi), %eax
12:	movzbl	-1(%rsi,%rdx), %r8d
	shrl	$1, %edx
13:	movzbl	(%rsi,%rdx), %r9d
14:	movb	%al, (%rdi)
15:	movb	%r9b, (%rdi,%rdx)
16:	movb	%r8b, -1(%rdi,%rcx)
9:	xorl	%eax, %eax
	ret
4:	movl	(%rsi), %eax
41:	movl	-4(%rsi,%rdx), %r8d
42:	movl	%eax, (%rdi)
43:	movl	%r8d, -4(%rdi,%rdx)
	xorl	%eax, %eax
	ret
8:	movq	(%rsi), %rax
81:	movq	-8(%rsi,%rdx), %r8
82:	movq	%rax, (%rdi)
83:	movq	%r8, -8(%rdi,%rdx)
	xorl	%eax, %eax
	ret
1:	rep movsb
2:	movq	%rcx, %rax
	ret
	EXTABLE(1b, 2b)
	EXTABLE(11b, 1b)
	EXTABLE(12b, 1b)
	EXTABLE(13b, 1b)
	EXTABLE(14b, 1b)
	EXTABLE(15b, 1b)
	EXTABLE(16b, 1b)
	EXTABLE(4b, 1b)
	EXTABLE(41b, 1b)
	EXTABLE(42b, 1b)
	EXTABLE(43b, 1b)
	EXTABLE(8b, 1b)
	EXTABLE(81b, 1b)
	EXTABLE(82b, 1b)
	EXTABLE(83b, 1b)
SYM_FUNC_END(lib_user_copy)

/* unsigned long lib_user_clear(void *to, unsigned long bytes) */
SYM_FUNC_START(lib_user_clear)
	movq	%rsi, %rcx
	xorl	%eax, %eax
1:	rep stosb
2:	movq	%rcx, %rax
	ret
	EXTABLE(1b, 2b)
SYM_FUNC_END(lib_user_clear)

	.section .note.GNU-stack, "", @progbits
