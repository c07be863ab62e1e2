// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes of a kernel and the host threads that use them. A host process is
 * a thread group; each host thread that makes a call has a task of its own in
 * it, since a task executes one call at a time.
 *
 * The first thread gets the main task, whose tid is the pid. A later one takes
 * a task that a finished thread has left, or a new one. Only a task of the
 * group can make a new one, and at that moment all of them may be blocked in
 * calls: each group has a spare task which does nothing else.
 *
 * A task that the kernel ends (exit, kill) is told by ops->task_gone. Calls of
 * its thread say -ESRCH from then on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "internal.h"
#include "runner.h"

static u64 host_process_ids;

u64 host_process_new_id(void)
{
	return __atomic_add_fetch(&host_process_ids, 1, __ATOMIC_RELAXED);
}

/* ---- tasks ----------------------------------------------------------- */

static struct host_task **host_bucket(struct host_kernel *kernel, u32 pid)
{
	return &kernel->buckets[pid % TASK_BUCKETS];
}

struct host_task *host_task_new(struct host_kernel *kernel)
{
	struct host_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->kernel = kernel;
	task->interrupt.nr = LL_CALL_INTERRUPT;
	task->interrupt.host = task;
	return task;
}

/* The kernel's task is known: from now on task_gone() can find it. */
static void host_task_born(struct host_task *task, void *pointer, u32 pid)
{
	struct host_kernel *kernel = task->kernel;
	struct host_task **bucket = host_bucket(kernel, pid);

	pthread_mutex_lock(&kernel->lock);
	task->task = pointer;
	task->pid = pid;
	task->interrupt.args[0] = (u64)pointer;
	task->next_hash = *bucket;
	*bucket = task;
	pthread_mutex_unlock(&kernel->lock);
}

/* ops->task_gone. Runs on a fiber. */
void host_task_gone(void *host, void *pointer, u32 pid)
{
	struct host_kernel *kernel = host;
	struct host_task **link, *task;

	pthread_mutex_lock(&kernel->lock);
	link = host_bucket(kernel, pid);
	while ((task = *link) && task->task != pointer)
		link = &task->next_hash;
	if (task) {
		*link = task->next_hash;
		__atomic_store_n(&task->task, NULL, __ATOMIC_RELAXED);
		host_forget_calls(kernel, pointer);
		if (!task->process) {
			task->next = kernel->garbage;
			kernel->garbage = task;
		}
	}
	pthread_mutex_unlock(&kernel->lock);
}

/* Tasks of released processes that have ended meanwhile. */
static void host_collect_garbage(struct host_kernel *kernel)
{
	struct host_task *garbage, *task;

	pthread_mutex_lock(&kernel->lock);
	garbage = kernel->garbage;
	kernel->garbage = NULL;
	pthread_mutex_unlock(&kernel->lock);
	while ((task = garbage)) {
		garbage = task->next;
		free(task);
	}
}

/* A host thread has ended: its tasks are free. */
void host_threads_forget(struct host_kernel *kernel, u64 thread)
{
	struct host_task *task;
	int bucket;

	pthread_mutex_lock(&kernel->lock);
	for (bucket = 0; bucket < TASK_BUCKETS; bucket++)
		for (task = kernel->buckets[bucket]; task;
		     task = task->next_hash)
			if (task->thread == thread)
				task->thread = 0;
	pthread_mutex_unlock(&kernel->lock);
	/* The clock may have waited for this thread. */
	host_wake_runner(kernel);
}

/* `executor`, of which the caller makes sure that it is free, makes a task. */
int host_spawn_task(struct host_kernel *kernel, struct host_task *executor,
		    u32 flags, u32 call_flags, struct host_task **made,
		    struct host_result *result)
{
	struct host_task *task = host_task_new(kernel);
	void *pointer = NULL;
	u64 args[6] = { flags, (u64)&pointer };

	if (!task) {
		*result = (struct host_result){ .value = -ENOMEM };
		return -ENOMEM;
	}
	host_call(kernel, executor, LL_CALL_SPAWN, args, call_flags, result);
	if (result->value <= 0) {
		free(task);
		return result->value ? result->value : -EIO;
	}
	host_task_born(task, pointer, result->value);
	*made = task;
	return 0;
}

/* ---- processes ------------------------------------------------------- */

static void host_adopt(struct host_process *process, struct host_task *task)
{
	struct host_task **link = &process->tasks;

	pthread_mutex_lock(&process->kernel->lock);
	while (*link)
		link = &(*link)->next;
	task->process = process;
	*link = task;
	pthread_mutex_unlock(&process->kernel->lock);
}

static struct host_process *host_process_new(struct host_kernel *kernel,
					     struct host_task *task)
{
	struct host_process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->kernel = kernel;
	process->id = process->serial = host_process_new_id();
	process->pid = task->pid;
	pthread_mutex_init(&process->spawn_lock, NULL);
	host_adopt(process, task);
	pthread_mutex_lock(&kernel->lock);
	process->next = kernel->processes;
	kernel->processes = process;
	pthread_mutex_unlock(&kernel->lock);
	return process;
}

/* The main task is in no call: it makes the spare one. */
int host_make_spare(struct host_process *process, struct host_result *result)
{
	struct host_task *spare;
	int error;

	error = host_spawn_task(process->kernel, process->tasks,
				LL_SPAWN_THREAD, HOST_CALL_UNINTERRUPTED,
				&spare, result);
	if (error)
		return error;
	host_adopt(process, spare);
	process->spare = spare;
	return 0;
}

