/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables that no hardware reads: four levels, kept by generic code, with
 * bits of our own choice. What they say becomes true in the host when an
 * access faults (mm/fault.c) and stops being true with a TLB flush (mm/tlb.c).
 */
#ifndef _ASM_LIB_PGTABLE_H
#define _ASM_LIB_PGTABLE_H

#include <linux/const.h>
#include <linux/version.h>
#include <asm/page.h>

#define PTRS_PER_PTE 512
#define PTRS_PER_PMD 512
#define PTRS_PER_PUD 512
#define PTRS_PER_PGD 512

#define PMD_SHIFT 21
#define PUD_SHIFT 30
#define PGDIR_SHIFT 39

#define PMD_SIZE (_AC(1, UL) << PMD_SHIFT)
#define PMD_MASK (~(PMD_SIZE - 1))
#define PUD_SIZE (_AC(1, UL) << PUD_SHIFT)
#define PUD_MASK (~(PUD_SIZE - 1))
#define PGDIR_SIZE (_AC(1, UL) << PGDIR_SHIFT)
#define PGDIR_MASK (~(PGDIR_SIZE - 1))
#define USER_PTRS_PER_PGD 256

#ifndef __ASSEMBLY__

#include <asm-generic/pgtable-nop4d.h>

/* Bits 12 to 51 are the frame. The rest of an entry: */
#define _PAGE_PRESENT (_AC(1, UL) << 0)
#define _PAGE_WRITE (_AC(1, UL) << 1)
#define _PAGE_READ (_AC(1, UL) << 2)
#define _PAGE_EXEC (_AC(1, UL) << 3)
#define _PAGE_ACCESSED (_AC(1, UL) << 4)
#define _PAGE_DIRTY (_AC(1, UL) << 5)
#define _PAGE_SPECIAL (_AC(1, UL) << 6)
#define _PAGE_USER (_AC(1, UL) << 7)
/* In swap entries, which are not present. */
#define _PAGE_SWP_EXCLUSIVE (_AC(1, UL) << 8)

#define PFN_PTE_SHIFT PAGE_SHIFT
#define _PAGE_FRAME (((_AC(1, UL) << 52) - 1) & PAGE_MASK)
#define _PAGE_KEPT (_PAGE_FRAME | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL)

#define LIB_PAGE(bits) __pgprot(_PAGE_PRESENT | _PAGE_ACCESSED | (bits))

/* Present, and no access: a mapping with PROT_NONE. */
#define PAGE_NONE LIB_PAGE(_PAGE_USER)
#define PAGE_READONLY LIB_PAGE(_PAGE_USER | _PAGE_READ)
#define PAGE_COPY PAGE_READONLY
#define PAGE_SHARED LIB_PAGE(_PAGE_USER | _PAGE_READ | _PAGE_WRITE)
#define PAGE_READONLY_EXEC LIB_PAGE(_PAGE_USER | _PAGE_READ | _PAGE_EXEC)
#define PAGE_SHARED_EXEC                                                     \
	LIB_PAGE(_PAGE_USER | _PAGE_READ | _PAGE_WRITE | _PAGE_EXEC)
#define PAGE_KERNEL LIB_PAGE(_PAGE_READ | _PAGE_WRITE | _PAGE_DIRTY)
#define PAGE_KERNEL_RO LIB_PAGE(_PAGE_READ)
#define PAGE_KERNEL_EXEC PAGE_KERNEL

#define pgprot_noncached(prot) (prot)
#define pgprot_writecombine(prot) (prot)

extern pgd_t swapper_pg_dir[PTRS_PER_PGD];
extern void *lib_zero_page;

#define ZERO_PAGE(address) virt_to_page(lib_zero_page)

/* The windows that the host reserved for this kernel. */
extern unsigned long lib_vmalloc_start;
extern unsigned long lib_vmalloc_end;

#define VMALLOC_START lib_vmalloc_start
#define VMALLOC_END lib_vmalloc_end

#define pte_ERROR(e) pr_err("bad pte %016lx\n", pte_val(e))
#define pmd_ERROR(e) pr_err("bad pmd %016lx\n", pmd_val(e))
#define pud_ERROR(e) pr_err("bad pud %016lx\n", pud_val(e))
#define pgd_ERROR(e) pr_err("bad pgd %016lx\n", pgd_val(e))

/* ---- tables ---- */

