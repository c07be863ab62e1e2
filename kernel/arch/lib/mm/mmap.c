// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where mappings of library tasks go: into the window of host addresses that
 * was reserved for them, and nowhere else, for the rest belongs to the host.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/version.h>
#include <asm/lib.h>

static const pgprot_t lib_protections[16] = {
	[VM_NONE] = PAGE_NONE,
	[VM_READ] = PAGE_READONLY,
	[VM_WRITE] = PAGE_COPY,
	[VM_WRITE | VM_READ] = PAGE_COPY,
	[VM_EXEC] = PAGE_READONLY_EXEC,
	[VM_EXEC | VM_READ] = PAGE_READONLY_EXEC,
	[VM_EXEC | VM_WRITE] = PAGE_READONLY_EXEC,
	[VM_EXEC | VM_WRITE | VM_READ] = PAGE_READONLY_EXEC,
	[VM_SHARED] = PAGE_NONE,
	[VM_SHARED | VM_READ] = PAGE_READONLY,
	[VM_SHARED | VM_WRITE] = PAGE_SHARED,
	[VM_SHARED | VM_WRITE | VM_READ] = PAGE_SHARED,
	[VM_SHARED | VM_EXEC] = PAGE_READONLY_EXEC,
	[VM_SHARED | VM_EXEC | VM_READ] = PAGE_READONLY_EXEC,
	[VM_SHARED | VM_EXEC | VM_WRITE] = PAGE_SHARED_EXEC,
	[VM_SHARED | VM_EXEC | VM_WRITE | VM_READ] = PAGE_SHARED_EXEC,
};

pgprot_t vm_get_page_prot(unsigned long flags)
{
	return lib_protections[flags &
			       (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED)];
}
EXPORT_SYMBOL(vm_get_page_prot);

static bool lib_in_window(unsigned long address, unsigned long bytes)
{
	return address >= lib_cpu.user && bytes <= lib_cpu.user_bytes &&
	       address - lib_cpu.user <= lib_cpu.user_bytes - bytes;
}

static unsigned long lib_unmapped_area(unsigned long address,
				       unsigned long bytes, unsigned long flags)
{
	struct vm_unmapped_area_info info = {
		.length = bytes,
		.low_limit = lib_cpu.user,
		.high_limit = lib_cpu.user + lib_cpu.user_bytes,
	};

	if (flags & MAP_FIXED)
		return lib_in_window(address, bytes) ? address : -ENOMEM;
	address = PAGE_ALIGN(address);
	if (address && lib_in_window(address, bytes) &&
	    !find_vma_intersection(current->mm, address, address + bytes))
		return address;
	return vm_unmapped_area(&info);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
unsigned long arch_get_unmapped_area(struct file *file, unsigned long address,
				     unsigned long bytes, unsigned long offset,
				     unsigned long flags, vm_flags_t vm_flags)
{
	return lib_unmapped_area(address, bytes, flags);
}

unsigned long
arch_get_unmapped_area_topdown(struct file *file, unsigned long address,
			       unsigned long bytes, unsigned long offset,
			       unsigned long flags, vm_flags_t vm_flags)
{
	return lib_unmapped_area(address, bytes, flags);
}
#else
unsigned long arch_get_unmapped_area(struct file *file, unsigned long address,
				     unsigned long bytes, unsigned long offset,
				     unsigned long flags)
{
	return lib_unmapped_area(address, bytes, flags);
}

unsigned long arch_get_unmapped_area_topdown(struct file *file,
					     unsigned long address,
					     unsigned long bytes,
					     unsigned long offset,
					     unsigned long flags)
{
	return lib_unmapped_area(address, bytes, flags);
}
#endif
