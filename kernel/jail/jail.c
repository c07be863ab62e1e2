// SPDX-License-Identifier: GPL-2.0-only
/*
 * A jailed kernel from its opening to its closing, all of them in a list, and
 * what can be asked of one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "keeper.h"

static struct jail *jail_all;
static pthread_mutex_t jail_all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t jail_once = PTHREAD_ONCE_INIT;
static u64 jail_ids;
static u32 jail_generation; /* counts the fork()s between us and the first */

/* ---- all of them ----------------------------------------------------- */

void jail_each(void (*function)(struct jail *jail, u64 value), u64 value)
{
	struct jail *jail;

	pthread_mutex_lock(&jail_all_lock);
	for (jail = jail_all; jail; jail = jail->next)
		function(jail, value);
	pthread_mutex_unlock(&jail_all_lock);
}

bool jail_is_ours(const struct jail *jail)
{
	return jail->generation == jail_generation;
}

static void jail_close_descriptors(struct jail *jail)
{
	int *const each[] = { &jail->pidfd, &jail->control, &jail->passing,
			      &jail->arena };
	size_t at;

	for (at = 0; at < sizeof(each) / sizeof(*each); at++) {
		if (*each[at] >= 0)
			close(*each[at]);
		*each[at] = -1;
	}
}

static void jail_before_fork(void)
{
	pthread_mutex_lock(&jail_all_lock);
}

static void jail_after_fork(void)
{
	pthread_mutex_unlock(&jail_all_lock);
}

/* Else the cell would not see its parent's end while its copy lives. */
static void jail_in_child(void)
{
	struct jail *jail;

	jail_generation++;
	for (jail = jail_all; jail; jail = jail->next) {
		jail_close_descriptors(jail);
		if (jail->window)
			jail_window_forked(jail);
	}
	pthread_mutex_unlock(&jail_all_lock);
}

static void jail_prepare(void)
{
	pthread_atfork(jail_before_fork, jail_after_fork, jail_in_child);
}

static void jail_link(struct jail *jail)
{
	pthread_mutex_lock(&jail_all_lock);
	jail->next = jail_all;
	jail->link = &jail_all;
	if (jail->next)
		jail->next->link = &jail->next;
	jail_all = jail;
	pthread_mutex_unlock(&jail_all_lock);
}

static void jail_unlink(struct jail *jail)
{
	pthread_mutex_lock(&jail_all_lock);
	*jail->link = jail->next;
	if (jail->next)
		jail->next->link = jail->link;
	pthread_mutex_unlock(&jail_all_lock);
}

struct jail *jail_find(u64 address)
{
	struct jail *jail;

	pthread_mutex_lock(&jail_all_lock);
	for (jail = jail_all; jail; jail = jail->next)
		if (jail->window &&
		    address - jail->window < USER_WINDOW_BYTES) {
			jail->users++;
			break;
		}
	pthread_mutex_unlock(&jail_all_lock);
	return jail;
}

void jail_let_go_of(struct jail *jail)
{
	pthread_mutex_lock(&jail_all_lock);
	jail->users--;
	pthread_mutex_unlock(&jail_all_lock);
}

/* Nobody finds it any more; those who have are on their way out. */
static void jail_wait_for_users(struct jail *jail)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	u32 users;

	do {
		pthread_mutex_lock(&jail_all_lock);
		users = jail->users;
		pthread_mutex_unlock(&jail_all_lock);
		if (users)
			nanosleep(&moment, NULL);
	} while (users);
}

/* ---- life ------------------------------------------------------------ */

static struct jail *jail_new(const struct host_options *options)
{
	struct jail *jail = calloc(1, sizeof(*jail));

	if (!jail)
		return NULL;
	pthread_once(&jail_once, jail_prepare);
	jail->id = __atomic_add_fetch(&jail_ids, 1, __ATOMIC_RELAXED);
	jail->generation = jail_generation;
	jail->embedding = options->embedding;
	jail->virtual_clock = options->virtual_clock;
	jail->memory_bytes = options->memory_bytes;
	jail->data_bytes = options->memory_bytes + JAIL_DATA_BYTES;
	jail->file_bytes = jail->data_bytes;
	jail->pidfd = jail->control = jail->passing = jail->arena = -1;
	jail->reaped = true; /* not born yet */
	jail->init.jail = jail;
	jail->init.pid = 1;
	pthread_mutex_init(&jail->lock, NULL);
	pthread_mutex_init(&jail->pass_lock, NULL);
	jail_link(jail);
	return jail;
}

