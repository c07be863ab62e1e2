// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes and tasks of a snapshot. The structures that hosts have pointers
 * to stay where they are: a task of then takes the structure that it had, or
 * any other of its process that is free, or a new one.
 *
 * Threads find their tasks anew afterwards: each process gets another id,
 * which is what their caches go by.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "saved.h"

struct host_saved_task {
	struct host_task *was; /* may be gone */
	void *task;
	u32 pid;
	u64 thread;
	bool spare;
	u64 process; /* serial, or 0: the task for faults */
};

struct host_saved_processes {
	u32 count;
	struct host_saved_task tasks[];
};

static u32 host_count_tasks(struct host_kernel *kernel)
{
	struct host_process *process;
	struct host_task *task;
	u32 count = 1; /* for faults */

	for (process = kernel->processes; process; process = process->next)
		for (task = process->tasks; task; task = task->next)
			count++;
	return count;
}

static void host_save_task(struct host_saved_processes *saved,
			   struct host_task *task, u64 process, bool spare)
{
	if (!task || !task->task)
		return;
	saved->tasks[saved->count++] = (struct host_saved_task){
		.was = task,
		.task = task->task,
		.pid = task->pid,
		.thread = task->thread,
		.spare = spare,
		.process = process,
	};
}

struct host_saved_processes *host_processes_save(struct host_kernel *kernel)
{
	struct host_saved_processes *saved;
	struct host_process *process;
	struct host_task *task;

	saved = calloc(1, sizeof(*saved) + host_count_tasks(kernel) *
						   sizeof(*saved->tasks));
	if (!saved)
		return NULL;
	for (process = kernel->processes; process; process = process->next)
		for (task = process->tasks; task; task = task->next)
			host_save_task(saved, task, process->serial,
				       task == process->spare);
	host_save_task(saved, kernel->fault_task, 0, false);
	return saved;
}

void host_processes_free(struct host_saved_processes *saved)
{
	free(saved);
}

/* ---- putting back ---------------------------------------------------- */

/* Take every task out of the buckets; those of nobody are freed. */
static void host_empty_buckets(struct host_kernel *kernel)
{
	struct host_task *task;
	int bucket;

	for (bucket = 0; bucket < TASK_BUCKETS; bucket++)
		while ((task = kernel->buckets[bucket])) {
			kernel->buckets[bucket] = task->next_hash;
			task->next_hash = NULL;
			task->task = NULL;
			if (!task->process && task != kernel->fault_task)
				free(task);
		}
}

static void host_revive_task(struct host_kernel *kernel, struct host_task *task,
			     const struct host_saved_task *saved)
{
	struct host_task **bucket = &kernel->buckets[saved->pid % TASK_BUCKETS];

	/* A thread that has ended since would keep it for ever. */
	if (task->thread != saved->thread)
		task->thread = saved->thread == host_self.id ? saved->thread :
							       0;
	task->pid = saved->pid;
	task->task = saved->task;
	task->interrupting = 0;
	task->interrupt.args[0] = (u64)saved->task;
	task->next_hash = *bucket;
	*bucket = task;
}

/* The structure that it had, if that is still of this process. */
static struct host_task *host_structure_of(struct host_process *process,
					   const struct host_saved_task *saved)
{
	struct host_task *task;

	for (task = process->tasks; task; task = task->next)
		if (task == saved->was && !task->task)
			return task;
	return NULL;
}

static int host_restore_task(struct host_kernel *kernel,
			     struct host_process *process,
			     const struct host_saved_task *saved)
{
	struct host_task *task = host_structure_of(process, saved);
	struct host_task **end = &process->tasks;

	if (!task) {
		task = host_task_new(kernel);
		if (!task)
			return -ENOMEM;
		while (*end)
			end = &(*end)->next;
		task->process = process;
		*end = task;
	}
	host_revive_task(kernel, task, saved);
	if (saved->spare)
		process->spare = task;
	return 0;
}

static int host_restore_process(struct host_kernel *kernel,
				struct host_process *process,
				const struct host_saved_processes *saved)
{
	const struct host_saved_task *at = saved->tasks;
	int error = 0;
	u32 left;

	process->id = host_process_new_id();
	process->spare = NULL;
	for (left = saved->count; left && !error; left--, at++)
		if (at->process == process->serial)
			error = host_restore_task(kernel, process, at);
	return error;
}

static void host_restore_fault_task(struct host_kernel *kernel,
				    const struct host_saved_processes *saved)
{
	struct host_task *task = kernel->fault_task;
	u32 at;

	kernel->fault_task = NULL;
	for (at = 0; at < saved->count; at++)
		if (!saved->tasks[at].process &&
		    (task || (task = host_task_new(kernel)))) {
			host_revive_task(kernel, task, &saved->tasks[at]);
			kernel->fault_task = task;
			return;
		}
	free(task);
}

int host_processes_restore(struct host_kernel *kernel,
			   const struct host_saved_processes *saved)
{
	struct host_process *process;
	int error = 0;

	pthread_mutex_lock(&kernel->lock);
	host_empty_buckets(kernel);
	for (process = kernel->processes; process && !error;
	     process = process->next)
		error = host_restore_process(kernel, process, saved);
	host_restore_fault_task(kernel, saved);
	pthread_mutex_unlock(&kernel->lock);
	return error;
}
