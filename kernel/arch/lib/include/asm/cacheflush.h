/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_CACHEFLUSH_H
#define _ASM_LIB_CACHEFLUSH_H

/*
 * Caches need no care. But these two calls bracket the life of a mapping made
 * by vmap(), which is when the host must show or hide it.
 */
void lib_vmap_show(unsigned long start, unsigned long end);
void lib_vmap_hide(unsigned long start, unsigned long end);

#define flush_cache_vmap(start, end) lib_vmap_show((start), (end))
#define flush_cache_vmap_early(start, end) lib_vmap_show((start), (end))
#define flush_cache_vunmap(start, end) lib_vmap_hide((start), (end))

#include <asm-generic/cacheflush.h>

#endif
