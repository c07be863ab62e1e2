// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the main task that change who it is: ids, capabilities, namespaces,
 * filters. New tasks are copies of the spare one, which was made before, so it
 * is ended and made again from the main task; and so are the tasks that ended
 * host threads have left. A thread that has a task already keeps it as it is,
 * as a thread of Linux does.
 *
 * unshare() and setns() refuse while others share what they change: for them
 * the tasks that nobody uses are ended before the call.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include "internal.h"

/* It is nobody's, and it is in no list of its process. */
static void host_end_task(struct host_kernel *kernel, struct host_task *task)
{
	struct host_result result;
	u64 args[6] = { 0 };

	if (task->task)
		host_call(kernel, task, SYS_exit, args, HOST_CALL_UNINTERRUPTED,
			  &result);
	/* Without a process it is garbage, and a dead kernel's in a bucket. */
	if (!task->task && task->process)
		free(task);
}

/* Take a task that no thread has off the process; never the main one. */
static struct host_task *host_take_unused(struct host_process *process)
{
	struct host_task **link, *task;

	pthread_mutex_lock(&process->kernel->lock);
	link = &process->tasks->next;
	while ((task = *link) && task->thread)
		link = &task->next;
	if (task) {
		*link = task->next;
		task->thread = host_self.id;
	}
	pthread_mutex_unlock(&process->kernel->lock);
	return task;
}

static void host_end_unused(struct host_process *process)
{
	struct host_kernel *kernel = process->kernel;
	struct host_task *task;

	process->spare = NULL;
	while ((task = host_take_unused(process)))
		host_end_task(kernel, task);
	if (process == kernel->init && kernel->fault_task) {
		task = kernel->fault_task;
		kernel->fault_task = NULL;
		host_end_task(kernel, task);
	}
}

/* Instead of host_call(), for a call of the main task that host_renews(). */
void host_renew(struct host_process *process, s64 nr, const u64 args[6],
		struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	bool before = nr == SYS_unshare || nr == SYS_setns;
	struct host_result ignored;

	pthread_mutex_lock(&kernel->fault_lock);
	pthread_mutex_lock(&process->spawn_lock);
	if (before)
		host_end_unused(process);
	host_call(kernel, process->tasks, nr, args, 0, result);
	if (!before && result->value >= 0)
		host_end_unused(process);
	if (!process->spare)
		host_make_spare(process, &ignored);
	pthread_mutex_unlock(&process->spawn_lock);
	pthread_mutex_unlock(&kernel->fault_lock);
}
