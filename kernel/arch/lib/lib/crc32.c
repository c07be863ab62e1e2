// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checksum of ext4's, XFS's and Btrfs's metadata, by the processor's own
 * instruction where it has one (SSE 4.2, Intel's manual volume 2, CRC32).
 */
#include <linux/crc32.h>
#include <linux/export.h>

/* Declared by the header of 6.12 only. */
extern u32 __pure __crc32c_le_base(u32 crc, const unsigned char *bytes,
				   size_t count);

#define LIB_CPUID_SSE42 (1 << 20)

static bool lib_has_crc32(void)
{
	static enum { UNKNOWN, NO, YES } answer;
	u32 a = 1, b, c = 0, d;

	if (unlikely(answer == UNKNOWN)) {
		asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		answer = c & LIB_CPUID_SSE42 ? YES : NO;
	}
	return answer == YES;
}

u32 __pure __crc32c_le(u32 crc, const unsigned char *bytes, size_t count)
{
	u64 state = crc;

	if (!lib_has_crc32())
		return __crc32c_le_base(crc, bytes, count);
	for (; count >= sizeof(u64); count -= sizeof(u64)) {
		asm("crc32q %1, %0" : "+r"(state) : "m"(*(const u64 *)bytes));
		bytes += sizeof(u64);
	}
	for (; count; count--)
		asm("crc32b %1, %0" : "+r"(state) : "m"(*bytes++));
	return state;
}
EXPORT_SYMBOL(__crc32c_le);
