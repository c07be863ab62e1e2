// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's half of the boundary: being entered, leaving, and the calls
 * that host threads want executed.
 *
 * A host thread enters through lib_enter() and finds itself on the fiber that
 * left last. That fiber goes on from lib_leave(), wherever it was called, as a
 * CPU goes on after having been stopped. Calls arrive in two ways: the thread
 * that enters brings one in lib_cpu.run; other threads push theirs onto
 * lib_cpu.submitted and raise lib_cpu.attention, which is looked at as an
 * interrupt (irq.c).
 *
 * Only `attention` and `submitted` are shared with other threads; only they
 * are touched with real atomic instructions.
 */
#include <linux/kernel.h>
#include <linux/start_kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/task_work.h>
#include <asm/lib.h>
#include <asm/sections.h>
#include <generated/utsrelease.h>

extern const char lib_syscall_names[];

static void __noreturn lib_begin(void *unused)
{
	start_kernel();
	BUG();
}

static void lib_enter(struct ll_cpu *cpu)
{
	if (!cpu->kernel_stack)
		cpu->kernel_stack = (void *)lib_new_stack(
			(void *)init_stack + THREAD_SIZE, lib_begin, NULL);
	lib_switch_stack((unsigned long *)&cpu->host_stack,
			 (unsigned long)cpu->kernel_stack);
}

/* What the ELF entry point is. Addresses are relocated by the loader. */
struct ll_image lib_image __section(".data.image") = {
	.magic = LL_IMAGE_MAGIC,
	.boundary_version = LL_BOUNDARY_VERSION,
	.cpu_bytes = sizeof(struct ll_cpu),
	.cpu = &lib_cpu,
	.enter = lib_enter,
	.fault = lib_fault,
	.emergency_stack = (u64)lib_emergency_stack + LIB_EMERGENCY_BYTES,
	.text_start = (u64)_stext,
	.text_end = (u64)_einittext,
	.release = UTS_RELEASE,
	.syscalls = lib_syscall_names,
};

/* What the host brought along; see lib_leave_here(). */
void lib_arrive(void)
{
	struct ll_call *run = lib_cpu.run;

	lib_cpu.run = NULL;
	if (run->task == current && run->nr != LL_CALL_INTERRUPT)
		current->thread.call = run;
	else
		lib_start_call(run);
}

void lib_leave(enum ll_exit reason)
{
	lib_leave_here(reason);
}

/* A blocked system call of that task ends with EINTR, as if by a signal. */
static void lib_interrupt(struct task_struct *task)
{
	task->thread.interrupted = 1;
	set_notify_signal(task);
}

/* Hand a call to its task, which becomes runnable. */
void lib_start_call(struct ll_call *call)
{
	struct task_struct *task = call->task;

	if (call->nr == LL_CALL_INTERRUPT) {
		lib_interrupt((struct task_struct *)call->args[0]);
		lib_finish_call(call, 0);
		return;
	}
	call->state = LL_CALL_RUNNING;
	task->thread.call = call;
	wake_up_process(task);
}

/* All calls that other threads have submitted, oldest first. */
void lib_take_calls(void)
{
	struct ll_call *list, *call, *oldest = NULL;

	__atomic_store_n(&lib_cpu.attention, 0, __ATOMIC_SEQ_CST);
	list = __atomic_exchange_n(&lib_cpu.submitted, NULL, __ATOMIC_SEQ_CST);
	while ((call = list)) {
		list = call->next;
		call->next = oldest;
		oldest = call;
	}
	while ((call = oldest)) {
		oldest = call->next;
		lib_start_call(call);
	}
}

/*
 * The result is there. The runner's own call ends the run; the thread behind
 * any other is told. The caller must not touch `call` afterwards.
 */
void lib_finish_call(struct ll_call *call, long result)
{
	lib_finish_call_here(call, result);
}

/* Disk I/O at the host: at once when it can, by leaving when it cannot. */
int lib_host_io(struct ll_io *io)
{
	int error = lib_cpu.ops->disk_io(lib_cpu.host, io);

	if (error != LL_IO_NEEDS_HOST)
		return error;
	io->done = 0;
	while (!READ_ONCE(io->done)) {
		lib_cpu.request = io;
		lib_leave(LL_EXIT_HOST);
	}
	return io->result;
}
