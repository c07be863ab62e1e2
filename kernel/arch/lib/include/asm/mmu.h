/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_MMU_H
#define _ASM_LIB_MMU_H

/*
 * The host's address space is the TLB. `first` to `last` is the range in which
 * entries of this mm may have been realised as host mappings.
 */
typedef struct {
	unsigned long first;
	unsigned long last;
} mm_context_t;

#endif
