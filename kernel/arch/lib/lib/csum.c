// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checksum of a header of IPv4. It is short and of known size, and generic
 * code goes through the routine for data of any length and alignment: 90
 * instructions, twice for each packet. Sums of 16-bit words may be taken of
 * 32-bit words (RFC 1071, section 2), here without losing carries.
 *
 * lib/checksum.c leaves it out when its name is a macro (../Makefile).
 */
#include <linux/export.h>
#include <net/checksum.h>

/* The fewest 32-bit words of a header of IPv4: those without options. */
#define LIB_IP_WORDS 5

__sum16 ip_fast_csum(const void *iph, unsigned int ihl)
{
	const u32 *word = iph;
	u64 sum = (u64)word[0] + word[1] + word[2] + word[3] + word[4];

	while (unlikely(ihl > LIB_IP_WORDS))
		sum += word[--ihl];
	sum = (u32)sum + (sum >> 32);
	sum = (u32)sum + (sum >> 32);
	return csum_fold((__force __wsum)(u32)sum);
}
EXPORT_SYMBOL(ip_fast_csum);
