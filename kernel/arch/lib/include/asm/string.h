/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_STRING_H
#define _ASM_LIB_STRING_H

#include <linux/types.h>

#define __HAVE_ARCH_MEMCPY
extern void *memcpy(void *to, const void *from, size_t bytes);

#define __HAVE_ARCH_MEMMOVE
extern void *memmove(void *to, const void *from, size_t bytes);

#define __HAVE_ARCH_MEMSET
extern void *memset(void *to, int value, size_t bytes);

#define __HAVE_ARCH_MEMCMP
extern int memcmp(const void *left, const void *right, size_t bytes);

#endif
