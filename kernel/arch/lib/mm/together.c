// SPDX-License-Identifier: GPL-2.0-only
/*
 * What boot uses shall lie together, at the beginning of memory: the host makes
 * pages when they are touched, and large ones only there. Two habits of the page
 * allocator are in the way.
 *
 * Pages that can be moved, reclaimed, or neither get a block of 4 MiB each, so
 * that large pages can be had later by moving some. Nothing is moved here, so
 * they are not told apart.
 *
 * And small blocks are used up before large ones are broken, so it would begin
 * with the odd rest at the end of memory. That is held back until boot is over.
 */
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <asm/lib.h>
#include "../../../mm/internal.h"

/* Of memory, no more than this share is held back. */
#define LIB_REST_SHARE 8

static unsigned long lib_rest, lib_rest_end; /* page frame numbers */

/*
 * Told before the free lists are laid out and again before they are filled:
 * build_all_zonelists() decides by the size of memory in between.
 */
void __init lib_keep_together(void)
{
	page_group_by_mobility_disabled = !IS_ENABLED(CONFIG_COMPACTION);
}

void __init lib_hold_rest(void)
{
	unsigned long rest = round_down(max_low_pfn, MAX_ORDER_NR_PAGES);

	if (max_low_pfn - rest > max_mapnr / LIB_REST_SHARE)
		return;
	lib_rest = rest;
	lib_rest_end = max_low_pfn;
	memblock_reserve(PFN_PHYS(rest), PFN_PHYS(max_low_pfn - rest));
}

/* Blocks as large as they can be. None is as large as the largest. */
static int __init lib_free_rest(void)
{
	unsigned long pfn = lib_rest;
	unsigned int order;

	while (pfn < lib_rest_end) {
		order = ilog2(lib_rest_end - pfn);
		memblock_free_pages(pfn_to_page(pfn), pfn, order);
		totalram_pages_add(1L << order);
		pfn += 1UL << order;
	}
	return 0;
}
late_initcall_sync(lib_free_rest);