/* A copy, for the cell can write to its own. */
static int jail_copy_texts(struct jail *jail)
{
	struct channel_header *header = &jail->channel->header;

	jail->syscalls = malloc(CHANNEL_SYSCALLS_BYTES);
	if (!jail->syscalls)
		return -ENOMEM;
	memcpy(jail->syscalls, header->syscalls, CHANNEL_SYSCALLS_BYTES);
	jail->syscalls[CHANNEL_SYSCALLS_BYTES - 1] = 0;
	memcpy(jail->release, header->release, CHANNEL_RELEASE_BYTES);
	jail->release[CHANNEL_RELEASE_BYTES - 1] = 0;
	jail->text_base = channel_once(header->text_base);
	return 0;
}

static void jail_slots_init(struct jail *jail)
{
	u32 at;

	for (at = 0; at < CHANNEL_SLOTS; at++) {
		jail->slots[at].shared = &jail->channel->slots[at];
		jail->slots[at].area = jail->channel->areas[at];
	}
	/* The thread that has booted it serves the first slot. */
	jail->slots[0].used = true;
}

static int jail_close(struct host_kernel *kernel)
{
	struct jail *jail = jail_of(kernel);

	jail_unlink(jail);
	if (jail_is_ours(jail)) {
		jail_kill(jail, "it is closed");
		if (!jail->reaped)
			jail_reap(jail);
		jail_wait_for_users(jail);
		jail_close_descriptors(jail);
		if (jail->channel)
			munmap(jail->channel, sizeof(struct channel));
	}
	if (jail->window) {
		jail_window_exit(jail);
		munmap((void *)jail->window, USER_WINDOW_BYTES);
	}
	jail_disks_exit(jail);
	jail_snapshots_exit(jail);
	jail_heap_exit(jail);
	pthread_mutex_destroy(&jail->pass_lock);
	pthread_mutex_destroy(&jail->lock);
	free(jail->syscalls);
	free(jail);
	return 0;
}

static int jail_open(const struct host_options *options,
		     struct host_kernel **kernel, struct host_error *error)
{
	struct jail *jail = jail_new(options);
	int code;

	if (!jail)
		return -ENOMEM;
	code = jail_spawn(jail, options, error);
	if (!code)
		code = jail_window_init(jail);
	if (!code)
		code = jail_copy_texts(jail);
	if (code) {
		jail_close((struct host_kernel *)jail);
		return code;
	}
	jail_slots_init(jail);
	__atomic_store_n(&jail->log_pending, true, __ATOMIC_RELAXED);
	*kernel = (struct host_kernel *)jail;
	return 0;
}

/* ---- questions ------------------------------------------------------- */

static const char *jail_release(struct host_kernel *kernel)
{
	return jail_of(kernel)->release;
}

static const char *jail_syscalls(struct host_kernel *kernel)
{
	return jail_of(kernel)->syscalls;
}

static const char *jail_dead(struct host_kernel *kernel)
{
	struct jail *jail = jail_of(kernel);

	if (!jail_is_ours(jail))
		return "the isolated kernel belongs to the process that fork() was called in";
	/* Nobody may be waiting for it, to notice. */
	if (!__atomic_load_n(&jail->dead, __ATOMIC_ACQUIRE))
		jail_is_gone(jail);
	return __atomic_load_n(&jail->dead, __ATOMIC_ACQUIRE) ?
		       jail->dead_text :
		       NULL;
}

static bool jail_died_with_process(struct host_kernel *kernel)
{
	struct jail *jail = jail_of(kernel);

	return !jail_is_ours(jail) ||
	       __atomic_load_n(&jail->gone, __ATOMIC_ACQUIRE);
}

static struct host_process *jail_init(struct host_kernel *kernel)
{
	return (struct host_process *)&jail_of(kernel)->init;
}

static u64 jail_now(struct host_kernel *kernel)
{
	struct jail *jail = jail_of(kernel);
	s64 now;

	/* The real clock is the same for all, unless it was made to jump. */
	if (!jail->virtual_clock &&
	    !__atomic_load_n(&jail->clock_jumps, __ATOMIC_RELAXED))
		return channel_now();
	now = jail_ask(jail, CHANNEL_NOW, NULL);
	return now < 0 ? 0 : (u64)now;
}

static u64 jail_text(struct host_kernel *kernel)
{
	return jail_of(kernel)->text_base;
}

static void jail_window(struct host_kernel *kernel, u64 *start, u64 *bytes)
{
	*start = jail_of(kernel)->window;
	*bytes = USER_WINDOW_BYTES + sizeof(struct channel);
}

void jail_copy_report(const char *from, struct host_report *report)
{
	/* The rest is numbers; whoever counts by them looks at their limits. */
	memcpy(report, from, sizeof(*report));
	if (report->log_bytes > sizeof(report->log))
		report->log_bytes = 0;
	if (report->report.nr_tasks > LL_REPORT_TASKS)
		report->report.nr_tasks = 0;
}

static void jail_report(struct host_kernel *kernel, struct host_report *report)
{
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter_dead(jail, &result);

	if (!slot)
		return;
	jail_begin(slot, CHANNEL_REPORT, 0, 0, NULL);
	if (jail_await(jail, slot, jail_is_finished))
		jail_copy_report(slot->area, report);
}

