// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing memory: directories are searched with it. A rest that is shorter
 * than a word is compared together with bytes that were compared already.
 */
#include <linux/export.h>
#include <linux/string.h>
#include <linux/swab.h>

typedef u64 __aligned(1) lib_word;
typedef u32 __aligned(1) lib_half;

/* Which of two that differ comes first, by their lowest byte that differs. */
static int lib_order(u64 left, u64 right)
{
	return swab64(left) < swab64(right) ? -1 : 1;
}

/* The first and the last half word of some. */
static u64 lib_ends(const u8 *from, size_t bytes)
{
	u64 last = *(const lib_half *)(from + bytes - sizeof(lib_half));

	return last << 32 | *(const lib_half *)from;
}

static int lib_compare_short(const u8 *left, const u8 *right, size_t bytes)
{
	u64 first, second;

	if (bytes >= sizeof(lib_half)) {
		first = lib_ends(left, bytes);
		second = lib_ends(right, bytes);
		return first == second ? 0 : lib_order(first, second);
	}
	for (; bytes; bytes--, left++, right++)
		if (*left != *right)
			return *left - *right;
	return 0;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
	const u8 *a = left, *b = right;
	u64 first, second;
	size_t at;

	if (bytes < sizeof(lib_word))
		return lib_compare_short(a, b, bytes);
	for (at = 0; at < bytes; at += sizeof(lib_word)) {
		if (at > bytes - sizeof(lib_word))
			at = bytes - sizeof(lib_word);
		first = *(const lib_word *)(a + at);
		second = *(const lib_word *)(b + at);
		if (first != second)
			return lib_order(first, second);
	}
	return 0;
}
EXPORT_SYMBOL(memcmp);