#define LIB_TABLE_OPS(level)                                                   \
	static inline int level##_none(level##_t entry)                       \
	{                                                                      \
		return level##_val(entry) == 0;                                \
	}                                                                      \
	static inline int level##_present(level##_t entry)                    \
	{                                                                      \
		return level##_val(entry) & _PAGE_PRESENT;                     \
	}                                                                      \
	static inline int level##_bad(level##_t entry)                        \
	{                                                                      \
		return (level##_val(entry) & ~_PAGE_FRAME) != _PAGE_PRESENT;   \
	}                                                                      \
	static inline void set_##level(level##_t *to, level##_t entry)        \
	{                                                                      \
		WRITE_ONCE(*to, entry);                                        \
	}                                                                      \
	static inline unsigned long level##_table(level##_t entry)            \
	{                                                                      \
		return (unsigned long)__va(level##_val(entry) & _PAGE_FRAME);  \
	}

LIB_TABLE_OPS(pmd)
LIB_TABLE_OPS(pud)
LIB_TABLE_OPS(p4d)

static inline void pmd_clear(pmd_t *pmd)
{
	set_pmd(pmd, __pmd(0));
}

static inline void pud_clear(pud_t *pud)
{
	set_pud(pud, __pud(0));
}

static inline void p4d_clear(p4d_t *p4d)
{
	set_p4d(p4d, __p4d(0));
}

static inline unsigned long pmd_page_vaddr(pmd_t pmd)
{
	return pmd_table(pmd);
}

static inline pmd_t *pud_pgtable(pud_t pud)
{
	return (pmd_t *)pud_table(pud);
}

static inline pud_t *p4d_pgtable(p4d_t p4d)
{
	return (pud_t *)p4d_table(p4d);
}

#define pmd_pfn(pmd) ((pmd_val(pmd) & _PAGE_FRAME) >> PAGE_SHIFT)
#define pmd_page(pmd) pfn_to_page(pmd_pfn(pmd))
#define pud_page(pud) pfn_to_page((pud_val(pud) & _PAGE_FRAME) >> PAGE_SHIFT)
#define p4d_page(p4d) pfn_to_page((p4d_val(p4d) & _PAGE_FRAME) >> PAGE_SHIFT)

/* ---- entries ---- */

#define pte_pfn(pte) ((pte_val(pte) & _PAGE_FRAME) >> PAGE_SHIFT)
#define pte_page(pte) pfn_to_page(pte_pfn(pte))
#define pfn_pte(pfn, prot)                                                     \
	__pte(((unsigned long)(pfn) << PAGE_SHIFT) | pgprot_val(prot))
#define mk_pte(page, prot) pfn_pte(page_to_pfn(page), (prot))

static inline int pte_none(pte_t pte)
{
	return pte_val(pte) == 0;
}

static inline int pte_present(pte_t pte)
{
	return pte_val(pte) & _PAGE_PRESENT;
}

static inline void set_pte(pte_t *to, pte_t pte)
{
	WRITE_ONCE(*to, pte);
}

#define pte_clear(mm, address, pte) set_pte((pte), __pte(0))

#define LIB_PTE_TEST(name, bit)                                                \
	static inline int pte_##name(pte_t pte)                                \
	{                                                                      \
		return (pte_val(pte) & (bit)) != 0;                            \
	}
#define LIB_PTE_SET(name, bit)                                                 \
	static inline pte_t pte_##name(pte_t pte)                              \
	{                                                                      \
		return __pte(pte_val(pte) | (bit));                            \
	}
#define LIB_PTE_CLEAR(name, bit)                                               \
	static inline pte_t pte_##name(pte_t pte)                              \
	{                                                                      \
		return __pte(pte_val(pte) & ~(bit));                           \
	}

LIB_PTE_TEST(write, _PAGE_WRITE)
LIB_PTE_TEST(young, _PAGE_ACCESSED)
LIB_PTE_TEST(dirty, _PAGE_DIRTY)
LIB_PTE_TEST(special, _PAGE_SPECIAL)
LIB_PTE_SET(mkyoung, _PAGE_ACCESSED)
LIB_PTE_SET(mkdirty, _PAGE_DIRTY)
LIB_PTE_SET(mkspecial, _PAGE_SPECIAL)
LIB_PTE_CLEAR(mkold, _PAGE_ACCESSED)
LIB_PTE_CLEAR(mkclean, _PAGE_DIRTY)
LIB_PTE_CLEAR(wrprotect, _PAGE_WRITE)
LIB_PTE_TEST(swp_exclusive, _PAGE_SWP_EXCLUSIVE)
LIB_PTE_SET(swp_mkexclusive, _PAGE_SWP_EXCLUSIVE)
LIB_PTE_CLEAR(swp_clear_exclusive, _PAGE_SWP_EXCLUSIVE)
#define __HAVE_ARCH_PTE_SWP_EXCLUSIVE

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
LIB_PTE_SET(mkwrite_novma, _PAGE_WRITE)
#else
LIB_PTE_SET(mkwrite, _PAGE_WRITE)
#define set_pte_at(mm, address, to, pte) set_pte((to), (pte))
#endif

static inline pte_t pte_modify(pte_t pte, pgprot_t prot)
{
	return __pte((pte_val(pte) & _PAGE_KEPT) |
		     (pgprot_val(prot) & ~_PAGE_KEPT));
}

/*
 * Swap entries: bits 0 and 8 stay clear (present, exclusive), the type is in
 * bits 1 to 5, the offset from bit 9 up.
 */
#define __swp_type(entry) (((entry).val >> 1) & 0x1f)
#define __swp_offset(entry) ((entry).val >> 9)
#define __swp_entry(type, offset)                                              \
	((swp_entry_t){ ((unsigned long)(type) << 1) |                         \
			((unsigned long)(offset) << 9) })
#define __pte_to_swp_entry(pte)                                                \
	((swp_entry_t){ pte_val(pte) & ~_PAGE_SWP_EXCLUSIVE })
#define __swp_entry_to_pte(entry) __pte((entry).val)

/* Entries are realised when an access faults, not when they are set. */
struct vm_fault;
struct vm_area_struct;
#define update_mmu_cache(vma, address, pte) do { } while (0)
#define update_mmu_cache_range(vmf, vma, address, pte, nr) do { } while (0)

#define HAVE_ARCH_UNMAPPED_AREA
#define HAVE_ARCH_UNMAPPED_AREA_TOPDOWN

#define kern_addr_valid(address) (1)

#endif

#endif
