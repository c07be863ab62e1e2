// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the embedding program as pages of the kernel.
 *
 * A device can only read into pages, and a program's own buffer has none. Here
 * are some, behind the end of memory, with no memory of their own: while they
 * are lent, what page_to_virt() says of them is the program's buffer. So all
 * that finds memory by its page works: block layer, checksums, decryption.
 *
 * They are lent to one read at a time. Whoever borrows them has made sure that
 * the buffer is there, and gives them back when no device knows of them.
 */
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <asm/lib.h>

/* Above all others until there are some. */
const void *lib_outside_pages = (const void *)-1UL;
EXPORT_SYMBOL(lib_outside_pages);

/* A buffer may begin and end in the middle of a page. */
#define LIB_OUTSIDE_PAGES ((LIB_OUTSIDE_BYTES >> PAGE_SHIFT) + 1)

static unsigned long lib_outside_base; /* 0 when they are not lent */

/* The end of all pages, as a page frame number. */
unsigned long __init lib_outside_add(void)
{
	memblock_add(PFN_PHYS(max_low_pfn), PFN_PHYS(LIB_OUTSIDE_PAGES));
	memblock_reserve(PFN_PHYS(max_low_pfn), PFN_PHYS(LIB_OUTSIDE_PAGES));
	max_mapnr += LIB_OUTSIDE_PAGES;
	return max_low_pfn + LIB_OUTSIDE_PAGES;
}

void __init lib_outside_setup(void)
{
	lib_outside_pages = pfn_to_page(max_low_pfn);
}

void *lib_outside_address(const void *page)
{
	const struct page *first = lib_outside_pages;

	return (void *)lib_outside_base +
	       (((const struct page *)page - first) << PAGE_SHIFT);
}
EXPORT_SYMBOL(lib_outside_address);

/* Pages for that many bytes, at most LIB_OUTSIDE_BYTES, or NULL when lent. */
struct page *lib_outside_borrow(void *buffer)
{
	if (lib_outside_base)
		return NULL;
	lib_outside_base = (unsigned long)buffer & PAGE_MASK;
	return (struct page *)lib_outside_pages;
}

void lib_outside_return(void)
{
	lib_outside_base = 0;
}
