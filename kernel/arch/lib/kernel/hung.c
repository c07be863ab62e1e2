// SPDX-License-Identifier: GPL-2.0-only
/*
 * By the real clock: a system call that waits where no signal can reach it, and
 * has for so long that what it waits for will not come. A deadlock of the
 * kernel's own is of this kind. (By the virtual clock such a wait is found when
 * nothing else is left to happen.)
 *
 * Looked for when nothing can run, now and then. What counts is that the task has
 * not run once since it was seen waiting first.
 */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/time64.h>
#include <vdso/time64.h>
#include <asm/lib.h>

#define LIB_HUNG_TASKS 16
#define LIB_HUNG_LOOKS 6

/* On the command line: liblinux.hung_seconds=N; 0 looks for none. */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liblinux."
static int lib_hung_seconds = 120;
module_param_named(hung_seconds, lib_hung_seconds, int, 0444);

static struct lib_waiter {
	struct task_struct *task; /* only ever compared */
	unsigned long switches;
	u64 since;
} lib_waiters[LIB_HUNG_TASKS];

static u64 lib_hung_look_at;

static bool lib_is_unreachable(struct task_struct *task)
{
	return task->thread.library && task->thread.active &&
	       READ_ONCE(task->__state) == TASK_UNINTERRUPTIBLE;
}

/* Since when `task` has been waiting; `now` if it was not seen before. */
static u64 lib_waits_since(struct task_struct *task, u64 now)
{
	struct lib_waiter *waiter, *oldest = lib_waiters;
	unsigned long switches = task->nvcsw + task->nivcsw;

	for (waiter = lib_waiters; waiter < lib_waiters + LIB_HUNG_TASKS;
	     waiter++) {
		if (waiter->task == task && waiter->switches == switches)
			return waiter->since;
		if (waiter->task == task || waiter->since < oldest->since)
			oldest = waiter;
	}
	/* One that waits no more makes room; if none does, the latest has to. */
	*oldest = (struct lib_waiter){ task, switches, now };
	return now;
}

static void lib_look_for_hung(u64 now)
{
	u64 patience = (u64)lib_hung_seconds * NSEC_PER_SEC;
	struct task_struct *process, *task;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (!lib_is_unreachable(task) ||
		    now - lib_waits_since(task, now) < patience)
			continue;
		lib_report_waiter(task);
		panic("%s, pid %d, waits for ever: for %d seconds, where no signal reaches it",
		      task->comm, task_pid_nr(task), lib_hung_seconds);
	}
	rcu_read_unlock();
}

/* Called when nothing can run. Returns when it wants to be called again. */
u64 lib_hung_check(void)
{
	u64 interval = (u64)lib_hung_seconds * NSEC_PER_SEC / LIB_HUNG_LOOKS;
	u64 now;

	if (lib_clock_is_virtual() || !lib_hung_seconds)
		return LL_FOREVER;
	now = lib_clock_now();
	if (now >= lib_hung_look_at) {
		lib_hung_look_at = now + interval;
		lib_look_for_hung(now);
	}
	return lib_hung_look_at;
}
