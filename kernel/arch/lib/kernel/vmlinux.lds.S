/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two segments. The first is never written and is shared by all kernels of a
 * process: headers, relocations, code. The second is copied for each kernel
 * when it is touched, and it is where physical memory begins: read-only data
 * (which has pointers, and so needs relocating), data, bss.
 */
#include <asm/page.h>
#include <asm/thread_info.h>
#include <asm/cache.h>

#define RO_EXCEPTION_TABLE_ALIGN 8

#include <asm-generic/vmlinux.lds.h>

OUTPUT_FORMAT(elf64-x86-64)
OUTPUT_ARCH(i386:x86-64)
ENTRY(lib_image)

PHDRS
{
	text PT_LOAD FILEHDR PHDRS FLAGS(5);
	data PT_LOAD FLAGS(6);
	dynamic PT_DYNAMIC FLAGS(6);
	note PT_NOTE FLAGS(4);
	stack PT_GNU_STACK FLAGS(6);
}

jiffies = jiffies_64;

SECTIONS
{
	. = SIZEOF_HEADERS;
	.note.gnu.build-id : { *(.note.gnu.build-id) } :text :note
	.hash : { *(.hash) } :text
	.gnu.hash : { *(.gnu.hash) }
	.dynsym : { *(.dynsym) }
	.dynstr : { *(.dynstr) }
	.rela.plt : { *(.rela.plt) *(.rela.iplt) }
	.rela.dyn : { *(.rela .rela.*) }
	.relr.dyn : { *(.relr.dyn) }

	. = ALIGN(PAGE_SIZE);
	_text = .;
	_stext = .;
	.text : {
#include "order.lds.h"
		TEXT_TEXT
		*(.text.*)
		SCHED_TEXT
		LOCK_TEXT
#ifdef CPUIDLE_TEXT /* Linux 6.1; later it is part of .noinstr.text */
		CPUIDLE_TEXT
#endif
		KPROBES_TEXT
		IRQENTRY_TEXT
		SOFTIRQENTRY_TEXT
		*(.fixup)
		*(.gnu.warning)
		*(.plt .plt.* .iplt)
	}
	_etext = .;
	. = ALIGN(PAGE_SIZE);
	.init.text : {
		_sinittext = .;
		INIT_TEXT
		*(.exit.text .exit.text.*)
		_einittext = .;
	}

	. = ALIGN(0x10000);
	lib_memory_start = .;
	/* First, because sections follow their predecessor into a segment. */
	.dynamic : { *(.dynamic) } :data :dynamic
	.got : { *(.got) *(.got.plt) *(.igot .igot.plt) } :data
	RO_DATA(PAGE_SIZE)
	.lib_extable : {
		__start_lib_extable = .;
		KEEP(*(__lib_extable))
		__stop_lib_extable = .;
	}

	. = ALIGN(PAGE_SIZE);
	__init_begin = .;
	INIT_DATA_SECTION(16)
	.exit.data : { EXIT_DATA }
	PERCPU_SECTION(L1_CACHE_BYTES)
	. = ALIGN(PAGE_SIZE);
	__init_end = .;

	/* Not before what is freed after boot: namespaces take settings in there for those of all. */
	_sdata = .;
	.data.image : { KEEP(*(.data.image)) }
	RW_DATA(L1_CACHE_BYTES, PAGE_SIZE, THREAD_SIZE)
	.data.rel : { *(.data.rel .data.rel.*) }
	_edata = .;

	BSS_SECTION(PAGE_SIZE, PAGE_SIZE, PAGE_SIZE)
	. = ALIGN(PAGE_SIZE);
	_end = .;

	DWARF_DEBUG
	ELF_DETAILS

	DISCARDS
	/DISCARD/ : {
		*(.interp)
		*(.eh_frame .eh_frame_hdr)
		*(.gnu.version*)
	}
}
