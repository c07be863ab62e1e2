/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_TLB_H
#define _ASM_LIB_TLB_H

struct mmu_gather;
static inline void tlb_flush(struct mmu_gather *tlb);
#define tlb_flush tlb_flush

#include <asm-generic/tlb.h>

static inline void tlb_flush(struct mmu_gather *tlb)
{
	if (tlb->fullmm || tlb->need_flush_all)
		lib_tlb_flush(tlb->mm, 0, ~0UL);
	else if (tlb->end)
		lib_tlb_flush(tlb->mm, tlb->start, tlb->end);
}

#endif
