/* SPDX-License-Identifier: GPL-2.0-only */
/* The one CPU of this kernel: its registers are the boundary's. */
#ifndef _ASM_LIB_CPU_H
#define _ASM_LIB_CPU_H

#include <asm/boundary.h>

extern struct ll_cpu lib_cpu;

#endif
