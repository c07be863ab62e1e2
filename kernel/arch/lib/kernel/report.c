// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host is told when the kernel cannot go on: which task, in which
 * system call, and the addresses on its stack. The host has the names.
 *
 * There are no frame pointers to follow, they would cost every call. A word is
 * taken for a return address when a call instruction ends there; the host
 * looks where that call leads, and so tells most of the living from the dead.
 *
 * Written to without any allocation or lock, so it works in any state.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <asm/lib.h>
#include <asm/sections.h>

/* Set for good once a death has been reported. */
bool lib_dying;

static bool lib_is_text(unsigned long address)
{
	return address >= (unsigned long)_stext + 8 &&
	       address < (unsigned long)_einittext;
}

/* Does a call end at this address? "call x" or "call *r", of all lengths. */
static bool lib_is_behind_call(unsigned long address)
{
	const u8 *end = (const u8 *)address;
	int bytes;

	if (!lib_is_text(address))
		return false;
	if (end[-5] == 0xe8)
		return true;
	for (bytes = 2; bytes <= 7; bytes++)
		if (end[-bytes] == 0xff && (end[1 - bytes] & 0x38) == 0x10)
			return true;
	return false;
}

/* Up to `room` return addresses from `sp` up; returns how many. */
unsigned int lib_trace(struct task_struct *task, const unsigned long *sp,
		       u64 *trace, unsigned int room)
{
	unsigned long stack = (unsigned long)task_stack_page(task);
	unsigned long *end = (unsigned long *)(stack + THREAD_SIZE);
	unsigned int entries = 0;

	/* The page below may be a guard, and the machine's sp be in it. */
	if ((unsigned long)sp < stack + PAGE_SIZE)
		sp = (unsigned long *)(stack + PAGE_SIZE);
	sp = PTR_ALIGN(sp, sizeof(*sp));
	for (; sp < end && entries < room; sp++)
		if (lib_is_behind_call(*sp))
			trace[entries++] = *sp;
	return entries;
}

static s64 lib_call_of(struct task_struct *task)
{
	struct ll_call *call = task->thread.active;

	return task->thread.library && call ? call->nr : LL_NO_CALL;
}

static void lib_report_task(struct ll_task *report, struct task_struct *task)
{
	report->call = lib_call_of(task);
	report->pid = task_pid_nr(task);
	report->uninterruptible =
		(READ_ONCE(task->__state) & TASK_UNINTERRUPTIBLE) != 0;
	memcpy(report->name, task->comm, sizeof(report->name));
}

/* The first report of a death counts: others are its consequences. */
void lib_report_death(const struct ll_fault *fault)
{
	struct ll_report *report = &lib_cpu.report;
	struct ll_task *task = report->tasks;
	unsigned long here;

	if (lib_dying)
		return;
	lib_dying = true;
	report->kind = fault ? fault->kind : LL_FAULT_NONE;
	report->ip = fault ? fault->ip : 0;
	report->address = fault ? fault->address : 0;
	report->nr_tasks = 1;
	report->more_tasks = 0;
	lib_report_task(task, current);
	task->nr_trace = lib_trace(current,
				   fault ? (unsigned long *)fault->sp : &here,
				   task->trace, LL_TRACE_ENTRIES);
}

/* The kernel dies because this one waits for ever. */
void lib_report_waiter(struct task_struct *task)
{
	struct ll_report *report = &lib_cpu.report;
	struct ll_task *entry = report->tasks;

	if (lib_dying)
		return;
	lib_dying = true;
	memset(report, 0, offsetof(struct ll_report, tasks));
	report->nr_tasks = 1;
	lib_report_task(entry, task);
	entry->nr_trace = lib_trace(task, (unsigned long *)task->thread.sp,
				    entry->trace, LL_TRACE_ENTRIES);
}

/* Nothing can happen any more: who waits, and for what. */
void lib_report_waiters(void)
{
	struct ll_report *report = &lib_cpu.report;
	struct task_struct *process, *task;
	struct ll_task *entry;

	memset(report, 0, offsetof(struct ll_report, tasks));
	rcu_read_lock();
	for_each_process_thread(process, task) {
		bool stuck = READ_ONCE(task->__state) == TASK_UNINTERRUPTIBLE;

		if (lib_call_of(task) == LL_NO_CALL && !stuck)
			continue;
		if (report->nr_tasks == LL_REPORT_TASKS) {
			report->more_tasks++;
			continue;
		}
		entry = report->tasks + report->nr_tasks++;
		lib_report_task(entry, task);
		entry->nr_trace = lib_trace(task,
					    (unsigned long *)task->thread.sp,
					    entry->trace, LL_TRACE_ENTRIES);
	}
	rcu_read_unlock();
}

/* For /proc/<pid>/wchan; not exact, for the kernel does not know its names. */
unsigned long __get_wchan(struct task_struct *task)
{
	unsigned int entries, at;
	u64 trace[8];

	if (task == current)
		return 0;
	entries = lib_trace(task, (unsigned long *)task->thread.sp, trace,
			    ARRAY_SIZE(trace));
	for (at = 0; at < entries; at++)
		if (!in_sched_functions(trace[at]))
			return trace[at];
	return 0;
}
