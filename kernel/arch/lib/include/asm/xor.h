/* SPDX-License-Identifier: GPL-2.0-only */
/* One routine, chosen here: measuring them all would cost every boot. */
#ifndef _ASM_LIB_XOR_H
#define _ASM_LIB_XOR_H

#include <asm-generic/xor.h>

#define XOR_SELECT_TEMPLATE(fastest) (&xor_block_8regs)

#endif
