// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the host: system calls by the numbers of x86-64, made from the
 * kernel's own table, and the few services of the port.
 */
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/syscalls.h>
#include <asm/lib.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

SYSCALL_DEFINE6(mmap, unsigned long, address, unsigned long, bytes,
		unsigned long, protection, unsigned long, flags, unsigned long,
		fd, unsigned long, offset)
{
	if (offset & ~PAGE_MASK)
		return -EINVAL;
	return ksys_mmap_pgoff(address, bytes, protection, flags, fd,
			       offset >> PAGE_SHIFT);
}

/*
 * What a task of the host process cannot do: tasks are made by LL_CALL_SPAWN,
 * and programs, their registers and segments are not ours to change.
 */
#define sys_arch_prctl sys_ni_syscall
#define sys_clone sys_ni_syscall
#define sys_clone3 sys_ni_syscall
#define sys_execve sys_ni_syscall
#define sys_execveat sys_ni_syscall
#define sys_fork sys_ni_syscall
#define sys_ioperm sys_ni_syscall
#define sys_iopl sys_ni_syscall
#define sys_map_shadow_stack sys_ni_syscall
#define sys_modify_ldt sys_ni_syscall
#define sys_rt_sigreturn sys_ni_syscall
#define sys_uretprobe sys_ni_syscall
#define sys_vfork sys_ni_syscall

/* Large reads have a way of their own. */
#define sys_read lib_read
#define sys_pread64 lib_pread64

typedef long (*lib_syscall_t)(u64, u64, u64, u64, u64, u64);

#define __SYSCALL_NORETURN __SYSCALL
#define __SYSCALL(nr, function) [nr] = (lib_syscall_t)(void *)(function),
static const lib_syscall_t lib_syscalls[NR_syscalls] = {
	[0 ... NR_syscalls - 1] = (lib_syscall_t)(void *)sys_ni_syscall,
#include <asm/syscall_table.h>
};
#undef __SYSCALL

/* The same table as text, for the host to know numbers by name. */
#undef sys_arch_prctl
#undef sys_clone
#undef sys_clone3
#undef sys_execve
#undef sys_execveat
#undef sys_fork
#undef sys_ioperm
#undef sys_iopl
#undef sys_map_shadow_stack
#undef sys_modify_ldt
#undef sys_pread64
#undef sys_read
#undef sys_rt_sigreturn
#undef sys_uretprobe
#undef sys_vfork
#define __SYSCALL(nr, function) #nr "=" #function "\n"
extern const char lib_syscall_names[];
const char lib_syscall_names[] =
#include <asm/syscall_table.h>
	;
#undef __SYSCALL

static long lib_port_call(struct ll_call *call)
{
	switch (call->nr) {
	case LL_CALL_SPAWN:
		return lib_spawn(call->args[0], (void **)call->args[1]);
	case LL_CALL_DISK_ADD:
		return lib_disk_add((const struct ll_disk *)call->args[0]);
	case LL_CALL_DISK_REMOVE:
		return lib_disk_remove(call->args[0]);
	case LL_CALL_DISK_RESIZE:
		return lib_disk_resize(call->args[0], call->args[1]);
	case LL_CALL_GUARD:
		return lib_guard_stacks();
	case LL_CALL_FAULT:
		return lib_host_fault(call->args[0], call->args[1]);
	}
	return -ENOSYS;
}

/* Is the call to be made again, now that what interrupted it is done? */
static bool lib_restarts(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
	       result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

/*
 * What is to be done before the call is over. That another task should run can
 * wait while the runner's own call is over, and once: the next call will mostly
 * block, and two switches are saved. Without it a task that is woken by a write
 * ran its read at once, had nothing more to do, and switched back.
 */
static bool lib_must_work(struct ll_call *call)
{
	unsigned long work = read_thread_flags() & _TIF_WORK_MASK;

	if (likely(!work))
		return false;
	if (work == _TIF_NEED_RESCHED && call == lib_cpu.runner &&
	    !current->thread.deferred) {
		current->thread.deferred = 1;
		return false;
	}
	return true;
}

long lib_execute(struct ll_call *call)
{
	struct pt_regs *regs = current_pt_regs();
	bool interrupted = false;
	u64 nr = call->nr;
	long result;

	lib_charge(LIB_CHARGE_SYSCALL_NS);
	lib_cpu.current_call = nr;
	lib_cpu.progress++;
	regs->orig_ax = nr;
again:
	if (likely(nr < NR_syscalls))
		result = lib_syscalls[nr](call->args[0], call->args[1],
					  call->args[2], call->args[3],
					  call->args[4], call->args[5]);
	else if ((s64)nr < 0)
		result = lib_port_call(call);
	else
		result = -ENOSYS;
restarted:
	while (unlikely(lib_must_work(call)))
		interrupted |= lib_exit_work();
	if (unlikely(current->thread.interrupted)) {
		/* It is for this call alone, whether it came in time or not. */
		current->thread.interrupted = 0;
		interrupted = true;
	}
	if (likely(!lib_restarts(result)))
		return result;
	if (interrupted)
		return -EINTR;
	if (result == -ERESTART_RESTARTBLOCK) {
		result = current->restart_block.fn(&current->restart_block);
		goto restarted;
	}
	goto again;
}