/* After the boot: pid 1. */
int host_process_init(struct host_kernel *kernel)
{
	struct host_task *task = host_task_new(kernel);
	struct host_result result;

	if (!task)
		return -ENOMEM;
	host_task_born(task, kernel->cpu->current_task, 1);
	kernel->init = host_process_new(kernel, task);
	if (!kernel->init)
		return -ENOMEM;
	return host_make_spare(kernel->init, &result);
}

/* The kernel is closed: nobody is inside, nobody waits. */
void host_process_exit(struct host_kernel *kernel)
{
	struct host_process *process;
	struct host_task *task;
	int bucket;

	while ((process = kernel->processes)) {
		kernel->processes = process->next;
		while ((task = process->tasks)) {
			process->tasks = task->next;
			if (!task->task)
				free(task);
		}
		pthread_mutex_destroy(&process->spawn_lock);
		free(process);
	}
	host_collect_garbage(kernel);
	for (bucket = 0; bucket < TASK_BUCKETS; bucket++)
		while ((task = kernel->buckets[bucket])) {
			kernel->buckets[bucket] = task->next_hash;
			free(task);
		}
	kernel->init = NULL;
	kernel->fault_task = NULL;
}

/* ---- from thread to task --------------------------------------------- */

/* The task of this thread, or a free one, or NULL. Under `lock`. */
static struct host_task *host_bind(struct host_process *process)
{
	struct host_task *task, *found = NULL;

	for (task = process->tasks; task; task = task->next) {
		if (task->thread == host_self.id)
			return task;
		if (!found && task->task && !task->thread &&
		    task != process->spare)
			found = task;
	}
	if (found)
		found->thread = host_self.id;
	return found;
}

/* A further task for the calling thread. */
struct host_task *host_make_task(struct host_process *process,
				 struct host_result *result)
{
	struct host_task *task = NULL;

	pthread_mutex_lock(&process->spawn_lock);
	if (!process->spare)
		*result = (struct host_result){ .value = -EAGAIN };
	else
		host_spawn_task(process->kernel, process->spare,
				LL_SPAWN_THREAD, HOST_CALL_UNINTERRUPTED, &task,
				result);
	if (task) {
		task->thread = host_self.id;
		host_adopt(process, task);
	}
	pthread_mutex_unlock(&process->spawn_lock);
	return task;
}

/* The task of the calling thread; NULL and the error in *result. */
__attribute__((noinline)) struct host_task *
host_find_task(struct host_process *process, struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	struct host_task *task;
	int entry = process->id % TASK_CACHE_ENTRIES;

	host_thread_prepare();
	/* The thread is the runner perhaps, and its spare task is not. */
	if (host_in_callback(kernel)) {
		*result = (struct host_result){ .value = -EDEADLK,
						.reentered = true };
		return NULL;
	}
	pthread_mutex_lock(&kernel->lock);
	task = host_bind(process);
	pthread_mutex_unlock(&kernel->lock);
	if (!task)
		task = host_make_task(process, result);
	if (!task)
		return NULL;
	host_self.cache[entry].process = process->id;
	host_self.cache[entry].task = task;
	return task;
}

void host_process_call(struct host_process *process, s64 nr, const u64 args[6],
		       struct host_result *result)
{
	int entry = process->id % TASK_CACHE_ENTRIES;
	struct host_task *task = host_self.cache[entry].task;

	if (unlikely(host_self.cache[entry].process != process->id)) {
		task = host_find_task(process, result);
		if (!task)
			return;
	}
	if (unlikely(host_renews(nr)) && task == process->tasks)
		host_renew(process, nr, args, result);
	else
		host_call(process->kernel, task, nr, args, 0, result);
}

int host_process_pid(struct host_process *process)
{
	return process->pid;
}

struct host_process *host_process_spawn(struct host_process *process,
					u32 namespaces,
					struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	struct host_task *task, *main_task;
	struct host_process *child;

	host_collect_garbage(kernel);
	task = host_find_task(process, result);
	if (!task ||
	    host_spawn_task(kernel, task, LL_SPAWN_PROCESS | namespaces, 0,
			    &main_task, result))
		return NULL;
	child = host_process_new(kernel, main_task);
	if (!child) {
		*result = (struct host_result){ .value = -ENOMEM };
		return NULL;
	}
	if (host_make_spare(child, result)) {
		host_process_release(child);
		return NULL;
	}
	result->value = child->pid;
	return child;
}

void host_process_release(struct host_process *process)
{
	struct host_kernel *kernel = process->kernel;
	struct host_process **link;
	struct host_task *task;

	/* It makes tasks for faults as long as the kernel is there. */
	if (kernel->init == process)
		return;
	pthread_mutex_lock(&kernel->lock);
	for (link = &kernel->processes; *link; link = &(*link)->next)
		if (*link == process) {
			*link = process->next;
			break;
		}
	while ((task = process->tasks)) {
		process->tasks = task->next;
		task->process = NULL;
		task->thread = 0;
		if (!task->task) {
			task->next = kernel->garbage;
			kernel->garbage = task;
		}
	}
	pthread_mutex_unlock(&kernel->lock);
	pthread_mutex_destroy(&process->spawn_lock);
	free(process);
}
