/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_ELF_H
#define _ASM_LIB_ELF_H

#include <asm/ptrace.h>

/* No ELF file is executed yet, but headers want the names of the format. */
#define ELF_CLASS ELFCLASS64
#define ELF_DATA ELFDATA2LSB
#define ELF_ARCH EM_X86_64
#define ELF_EXEC_PAGESIZE PAGE_SIZE
#define ELF_ET_DYN_BASE lib_user_start
#define ELF_HWCAP 0
#define ELF_PLATFORM NULL
#define elf_check_arch(header) ((header)->e_machine == EM_X86_64)
#define ELF_NGREG (sizeof(struct user_pt_regs) / sizeof(elf_greg_t))

typedef unsigned long elf_greg_t;
typedef elf_greg_t elf_gregset_t[12];
typedef struct {
	unsigned long unused;
} elf_fpregset_t;

#endif
