/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical memory is the image's own data and bss followed by the arena, in
 * one stretch of host memory. It is numbered from a small constant base, not
 * by host addresses, so that page frame numbers start near zero.
 */
#ifndef _ASM_LIB_PAGE_H
#define _ASM_LIB_PAGE_H

#include <linux/const.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE (_AC(1, UL) << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* The first physical address. Not zero: a null pfn should stay invalid. */
#define LIB_PHYS_BASE (_AC(1, UL) << 20)

#ifndef __ASSEMBLY__

#include <linux/types.h>
#include <asm/string.h>

typedef struct {
	unsigned long pte;
} pte_t;
typedef struct {
	unsigned long pmd;
} pmd_t;
typedef struct {
	unsigned long pud;
} pud_t;
typedef struct {
	unsigned long pgd;
} pgd_t;
typedef struct {
	unsigned long pgprot;
} pgprot_t;
typedef struct page *pgtable_t;

#define pte_val(x) ((x).pte)
#define pmd_val(x) ((x).pmd)
#define pud_val(x) ((x).pud)
#define pgd_val(x) ((x).pgd)
#define pgprot_val(x) ((x).pgprot)
#define __pte(x) ((pte_t){ (x) })
#define __pmd(x) ((pmd_t){ (x) })
#define __pud(x) ((pud_t){ (x) })
#define __pgd(x) ((pgd_t){ (x) })
#define __pgprot(x) ((pgprot_t){ (x) })

/* First byte of physical memory, as a host address. */
extern char lib_memory_start[];

#define PAGE_OFFSET ((unsigned long)lib_memory_start)
#define ARCH_PFN_OFFSET (LIB_PHYS_BASE >> PAGE_SHIFT)

#define __pa(x) ((unsigned long)(x) - PAGE_OFFSET + LIB_PHYS_BASE)
#define __va(x) ((void *)((unsigned long)(x) - LIB_PHYS_BASE + PAGE_OFFSET))
#define __pa_symbol(x) __pa(RELOC_HIDE((unsigned long)(x), 0))

#define virt_to_pfn(x) (__pa(x) >> PAGE_SHIFT)
#define virt_to_page(x) pfn_to_page(virt_to_pfn(x))
#define page_to_virt(page)                                                     \
	(likely((const void *)(page) < lib_outside_pages) ?                    \
		 __va(page_to_pfn(page) << PAGE_SHIFT) :                       \
		 lib_outside_address(page))
#define pfn_to_virt(pfn) __va((unsigned long)(pfn) << PAGE_SHIFT)
#define pfn_to_kaddr(pfn) pfn_to_virt(pfn)
#define page_to_phys(page) ((phys_addr_t)page_to_pfn(page) << PAGE_SHIFT)
#define phys_to_page(phys) pfn_to_page((phys) >> PAGE_SHIFT)

/* Pages that are memory of the embedding program (mm/outside.c). */
extern const void *lib_outside_pages;
void *lib_outside_address(const void *page);

extern unsigned long max_mapnr;

#define pfn_valid pfn_valid
static inline int pfn_valid(unsigned long pfn)
{
	return pfn - ARCH_PFN_OFFSET < max_mapnr;
}

#define virt_addr_valid(x) pfn_valid(virt_to_pfn(x))

/*
 * Memory that nobody has had yet is zero, and not even there: the host makes a
 * page when it is first touched. So the page allocator, which clears what it
 * has just told arch_alloc_page() of, leaves such pages alone (mm/fresh.c).
 */
struct page;
#define HAVE_ARCH_ALLOC_PAGE
void arch_alloc_page(struct page *page, int order);

extern unsigned long lib_fresh_start;
extern unsigned long lib_fresh_bytes;

#ifdef KBUILD_BASENAME
/* Folded by the compiler: in one file, whose only clearing is that one. */
#define LIB_IN_PAGE_ALLOCATOR (!__builtin_strcmp(KBUILD_BASENAME, "page_alloc"))
#else
#define LIB_IN_PAGE_ALLOCATOR 0
#endif

static inline void clear_page(void *page)
{
	if (LIB_IN_PAGE_ALLOCATOR &&
	    (unsigned long)page - lib_fresh_start < lib_fresh_bytes)
		return;
	memset(page, 0, PAGE_SIZE);
}

#define copy_page(to, from) memcpy((to), (from), PAGE_SIZE)
#define clear_user_page(page, vaddr, pg) clear_page(page)
#define copy_user_page(to, from, vaddr, pg) copy_page(to, from)

#define VM_DATA_DEFAULT_FLAGS VM_DATA_FLAGS_NON_EXEC

#include <asm-generic/memory_model.h>
#include <asm-generic/getorder.h>

#endif

#endif
