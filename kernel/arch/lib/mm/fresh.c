// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fresh pages: memory that nobody has had since the host mapped it, and that is
 * therefore zero. Clearing it would make the host find a page, clear it and let
 * us clear it once more, for memory that is often never read: half of every
 * task's stack, and large tables.
 *
 * What memblock gives away before the page allocator begins lies below a limit
 * (lib_early_limit()); all above it is fresh until it is first allocated.
 */
#include <linux/bitmap.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <asm/lib.h>

/* Memory for the table of pages, which is a 64th of all, and what else is early. */
#define LIB_EARLY_SHARE 40
#define LIB_EARLY_BYTES (512UL << 10)

/* The pages that are being allocated and are fresh, for clear_page(). */
unsigned long lib_fresh_start;
unsigned long lib_fresh_bytes;

static unsigned long *lib_fresh_map;

static phys_addr_t __init lib_early_end(phys_addr_t used)
{
	phys_addr_t end = LIB_PHYS_BASE + lib_cpu.memory_bytes;
	phys_addr_t limit = LIB_PHYS_BASE + used + LIB_EARLY_BYTES +
			    lib_cpu.memory_bytes / LIB_EARLY_SHARE;

	return min(PAGE_ALIGN(limit), end & PAGE_MASK);
}

/* memblock is to stay below; `used` bytes are taken at the beginning. */
void __init lib_fresh_setup(unsigned long used)
{
	unsigned long first = PFN_DOWN(lib_early_end(used)) - ARCH_PFN_OFFSET;

	memblock_set_current_limit(lib_early_end(used));
	/* Memory that is free is written to. */
	if (IS_ENABLED(CONFIG_PAGE_POISONING) || first >= max_mapnr)
		return;
	lib_fresh_map = memblock_alloc(BITS_TO_LONGS(max_mapnr) * sizeof(long),
				       sizeof(long));
	if (lib_fresh_map)
		bitmap_set(lib_fresh_map, first, max_mapnr - first);
}

void arch_alloc_page(struct page *page, int order)
{
	unsigned long first = page_to_pfn(page) - ARCH_PFN_OFFSET;
	unsigned long count = 1UL << order, next;

	lib_fresh_bytes = 0;
	/* With init_on_free the page allocator clears what was written to. */
	if (!lib_fresh_map || want_init_on_free())
		return;
	if (!order) {
		if (!__test_and_clear_bit(first, lib_fresh_map))
			return;
	} else {
		next = find_next_zero_bit(lib_fresh_map, first + count, first);
		bitmap_clear(lib_fresh_map, first, count);
		if (next < first + count)
			return;
	}
	lib_fresh_start = (unsigned long)page_address(page);
	lib_fresh_bytes = count << PAGE_SHIFT;
}
EXPORT_SYMBOL(arch_alloc_page);
