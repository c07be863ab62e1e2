// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's address space as the TLB of our page tables: entries become host
 * mappings (lib_tlb_fill) and stop being so (lib_tlb_flush). A mapping of the
 * host may be missing at any time; it may never contradict the page tables.
 *
 * Kernel mappings are filled when vmap() has made them and flushed when they
 * are taken down. Flushes of the whole kernel range are not needed then.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <asm/cacheflush.h>
#include <asm/lib.h>
#include <asm/tlbflush.h>

/* Pages that follow a faulting one and are filled with it. */
#define LIB_FILL_AHEAD 64

/* The entry for an address, or NULL when there is no table for it. */
static pte_t *lib_find_entry(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d = p4d_offset(pgd, address);
	pud_t *pud;
	pmd_t *pmd;

	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (pud_none(*pud))
		return NULL;
	pmd = pmd_offset(pud, address);
	if (pmd_none(*pmd))
		return NULL;
	return pte_offset_kernel(pmd, address);
}

/* Is there anything for this address, present or swapped out? */
bool lib_tlb_present(struct mm_struct *mm, unsigned long address)
{
	pte_t *pte = lib_find_entry(mm, address);

	return pte && !pte_none(*pte);
}

/* What the host may let through: a clean page must fault when written to. */
static u32 lib_protection(pte_t pte)
{
	unsigned long bits = pte_val(pte);
	u32 protection = 0;

	if (!(bits & _PAGE_PRESENT) || !(bits & _PAGE_ACCESSED))
		return 0;
	if (bits & _PAGE_READ)
		protection |= LL_PROT_READ;
	if ((bits & _PAGE_WRITE) && (bits & _PAGE_DIRTY))
		protection |= LL_PROT_READ | LL_PROT_WRITE;
	if (protection && (bits & _PAGE_EXEC))
		protection |= LL_PROT_EXEC;
	return protection;
}

static void lib_tlb_note(struct mm_struct *mm, unsigned long start,
			 unsigned long end)
{
	mm->context.first = min(mm->context.first, start);
	mm->context.last = max(mm->context.last, end);
}

/*
 * Realise the entries of [start, end), runs of consecutive frames with one
 * host call each. Stops at the first entry that says no access. Returns the
 * number of bytes realised, or -errno when the host cannot do even the first.
 */
static long lib_fill_range(struct mm_struct *mm, unsigned long start,
			   unsigned long end)
{
	unsigned long address = start, run, frame;
	u32 protection;
	pte_t *pte;
	int error;

	while (address < end) {
		pte = lib_find_entry(mm, address);
		if (!pte)
			break;
		protection = lib_protection(*pte);
		if (!protection)
			break;
		frame = pte_pfn(*pte);
		for (run = address + PAGE_SIZE; run < end; run += PAGE_SIZE) {
			pte = lib_find_entry(mm, run);
			if (!pte || lib_protection(*pte) != protection ||
			    pte_pfn(*pte) !=
				    frame + ((run - address) >> PAGE_SHIFT))
				break;
		}
		lib_tlb_note(mm, address, run);
		error = lib_cpu.ops->alias(lib_cpu.host, address,
					   PFN_PHYS(frame) - LIB_PHYS_BASE,
					   run - address, protection);
		if (error)
			return address > start ? address - start : error;
		address = run;
	}
	return address - start;
}

/*
 * Fill the entry for `address` and some that follow. Returns 0, -EAGAIN when
 * the page tables do not allow this access (yet), or -errno of the host.
 */
int lib_tlb_fill(struct mm_struct *mm, unsigned long address, bool is_write,
		 unsigned long end)
{
	unsigned long start = address & PAGE_MASK;
	pte_t *pte = lib_find_entry(mm, start);
	u32 wanted = is_write ? LL_PROT_WRITE : LL_PROT_READ;
	long filled;

	if (!pte || !(lib_protection(*pte) & wanted))
		return -EAGAIN;
	end = min(end, start + LIB_FILL_AHEAD * PAGE_SIZE);
	filled = lib_fill_range(mm, start, end);
	if (filled == -ENOMEM) {
		/* The host's table of mappings is full: begin anew. */
		lib_tlb_flush(mm, 0, ~0UL);
		filled = lib_fill_range(mm, start, start + PAGE_SIZE);
	}
	return filled < 0 ? filled : 0;
}

void lib_tlb_flush(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	start = max(start, mm->context.first) & PAGE_MASK;
	end = min(end, mm->context.last);
	if (start >= end)
		return;
	if (lib_cpu.ops->unalias(lib_cpu.host, start, PAGE_ALIGN(end) - start))
		panic("the host cannot take down a mapping");
	if (start == mm->context.first && end == mm->context.last) {
		mm->context.first = ~0UL;
		mm->context.last = 0;
	}
}

void flush_tlb_range(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	lib_tlb_flush(vma->vm_mm, start, end);
}

void flush_tlb_page(struct vm_area_struct *vma, unsigned long address)
{
	lib_tlb_flush(vma->vm_mm, address, address + PAGE_SIZE);
}

void flush_tlb_all(void)
{
	if (current->mm)
		flush_tlb_mm(current->mm);
}

void lib_vmap_show(unsigned long start, unsigned long end)
{
	long filled = lib_fill_range(&init_mm, start, end);

	if (filled < 0)
		pr_err("vmap: the host refuses a mapping: %ld\n", filled);
}

void lib_vmap_hide(unsigned long start, unsigned long end)
{
	if (lib_cpu.ops->unalias(lib_cpu.host, start, end - start))
		panic("the host cannot take down a mapping");
}
