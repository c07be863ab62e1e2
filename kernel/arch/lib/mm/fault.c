// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: an access of kernel or host code to an address that the host does
 * not show. There are three kinds.
 *
 *  - A page of a kernel-made mapping that is not in the host's address space
 *    yet: generic code finds or makes the page, and the entry is realised.
 *  - A bad pointer given to a system call: the access has a fixup, and the
 *    call says EFAULT.
 *  - Anything else is a bug of the kernel, and its end. So is every other
 *    fault of the machine: a division, an instruction, a stack that is full.
 *
 * The host's signal handler has left its signal context before it calls
 * lib_fault(), so a fault may sleep, and wake up on another host thread.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/lib.h>
#include <asm/sections.h>
#include <asm/tlbflush.h>

#define LIB_FAULT_TRIES 64

/*
 * Fresh anonymous pages that are made with the one that was asked for: a fault
 * costs a signal and a host mapping, more than eight microseconds.
 */
#define LIB_ANONYMOUS_AHEAD 15

extern const struct exception_table_entry __start_lib_extable[];
extern const struct exception_table_entry __stop_lib_extable[];

/* Where to go on after a failed access at `ip`; 0 when it has no fixup. */
static unsigned long lib_fixup(unsigned long ip)
{
	const struct exception_table_entry *entry;

	for (entry = __start_lib_extable; entry < __stop_lib_extable; entry++)
		if ((unsigned long)&entry->insn + entry->insn == ip)
			return (unsigned long)&entry->fixup + entry->fixup;
	return 0;
}

static bool lib_allowed(struct vm_area_struct *vma, bool is_write)
{
	if (is_write)
		return vma->vm_flags & VM_WRITE;
	return vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC);
}

/* Memory that is written for the first time is mostly written in a row. */
static void lib_make_ahead(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long end =
		min(vma->vm_end, (address & PAGE_MASK) +
					 (1 + LIB_ANONYMOUS_AHEAD) * PAGE_SIZE);

	if (!vma_is_anonymous(vma))
		return;
	for (address += PAGE_SIZE; address < end; address += PAGE_SIZE) {
		if (lib_tlb_present(vma->vm_mm, address))
			return;
		/* Without FAULT_FLAG_ALLOW_RETRY the lock is not dropped. */
		if (handle_mm_fault(vma, address,
				    FAULT_FLAG_USER | FAULT_FLAG_WRITE, NULL))
			return;
	}
}

/* Make the page there and let the host see it. -EFAULT when it may not be. */
static long lib_user_fault(struct mm_struct *mm, unsigned long address,
			   bool is_write)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | FAULT_FLAG_USER;
	struct vm_area_struct *vma;
	vm_fault_t fault;
	int tries, error;

	if (is_write)
		flags |= FAULT_FLAG_WRITE;
	for (tries = 0; tries < LIB_FAULT_TRIES; tries++) {
		mmap_read_lock(mm);
		vma = find_vma(mm, address);
		if (!vma || vma->vm_start > address ||
		    !lib_allowed(vma, is_write)) {
			mmap_read_unlock(mm);
			return -EFAULT;
		}
		/* Another fiber's fault may have filled the tables already. */
		error = lib_tlb_fill(mm, address, is_write, vma->vm_end);
		if (error != -EAGAIN) {
			mmap_read_unlock(mm);
			return error;
		}
		fault = handle_mm_fault(vma, address, flags, NULL);
		if (fault_signal_pending(fault, current_pt_regs())) {
			if (!(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
				mmap_read_unlock(mm);
			return -EINTR;
		}
		if (fault & VM_FAULT_COMPLETED)
			continue;
		if (fault & VM_FAULT_RETRY) {
			flags |= FAULT_FLAG_TRIED;
			continue;
		}
		if (fault & VM_FAULT_ERROR) {
			mmap_read_unlock(mm);
			return fault & VM_FAULT_OOM ? -ENOMEM : -EFAULT;
		}
		if (is_write)
			lib_make_ahead(vma, address);
		error = lib_tlb_fill(mm, address, is_write, vma->vm_end);
		mmap_read_unlock(mm);
		if (error != -EAGAIN)
			return error;
	}
	return -EFAULT;
}

/* A fault of host code outside the kernel, brought in as a call. */
long lib_host_fault(unsigned long address, bool is_write)
{
	return lib_user_fault(current->mm, address, is_write);
}

static void lib_describe(const struct ll_fault *fault, char *text, int bytes)
{
	switch (fault->kind) {
	case LL_FAULT_PAGE:
		snprintf(text, bytes, "%s at bad address 0x%llx",
			 fault->address == fault->ip ? "jump" :
			 fault->is_write	     ? "write" :
						       "read",
			 fault->address);
		break;
	case LL_FAULT_PROTECTION:
		snprintf(text, bytes, "general protection fault");
		break;
	case LL_FAULT_BUS:
		snprintf(text, bytes, "no memory from the host at 0x%llx",
			 fault->address);
		break;
	case LL_FAULT_DIVISION:
		snprintf(text, bytes, "division error");
		break;
	case LL_FAULT_INSTRUCTION:
		snprintf(text, bytes, "invalid instruction");
		break;
	case LL_FAULT_OVERFLOW:
		snprintf(text, bytes, "stack overflow");
		break;
	case LL_FAULT_ABORT:
		snprintf(text, bytes, "aborted by the host");
		break;
	default:
		snprintf(text, bytes, "fault %u", fault->kind);
	}
}

static void __noreturn lib_oops(struct ll_fault *fault)
{
	static bool begun;
	char *text = lib_cpu.message;

	/* A fault in what a fault has brought on: the first is what counts. */
	if (lib_dying || begun) {
		lib_dying = true;
		lib_stop();
	}
	begun = true;
	lib_describe(fault, text, sizeof(lib_cpu.message));
	lib_report_death(fault);
	pr_emerg("BUG: %s, text+0x%llx\n", text, fault->ip - (u64)_stext);
	pr_emerg("Task %s, pid %d, system call %lld\n", current->comm,
		 task_pid_nr(current), lib_cpu.report.tasks[0].call);
	show_stack(current, (unsigned long *)fault->sp, KERN_EMERG);
	add_taint(TAINT_DIE, LOCKDEP_STILL_OK);
	panic("%s", text);
}

static bool lib_between(u64 address, u64 start, u64 bytes)
{
	return address - start < bytes;
}

void lib_fault(struct ll_fault *fault)
{
	struct mm_struct *mm = current->mm;
	unsigned long fixup;

	if (fault->kind == LL_FAULT_DIVISION ||
	    fault->kind == LL_FAULT_INSTRUCTION ||
	    fault->kind == LL_FAULT_OVERFLOW)
		lib_oops(fault);
	/* The kernel's code is in the image, and never in a window. */
	if (fault->address == fault->ip)
		lib_oops(fault);
	if (lib_between(fault->address, lib_cpu.vmalloc,
			lib_cpu.vmalloc_bytes)) {
		if (!lib_tlb_fill(&init_mm, fault->address, fault->is_write,
				  lib_cpu.vmalloc + lib_cpu.vmalloc_bytes))
			return;
	} else if (mm && !faulthandler_disabled() &&
		   lib_between(fault->address, lib_cpu.user,
			       lib_cpu.user_bytes)) {
		if (!lib_user_fault(mm, fault->address, fault->is_write))
			return;
	}
	fixup = lib_fixup(fault->ip);
	if (!fixup)
		lib_oops(fault);
	fault->ip = fixup;
}
