/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names are hashed and compared eight bytes at a time. The last word of a name
 * may reach over the end of its page, behind which there may be nothing: then
 * the aligned word that the name ends in is read instead, which cannot.
 */
#ifndef _ASM_LIB_WORD_AT_A_TIME_H
#define _ASM_LIB_WORD_AT_A_TIME_H

#include <asm-generic/word-at-a-time.h>
#include <asm/page.h>

/* The word at `address`; bytes of the next page read as zero. */
static inline unsigned long load_unaligned_zeropad(const void *address)
{
	unsigned long start = (unsigned long)address;
	unsigned long odd = start % sizeof(unsigned long);

	if (likely(start % PAGE_SIZE <= PAGE_SIZE - sizeof(unsigned long)))
		return *(const unsigned long *)start;
	return *(const unsigned long *)(start - odd) >> 8 * odd;
}

#endif
