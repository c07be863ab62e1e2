// SPDX-License-Identifier: GPL-2.0-only
/* From the host's description of the machine to what start_kernel() wants. */
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <asm/lib.h>
#include <asm/sections.h>
#include <asm/setup.h>

static char lib_command_line[COMMAND_LINE_SIZE];

unsigned long lib_vmalloc_start;
unsigned long lib_vmalloc_end;
unsigned long lib_user_start;
EXPORT_SYMBOL(lib_vmalloc_start);
EXPORT_SYMBOL(lib_vmalloc_end);

void *lib_zero_page;
EXPORT_SYMBOL(lib_zero_page);
pgd_t swapper_pg_dir[PTRS_PER_PGD] __aligned(PAGE_SIZE);

/*
 * Physical memory is [data, bss, arena]. Everything up to the arena is in use;
 * init data is given back later by free_initmem().
 */
static void __init lib_setup_memory(void)
{
	unsigned long used = lib_cpu.arena - lib_cpu.memory;
	unsigned long zones[MAX_NR_ZONES] = { 0 };

	memblock_add(LIB_PHYS_BASE, lib_cpu.memory_bytes & PAGE_MASK);
	memblock_reserve(LIB_PHYS_BASE, used);

	min_low_pfn = PFN_UP(LIB_PHYS_BASE);
	max_low_pfn = PFN_DOWN(LIB_PHYS_BASE + lib_cpu.memory_bytes);
	max_pfn = max_low_pfn;
	max_mapnr = max_low_pfn - min_low_pfn;
	high_memory = __va(PFN_PHYS(max_low_pfn));

	lib_fresh_setup(used);
	lib_hold_rest();
	setup_initial_init_mm(_stext, _etext, _edata, _end);

	lib_zero_page = memblock_alloc(PAGE_SIZE, PAGE_SIZE);
	if (!lib_zero_page)
		panic("no memory for the zero page");
	zones[ZONE_NORMAL] = lib_outside_add();
	lib_keep_together();
	free_area_init(zones);
	lib_outside_setup();
}

void __init setup_arch(char **command_line)
{
	strscpy(boot_command_line, lib_cpu.command_line, COMMAND_LINE_SIZE);
	strscpy(lib_command_line, lib_cpu.command_line, COMMAND_LINE_SIZE);
	*command_line = lib_command_line;
	lib_watch_panics();
	lib_vmalloc_start = lib_cpu.vmalloc;
	lib_vmalloc_end = lib_cpu.vmalloc + lib_cpu.vmalloc_bytes;
	lib_user_start = lib_cpu.user;
	parse_early_param();
	lib_setup_memory();
	/* Enough for a ready random generator from the start. */
	add_bootloader_randomness(lib_cpu.seed, sizeof(lib_cpu.seed));
	memzero_explicit(lib_cpu.seed, sizeof(lib_cpu.seed));
}

void __init mem_init(void)
{
	lib_keep_together();
	memblock_free_all();
}

/*
 * Promise no memory that is not there. The killer of tasks that come too late
 * otherwise finds only init, and killing init is the end of the kernel; this
 * way tmpfs says ENOSPC and mmap ENOMEM. The rest is for the kernel itself.
 */
#define LIB_COMMIT_PERCENT 75

static int __init lib_limit_commitments(void)
{
	unsigned long free = global_zone_page_state(NR_FREE_PAGES);

	sysctl_overcommit_memory = OVERCOMMIT_NEVER;
	sysctl_overcommit_kbytes = free * LIB_COMMIT_PERCENT / 100
				   << (PAGE_SHIFT - 10);
	return 0;
}
late_initcall_sync(lib_limit_commitments);

/* Code is in the image file; only init data is memory that can be reused. */
void free_initmem(void)
{
	free_initmem_default(-1);
}

static void *lib_cpuinfo_start(struct seq_file *file, loff_t *position)
{
	return *position ? NULL : (void *)1;
}

static void *lib_cpuinfo_next(struct seq_file *file, void *item,
			      loff_t *position)
{
	++*position;
	return NULL;
}

static void lib_cpuinfo_stop(struct seq_file *file, void *item)
{
}

static int lib_cpuinfo_show(struct seq_file *file, void *item)
{
	seq_puts(file, "processor\t: 0\nmodel name\t: library\n");
	return 0;
}

const struct seq_operations cpuinfo_op = {
	.start = lib_cpuinfo_start,
	.next = lib_cpuinfo_next,
	.stop = lib_cpuinfo_stop,
	.show = lib_cpuinfo_show,
};
