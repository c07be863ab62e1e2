/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the file of Linux's FAT that searches directories: what it does with each
 * name, in line. It is compiled with "-include" of this one (arch/lib/Makefile).
 *
 * FAT has no index: whoever creates a file is first told by the whole directory
 * that there is none of that name. Every entry is turned into UTF-8 for it, both
 * its names, and compared, and then compared again as a short name.
 */
#ifndef _ASM_LIB_FAT_NAMES_H
#define _ASM_LIB_FAT_NAMES_H

#include <linux/minmax.h>
#include <linux/msdos_fs.h>
#include <linux/nls.h>
#include <linux/string.h>
#include <linux/swab.h>

typedef u64 __aligned(1) lib_fat_word;
typedef u32 __aligned(1) lib_fat_half;

#define LIB_FAT_NOT_ASCII 0xff80ff80ff80ff80ULL
#define LIB_FAT_ONES 0x0001000100010001ULL
/* wchar_t that a short name has room for, its end included, in whole halves. */
#define LIB_FAT_SHORT 14

/* Four characters as bytes. */
static __always_inline u32 lib_fat_pack(u64 word)
{
	word = (word | word >> 8) & 0x0000ffff0000ffffULL;
	return (u32)(word | word >> 16);
}

/*
 * Plain characters are one byte each, and taken four at a time; two, where four
 * would be more than a short name has. All others are for the real function.
 */
static __always_inline int lib_utf16s_to_utf8s(const wchar_t *from, int inlen,
					       enum utf16_endian endian, u8 *to,
					       int maxout)
{
	int at = 0, most = min(inlen, maxout), step;

	for (; at + 4 <= most; at += step) {
		u64 word = LIB_FAT_ONES << 32, zeros;

		step = at + 4 > LIB_FAT_SHORT && at < LIB_FAT_SHORT ? 2 : 4;
		if (step == 4)
			word = *(const lib_fat_word *)(from + at);
		else
			word |= *(const lib_fat_half *)(from + at);
		/* The lowest is right; behind it may be anything. */
		zeros = (word - LIB_FAT_ONES) & ~word & LIB_FAT_ONES << 15;
		if (zeros)
			word &= (zeros & -zeros) - 1;
		if (word & LIB_FAT_NOT_ASCII)
			break;
		*(lib_fat_half *)(to + at) = lib_fat_pack(word);
		if (zeros)
			return at + __builtin_ctzll(zeros) / 16;
	}
	return at + utf16s_to_utf8s(from + at, inlen - at, endian, to + at,
				    maxout - at);
}

static __always_inline u64 lib_fat_load(const char *from)
{
	return *(const lib_fat_word *)from;
}

/*
 * Both are whole entries' names (MSDOS_NAME) when they are said to be. Words
 * decide, unless a zero might end the first name before they differ.
 */
static __always_inline int lib_fat_strncmp(const char *left, const char *right,
					   size_t bytes)
{
	const u64 ones = 0x0101010101010101ULL, highs = ones << 7;
	u64 first, second;

	if (!__builtin_constant_p(bytes) || bytes != MSDOS_NAME)
		return strncmp(left, right, bytes);
	first = lib_fat_load(left);
	second = lib_fat_load(right);
	if (first != second && !((first - ones) & ~first & highs))
		return swab64(first) < swab64(second) ? -1 : 1;
	return strncmp(left, right, bytes);
}

/*
 * Plain characters of the first table that is asked for (there is one for each
 * code page); 0: ask the table. A call through a pointer for each character of
 * each short name is a fifth of what 2,000 new files take.
 */
static const struct nls_table *lib_fat_table;
static wchar_t lib_fat_plain[0x80];

static noinline void lib_fat_learn(const struct nls_table *table)
{
	for (int at = 1; at < 0x80; at++) {
		unsigned char one = (unsigned char)at;
		wchar_t character;

		if (table->char2uni(&one, 1, &character) == 1)
			lib_fat_plain[at] = character;
	}
	lib_fat_table = table;
}

static __always_inline int lib_fat_char2uni(const struct nls_table *table,
					    const unsigned char *from,
					    int bytes, wchar_t *to)
{
	if (unlikely(!lib_fat_table))
		lib_fat_learn(table);
	if (*from >= 0x80 || table != lib_fat_table || !lib_fat_plain[*from])
		return table->char2uni(from, bytes, to);
	*to = lib_fat_plain[*from];
	return 1;
}

/* "t->char2uni(...)" in that file; if it is written otherwise, it does not compile. */
#define char2uni(from, bytes, to) \
	charset ? lib_fat_char2uni(t, from, bytes, to) : -EINVAL
#define utf16s_to_utf8s(from, inlen, endian, to, maxout) \
	lib_utf16s_to_utf8s(from, inlen, endian, to, maxout)
#define strncmp(left, right, bytes) lib_fat_strncmp(left, right, bytes)

#endif
