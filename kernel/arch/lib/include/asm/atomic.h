/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One CPU and interrupts that come only where they are looked for: between two
 * statements of C nothing else runs, so plain C is atomic enough. (Words that
 * other host threads share with the kernel are not atomic_t; see boundary.c.)
 */
#ifndef _ASM_LIB_ATOMIC_H
#define _ASM_LIB_ATOMIC_H

#include <linux/types.h>
#include <asm/cmpxchg.h>
#include <asm/barrier.h>

#define arch_atomic_read(v) READ_ONCE((v)->counter)
#define arch_atomic_set(v, i) WRITE_ONCE((v)->counter, (i))
#define arch_atomic64_read(v) READ_ONCE((v)->counter)
#define arch_atomic64_set(v, i) WRITE_ONCE((v)->counter, (i))

#define LIB_ATOMIC_OP(prefix, type, int_type, op, c_op)                        \
	static __always_inline void prefix##_##op(int_type i, type *v)         \
	{                                                                      \
		WRITE_ONCE(v->counter, v->counter c_op i);                     \
	}                                                                      \
	static __always_inline int_type prefix##_fetch_##op(int_type i,        \
							    type *v)           \
	{                                                                      \
		int_type old = READ_ONCE(v->counter);                          \
                                                                               \
		WRITE_ONCE(v->counter, old c_op i);                            \
		return old;                                                    \
	}

#define LIB_ATOMIC_RETURN(prefix, type, int_type, op, c_op)                    \
	static __always_inline int_type prefix##_##op##_return(int_type i,     \
							       type *v)        \
	{                                                                      \
		int_type new = READ_ONCE(v->counter) c_op i;                   \
                                                                               \
		WRITE_ONCE(v->counter, new);                                   \
		return new;                                                    \
	}

#define LIB_ATOMIC_OPS(prefix, type, int_type)                                 \
	LIB_ATOMIC_OP(prefix, type, int_type, add, +)                          \
	LIB_ATOMIC_OP(prefix, type, int_type, sub, -)                          \
	LIB_ATOMIC_OP(prefix, type, int_type, and, &)                          \
	LIB_ATOMIC_OP(prefix, type, int_type, andnot, &~)                      \
	LIB_ATOMIC_OP(prefix, type, int_type, or, |)                           \
	LIB_ATOMIC_OP(prefix, type, int_type, xor, ^)                          \
	LIB_ATOMIC_RETURN(prefix, type, int_type, add, +)                      \
	LIB_ATOMIC_RETURN(prefix, type, int_type, sub, -)

LIB_ATOMIC_OPS(arch_atomic, atomic_t, int)
LIB_ATOMIC_OPS(arch_atomic64, atomic64_t, s64)

#define arch_atomic_add_return arch_atomic_add_return
#define arch_atomic_sub_return arch_atomic_sub_return
#define arch_atomic_fetch_add arch_atomic_fetch_add
#define arch_atomic_fetch_sub arch_atomic_fetch_sub
#define arch_atomic_fetch_and arch_atomic_fetch_and
#define arch_atomic_fetch_andnot arch_atomic_fetch_andnot
#define arch_atomic_fetch_or arch_atomic_fetch_or
#define arch_atomic_fetch_xor arch_atomic_fetch_xor
#define arch_atomic_andnot arch_atomic_andnot
#define arch_atomic64_add_return arch_atomic64_add_return
#define arch_atomic64_sub_return arch_atomic64_sub_return
#define arch_atomic64_fetch_add arch_atomic64_fetch_add
#define arch_atomic64_fetch_sub arch_atomic64_fetch_sub
#define arch_atomic64_fetch_and arch_atomic64_fetch_and
#define arch_atomic64_fetch_andnot arch_atomic64_fetch_andnot
#define arch_atomic64_fetch_or arch_atomic64_fetch_or
#define arch_atomic64_fetch_xor arch_atomic64_fetch_xor
#define arch_atomic64_andnot arch_atomic64_andnot

/* Linux 6.1 has no fallbacks for these. */
#define arch_atomic_xchg(v, new) arch_xchg(&(v)->counter, (new))
#define arch_atomic_cmpxchg(v, old, new)                                       \
	arch_cmpxchg(&(v)->counter, (old), (new))
#define arch_atomic64_xchg(v, new) arch_xchg(&(v)->counter, (new))
#define arch_atomic64_cmpxchg(v, old, new)                                     \
	arch_cmpxchg(&(v)->counter, (old), (new))

#define ATOMIC64_INIT(i) { (i) }

#endif
