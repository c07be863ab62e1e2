/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_TLBFLUSH_H
#define _ASM_LIB_TLBFLUSH_H

#include <linux/mm_types.h>

void lib_tlb_flush(struct mm_struct *mm, unsigned long start,
		   unsigned long end);
bool lib_tlb_present(struct mm_struct *mm, unsigned long address);
int lib_tlb_fill(struct mm_struct *mm, unsigned long address, bool is_write,
		 unsigned long end);

static inline void flush_tlb_mm(struct mm_struct *mm)
{
	lib_tlb_flush(mm, 0, ~0UL);
}

void flush_tlb_range(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end);
void flush_tlb_page(struct vm_area_struct *vma, unsigned long address);

static inline void flush_tlb_kernel_range(unsigned long start,
					  unsigned long end)
{
	/* flush_cache_vunmap() has hidden what is gone; see mm/tlb.c. */
}

void flush_tlb_all(void);

#endif
