/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memcmp() for files that compare many short names, in line: such a file is
 * compiled with "-include" of this one (arch/lib/Makefile). Names of 8 to 16
 * bytes are compared as two words, which may overlap; others by the function.
 */
#ifndef _ASM_LIB_MEMCMP_H
#define _ASM_LIB_MEMCMP_H

#include <linux/string.h>
#include <linux/swab.h>

typedef u64 __aligned(1) lib_memcmp_word;

static __always_inline u64 lib_memcmp_load(const void *from)
{
	return *(const lib_memcmp_word *)from;
}

static __always_inline int lib_memcmp(const void *left, const void *right,
				      size_t bytes)
{
	size_t last = bytes - sizeof(u64);
	u64 first, second;

	if (__builtin_constant_p(bytes) || last > sizeof(u64))
		return memcmp(left, right, bytes);
	first = lib_memcmp_load(left);
	second = lib_memcmp_load(right);
	if (first == second) {
		first = lib_memcmp_load(left + last);
		second = lib_memcmp_load(right + last);
	}
	if (first == second)
		return 0;
	return swab64(first) < swab64(second) ? -1 : 1;
}

#define memcmp(left, right, bytes) lib_memcmp(left, right, bytes)

#endif
