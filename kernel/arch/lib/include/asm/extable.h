/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_EXTABLE_H
#define _ASM_LIB_EXTABLE_H

/*
 * Relative, so that nothing of it needs relocation. Our own entries are in
 * a section that is never sorted (mm/fault.c looks through all of it: only
 * after a bad pointer), because sorting it would cost every boot.
 */
struct exception_table_entry {
	int insn, fixup;
};

#define ARCH_HAS_RELATIVE_EXTABLE

struct pt_regs;
int fixup_exception(struct pt_regs *regs);

#endif
