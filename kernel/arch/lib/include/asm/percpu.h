/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One CPU and interrupts that come only where they are looked for: between a
 * load and its store nothing else runs. Generic code would disable interrupts
 * around each of these, and look for them afterwards: nine instructions for
 * one, at every counter of the network's statistics.
 */
#ifndef _ASM_LIB_PERCPU_H
#define _ASM_LIB_PERCPU_H

#define LIB_CPU_WRITE(pcp, val) raw_cpu_generic_to_op(pcp, val, =)
#define this_cpu_write_1 LIB_CPU_WRITE
#define this_cpu_write_2 LIB_CPU_WRITE
#define this_cpu_write_4 LIB_CPU_WRITE
#define this_cpu_write_8 LIB_CPU_WRITE

#define LIB_CPU_ADD(pcp, val) raw_cpu_generic_to_op(pcp, val, +=)
#define this_cpu_add_1 LIB_CPU_ADD
#define this_cpu_add_2 LIB_CPU_ADD
#define this_cpu_add_4 LIB_CPU_ADD
#define this_cpu_add_8 LIB_CPU_ADD

#define LIB_CPU_AND(pcp, val) raw_cpu_generic_to_op(pcp, val, &=)
#define this_cpu_and_1 LIB_CPU_AND
#define this_cpu_and_2 LIB_CPU_AND
#define this_cpu_and_4 LIB_CPU_AND
#define this_cpu_and_8 LIB_CPU_AND

#define LIB_CPU_OR(pcp, val) raw_cpu_generic_to_op(pcp, val, |=)
#define this_cpu_or_1 LIB_CPU_OR
#define this_cpu_or_2 LIB_CPU_OR
#define this_cpu_or_4 LIB_CPU_OR
#define this_cpu_or_8 LIB_CPU_OR

#define this_cpu_add_return_1 raw_cpu_generic_add_return
#define this_cpu_add_return_2 raw_cpu_generic_add_return
#define this_cpu_add_return_4 raw_cpu_generic_add_return
#define this_cpu_add_return_8 raw_cpu_generic_add_return

#define this_cpu_xchg_1 raw_cpu_generic_xchg
#define this_cpu_xchg_2 raw_cpu_generic_xchg
#define this_cpu_xchg_4 raw_cpu_generic_xchg
#define this_cpu_xchg_8 raw_cpu_generic_xchg

#define this_cpu_cmpxchg_1 raw_cpu_generic_cmpxchg
#define this_cpu_cmpxchg_2 raw_cpu_generic_cmpxchg
#define this_cpu_cmpxchg_4 raw_cpu_generic_cmpxchg
#define this_cpu_cmpxchg_8 raw_cpu_generic_cmpxchg

#include <asm-generic/percpu.h>

#endif
