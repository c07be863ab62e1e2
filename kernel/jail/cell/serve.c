// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests. Those about processes are here; each finds its arguments in the
 * slot of the thread and leaves its answer there. The parent is trusted, but a
 * handle is looked at all the same: it costs nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include "cell.h"

#define PROCESSES 65536

static struct host_process *cell_processes[PROCESSES];
static pthread_mutex_t cell_processes_lock = PTHREAD_MUTEX_INITIALIZER;

/* Handle 0 is init. */
struct host_process *cell_process(u64 handle)
{
	if (!handle)
		return host_kernel_init(cell_kernel);
	return handle < PROCESSES ? __atomic_load_n(&cell_processes[handle],
						    __ATOMIC_ACQUIRE) :
				    NULL;
}

static u64 cell_keep_process(struct host_process *process)
{
	u64 handle;

	pthread_mutex_lock(&cell_processes_lock);
	for (handle = 1; handle < PROCESSES; handle++)
		if (!cell_processes[handle]) {
			__atomic_store_n(&cell_processes[handle], process,
					 __ATOMIC_RELEASE);
			break;
		}
	pthread_mutex_unlock(&cell_processes_lock);
	return handle < PROCESSES ? handle : 0;
}

void cell_answer(const struct host_result *result)
{
	const char *dead = host_kernel_dead(cell_kernel);
	struct channel_header *header = &cell_channel->header;
	u32 flags = 0;

	if (result->dead) {
		flags |= CHANNEL_DEAD;
		if (dead)
			snprintf(header->text, sizeof(header->text), "%s",
				 dead);
	}
	if (result->deadlock)
		flags |= CHANNEL_DEADLOCK;
	if (result->interrupted)
		flags |= CHANNEL_INTERRUPTED;
	cell_slot->value = result->value;
	cell_slot->flags = flags;
}

static void cell_call(void)
{
	struct host_result result = { 0 };

	host_process_call(cell_process(cell_slot->handle), cell_slot->nr,
			  cell_slot->args, &result);
	cell_answer(&result);
}

static void cell_spawn(void)
{
	struct host_result result = { 0 };
	struct host_process *process;
	u64 handle = 0;

	process = host_process_spawn(cell_process(cell_slot->handle),
				     (u32)cell_slot->args[0], &result);
	if (process)
		handle = cell_keep_process(process);
	if (process && !handle) {
		host_process_release(process);
		result.value = -EAGAIN;
	}
	cell_answer(&result);
	cell_slot->counts[0] = handle;
}

static void cell_let_go(void)
{
	u64 handle = cell_slot->handle;
	struct host_process *process = cell_process(handle);

	if (!handle || !process)
		return;
	__atomic_store_n(&cell_processes[handle], NULL, __ATOMIC_RELEASE);
	host_process_release(process);
}

/*
 * What host_thread_end() does; this thread lives on, for another one, and under
 * another name: a snapshot may know tasks of the one that has ended.
 */
static void cell_forget(void)
{
	host_each_kernel(host_threads_forget, host_self.id);
	memset(host_self.cache, 0, sizeof(host_self.cache));
	host_thread_rename();
}

static void cell_switches(void)
{
	struct host_result result = { 0 };
	u64 nanoseconds = 0;
	int code = host_measure_switches(cell_process(cell_slot->handle),
					 cell_slot->args[0], &nanoseconds,
					 &result);

	if (host_result_is_plain(&result))
		result.value = code;
	cell_answer(&result);
	cell_slot->counts[0] = nanoseconds;
}

static void cell_statistics(void)
{
	struct host_statistics now;

	host_kernel_statistics(cell_kernel, &now);
	memcpy(cell_area, &now, sizeof(now));
}

static void cell_report(void)
{
	_Static_assert(sizeof(struct host_report) <= CHANNEL_CALL_BYTES,
		       "a report has room");
	host_kernel_report(cell_kernel, (struct host_report *)cell_area);
}

static void cell_log(void)
{
	u64 bytes = cell_slot->args[0];

	if (bytes > CHANNEL_CALL_BYTES)
		bytes = CHANNEL_CALL_BYTES;
	cell_slot->value = (s64)host_kernel_log(cell_kernel, cell_area, bytes);
}

static void cell_now(void)
{
	cell_slot->value = (s64)host_kernel_now(cell_kernel);
}

static void (*const cell_table[])(void) = {
	[CHANNEL_CALL] = cell_call,
	[CHANNEL_READ] = cell_read,
	[CHANNEL_WRITE] = cell_write,
	[CHANNEL_LIST] = cell_list,
	[CHANNEL_WALK] = cell_walk,
	[CHANNEL_FETCH] = cell_fetch,
	[CHANNEL_DROP] = cell_drop,
	[CHANNEL_SPAWN] = cell_spawn,
	[CHANNEL_LET_GO] = cell_let_go,
	[CHANNEL_ATTACH] = cell_attach,
	[CHANNEL_DETACH] = cell_detach,
	[CHANNEL_RESIZE] = cell_resize,
	[CHANNEL_UNDO_BEGIN] = cell_undo_begin,
	[CHANNEL_UNDO_END] = cell_undo_end,
	[CHANNEL_CHANGES] = cell_changes,
	[CHANNEL_NOW] = cell_now,
	[CHANNEL_REPORT] = cell_report,
	[CHANNEL_LOG] = cell_log,
	[CHANNEL_STATISTICS] = cell_statistics,
	[CHANNEL_FORGET] = cell_forget,
	[CHANNEL_SWITCHES] = cell_switches,
	[CHANNEL_DISK_FORGET] = cell_forget_disk,
	[CHANNEL_SNAPSHOT] = cell_snapshot,
	[CHANNEL_RESTORE] = cell_restore,
	[CHANNEL_SNAPSHOT_DROP] = cell_snapshot_drop,
	[CHANNEL_INJECT] = cell_inject,
	[CHANNEL_INJECTED] = cell_injected,
	[CHANNEL_FAULT] = cell_fault,
};

void cell_serve(void)
{
	u32 op = cell_slot->op;

	cell_slot->value = 0;
	cell_slot->flags = 0;
	if (op < sizeof(cell_table) / sizeof(*cell_table) && cell_table[op] &&
	    cell_process(cell_slot->handle))
		cell_table[op]();
	else
		cell_slot->value = -EINVAL;
	if (host_kernel_log_pending(cell_kernel))
		cell_slot->flags |= CHANNEL_LOG_PENDING;
}
