// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guards: the lowest page of a stack faults when it is touched, so that a
 * stack which overflows stops the kernel and does not eat its neighbour.
 *
 * A guard is put up when a task is made and taken down before its stack is
 * freed: by exit_thread(), which runs for every task that ends and for every
 * one whose making fails after copy_thread(). Tasks that are made during boot
 * get theirs when boot is over, because a guard splits the large pages that
 * make boot fast.
 */
#include <linux/init_task.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <asm/lib.h>

static bool lib_guarding;

void lib_guard_stack(struct task_struct *task, bool on)
{
	if (lib_guarding)
		lib_cpu.ops->guard_stack(lib_cpu.host,
					 (u64)task_stack_page(task), on);
}

/* LL_CALL_GUARD */
long lib_guard_stacks(void)
{
	struct task_struct *process, *task;

	if (lib_guarding)
		return 0;
	lib_guarding = true;
	lib_guard_stack(&init_task, true);
	rcu_read_lock();
	for_each_process_thread(process, task)
		/* One that is past exit_thread() would keep its guard. */
		if (!(READ_ONCE(task->flags) & PF_EXITING) ||
		    task->thread.library)
			lib_guard_stack(task, true);
	rcu_read_unlock();
	return 0;
}

/* On which the host calls lib_fault() when a fiber's own stack is full. */
char lib_emergency_stack[LIB_EMERGENCY_BYTES] __aligned(16);