static bool jail_log_pending(struct host_kernel *kernel)
{
	struct jail *jail = jail_of(kernel);

	return __atomic_load_n(&jail->log_pending, __ATOMIC_RELAXED) &&
	       !jail_died_with_process(kernel);
}

static size_t jail_log(struct host_kernel *kernel, char *buffer, size_t bytes)
{
	struct jail *jail = jail_of(kernel);
	const u64 args[6] = { bytes };
	struct host_result result;
	struct jail_slot *slot;
	u64 part;

	__atomic_store_n(&jail->log_pending, false, __ATOMIC_RELAXED);
	slot = jail_enter_dead(jail, &result);
	if (!slot ||
	    !jail_request(jail, slot, CHANNEL_LOG, 0, 0, args, &result))
		return 0;
	part = result.value < 0 ? 0 : (u64)result.value;
	if (part > bytes)
		part = bytes;
	memcpy(buffer, slot->area, part);
	return part;
}

static void jail_statistics(struct host_kernel *kernel,
			    struct host_statistics *statistics)
{
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter_dead(jail, &result);

	if (slot &&
	    jail_request(jail, slot, CHANNEL_STATISTICS, 0, 0, NULL, &result))
		memcpy(statistics, slot->area, sizeof(*statistics));
}

/* ---- processes ------------------------------------------------------- */

static int jail_pid(struct host_process *process)
{
	return ((struct jail_process *)process)->pid;
}

static struct host_process *jail_spawn_process(struct host_process *process,
					       u32 namespaces,
					       struct host_result *result)
{
	struct jail_process *parent = (struct jail_process *)process, *child;
	const u64 args[6] = { namespaces };
	struct jail *jail = parent->jail;
	struct jail_slot *slot = jail_enter(jail, result);

	if (!slot || !jail_request(jail, slot, CHANNEL_SPAWN, parent->handle, 0,
				   args, result))
		return NULL;
	if (result->value <= 0)
		return NULL;
	child = calloc(1, sizeof(*child));
	if (!child) {
		*result = (struct host_result){ .value = -ENOMEM };
		return NULL;
	}
	child->jail = jail;
	child->handle = channel_once(slot->shared->counts[0]);
	child->pid = (int)result->value;
	return (struct host_process *)child;
}

static void jail_let_go(struct host_process *process)
{
	struct jail_process *gone = (struct jail_process *)process;
	struct host_result result;
	struct jail_slot *slot;

	if (gone == &gone->jail->init)
		return;
	slot = jail_enter(gone->jail, &result);
	if (slot)
		jail_request(gone->jail, slot, CHANNEL_LET_GO, gone->handle, 0,
			     NULL, &result);
	free(gone);
}

static int jail_switches(struct host_process *process, u64 switches,
			 u64 *nanoseconds, struct host_result *result)
{
	struct jail_process *of = (struct jail_process *)process;
	const u64 args[6] = { switches };
	struct jail_slot *slot = jail_enter(of->jail, result);

	if (slot && jail_request(of->jail, slot, CHANNEL_SWITCHES, of->handle,
				 0, args, result))
		*nanoseconds = channel_once(slot->shared->counts[0]);
	return (int)result->value;
}

static void jail_abort(struct host_kernel *kernel)
{
	jail_kill(jail_of(kernel), "it was aborted");
}

const struct host_side jail_side = {
	.open = jail_open,
	.close = jail_close,
	.release = jail_release,
	.syscalls = jail_syscalls,
	.dead = jail_dead,
	.report = jail_report,
	.gone = jail_died_with_process,
	.abort = jail_abort,
	.init = jail_init,
	.now = jail_now,
	.text = jail_text,
	.window = jail_window,
	.log = jail_log,
	.log_pending = jail_log_pending,
	.statistics = jail_statistics,
	.allocate = jail_allocate,
	.free = jail_free,
	.call = jail_call,
	.list = jail_list,
	.walk = jail_walk,
	.pid = jail_pid,
	.spawn = jail_spawn_process,
	.let_go = jail_let_go,
	.switches = jail_switches,
	.attach_fd = jail_attach_fd,
	.attach_memory = jail_attach_memory,
	.attach_foreign = jail_attach_foreign,
	.detach = jail_detach,
	.index = jail_disk_index,
	.bytes = jail_disk_bytes,
	.changes = jail_disk_changes,
	.resize = jail_resize,
	.undo_begin = jail_undo_begin,
	.undo_end = jail_undo_end,
	.forget = jail_forget,
	.snapshot = jail_snapshot,
	.restore = jail_restore,
	.drop = jail_drop,
	.snapshot_bytes = jail_snapshot_bytes,
	.inject = jail_inject,
	.injected = jail_injected,
};
