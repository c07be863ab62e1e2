// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups: several kernels with one virtual clock, joined by wires.
 *
 * All of a group happens on one thread of the host. When a kernel that it is
 * inside of becomes idle, the others run: first those that have something to do
 * now, in the order in which they joined, then the one whose timer is the next
 * of all. Only when that is a timer of the kernel that the thread waits in does
 * this one go on. So no kernel is ever ahead of what may still happen in
 * another, and the order is the same in every run. (It needs no lookahead: a
 * frame may cross in no time. Rejected: letting each run as far ahead as the
 * shortest delay allows, for kernels cost one another nothing on one thread.)
 *
 * A member's clock is set to the furthest of all before it goes on. It may be
 * late for a timer then, by what the others have charged for their calls, as a
 * task is late that waits for the processor.
 *
 * A wire is a read in one kernel and a write in another, in turns, by tasks
 * that no thread has. It carries frames between TAP devices, or with a constant
 * to write, the news that an epoll has something.
 *
 * A group and its wires are there until its last kernel is closed: tasks of a
 * kernel that is left may still be in calls of a wire.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "group.h"
#include "runner.h"

#define WIRE_FRAME_BYTES (128 * KIB)
/* Of an epoll wire: what is written. */
#define WIRE_NEWS_BYTES 8
/* Runs of others before the caller is asked whether it was interrupted. */
#define GROUP_STEPS 256

struct host_member {
	struct host_kernel *kernel; /* NULL: it has left */
	struct host_wait anchor; /* waits for ever, while nobody else does */
	bool entered; /* since it was last idle */
};

struct host_wire {
	struct host_kernel *from, *to;
	struct host_task *reader, *writer;
	int from_fd, to_fd;
	bool news; /* from_fd is an epoll */
	enum { WIRE_READS, WIRE_WRITES, WIRE_BROKEN } state;
	struct host_wait call;
	struct host_wire *next;
	char frame[WIRE_FRAME_BYTES];
};

struct host_group {
	u64 thread;
	u32 nr_members;
	struct host_member members[GROUP_KERNELS];
	struct host_wire *wires, **last_wire;
};

static struct host_member *host_member_of(struct host_kernel *kernel)
{
	struct host_group *group = kernel->group;
	u32 at;

	for (at = 0; at < group->nr_members; at++)
		if (group->members[at].kernel == kernel)
			return &group->members[at];
	return NULL;
}

static bool host_member_lives(const struct host_member *member)
{
	return member->kernel &&
	       !__atomic_load_n(&member->kernel->dead, __ATOMIC_ACQUIRE);
}

u64 host_group_now(struct host_kernel *kernel)
{
	struct host_group *group = kernel->group;
	u64 now = 0;
	u32 at;

	for (at = 0; at < group->nr_members; at++) {
		struct host_member *member = &group->members[at];

		if (member->kernel && now < member->kernel->cpu->virtual_now)
			now = member->kernel->cpu->virtual_now;
	}
	return now;
}

bool host_group_enter(struct host_kernel *kernel)
{
	if (host_self.id != kernel->group->thread)
		return false;
	host_member_of(kernel)->entered = true;
	kernel->cpu->virtual_now = host_group_now(kernel);
	return true;
}

/* ---- wires ------------------------------------------------------------ */

static void host_wire_call(struct host_wire *wire, struct host_kernel *kernel,
			   struct host_task *task, s64 nr, const u64 args[6])
{
	host_fill(&wire->call, task, nr, args,
		  HOST_CALL_UNINTERRUPTED | HOST_CALL_UNATTENDED);
	wire->call.state = WAIT_QUEUED;
	pthread_mutex_lock(&kernel->lock);
	host_push(kernel, &wire->call.call);
	pthread_mutex_unlock(&kernel->lock);
}

static void host_wire_read(struct host_wire *wire)
{
	u64 bytes = wire->news ? 1 : WIRE_FRAME_BYTES; /* one event, or bytes */
	u64 args[6] = { wire->from_fd, (u64)wire->frame, bytes, (u64)-1 };

	wire->state = WIRE_READS;
	host_wire_call(wire, wire->from, wire->reader,
		       wire->news ? SYS_epoll_wait : SYS_read, args);
}

static void host_wire_write(struct host_wire *wire, u64 bytes)
{
	u64 args[6] = { wire->to_fd, (u64)wire->frame, bytes };

	if (wire->news) {
		memset(wire->frame, 0, WIRE_NEWS_BYTES);
		wire->frame[0] = 1; /* adds one to an eventfd */
		args[2] = WIRE_NEWS_BYTES;
	}
	wire->state = WIRE_WRITES;
	host_wire_call(wire, wire->to, wire->writer, SYS_write, args);
}

/* The call of a wire is over: what comes next. */
static void host_wire_go_on(struct host_wire *wire)
{
	s64 result = wire->call.call.result;

	/* What cannot be written was lost on the way. */
	if (wire->state == WIRE_WRITES || result == -EINTR)
		host_wire_read(wire);
	else if (result > 0)
		host_wire_write(wire, result);
	else
		wire->state = WIRE_BROKEN; /* its device is gone */
}

static bool host_wire_is_whole(struct host_wire *wire)
{
	return wire->state != WIRE_BROKEN && wire->from->group &&
	       wire->to->group && !wire->from->dead && !wire->to->dead;
}

static void host_group_carry(struct host_group *group)
{
	struct host_wire *wire;

	for (wire = group->wires; wire; wire = wire->next)
		if (host_wire_is_whole(wire) &&
		    load(&wire->call.state) == WAIT_FINISHED)
			host_wire_go_on(wire);
}

/* ---- one after the other ---------------------------------------------- */

static void host_member_run(struct host_member *member, u64 until)
{
	struct ll_cpu *cpu = member->kernel->cpu;
	u64 now = host_group_now(member->kernel);

	member->entered = false;
	cpu->virtual_now = now < until ? until : now;
	host_run_until_idle(member->kernel, &member->anchor);
}

/* Somebody who has something to do at once. */
static struct host_member *host_group_busy(struct host_group *group)
{
	u32 at;

	for (at = 0; at < group->nr_members; at++) {
		struct host_member *member = &group->members[at];

		if (host_member_lives(member) &&
		    (member->entered || load(&member->kernel->cpu->attention)))
			return member;
	}
	return NULL;
}

/* Whose timer is the next of all; NULL when there is none. */
static struct host_member *host_group_next(struct host_group *group)
{
	struct host_member *next = NULL;
	u64 until = LL_FOREVER;
	u32 at;

	for (at = 0; at < group->nr_members; at++) {
		struct host_member *member = &group->members[at];

		if (host_member_lives(member) &&
		    member->kernel->cpu->idle_until < until) {
			until = member->kernel->cpu->idle_until;
			next = member;
		}
	}
	return next;
}

static enum host_group_advice host_group_run(struct host_kernel *kernel)
{
	struct host_group *group = kernel->group;
	struct host_member *self = host_member_of(kernel), *member;
	u32 steps;

	self->entered = false;
	for (steps = 0; steps < GROUP_STEPS; steps++) {
		host_group_carry(group);
		member = host_group_busy(group);
		if (member == self)
			break;
		if (member) {
			host_member_run(member, 0);
			continue;
		}
		member = host_group_next(group);
		if (!member)
			return GROUP_STUCK;
		if (member == self) {
			kernel->cpu->virtual_now = host_group_now(kernel);
			return GROUP_MOVE;
		}
		host_member_run(member, member->kernel->cpu->idle_until);
	}
	kernel->cpu->virtual_now = host_group_now(kernel);
	return GROUP_ENTER;
}

enum host_group_advice host_group_idle(struct host_kernel *kernel)
{
	enum host_group_advice advice;
	struct host_callback callback;

	/* Disks of the others may be code of the embedding's. */
	host_callback_begin(kernel, &callback);
	advice = host_group_run(kernel);
	host_callback_end(&callback);
	return advice;
}

/* ---- making and leaving ----------------------------------------------- */

/* A task that no thread has, of the calling thread's task in `process`. */
static struct host_task *host_group_task(struct host_process *process,
					 struct host_result *result)
{
	struct host_task *executor = host_find_task(process, result);
	struct host_task *task = NULL;

	if (executor)
		host_spawn_task(process->kernel, executor, LL_SPAWN_THREAD,
				HOST_CALL_UNINTERRUPTED, &task, result);
	return task;
}

static int host_group_add(struct host_group *group, struct host_kernel *kernel)
{
	struct host_member *member = &group->members[group->nr_members];
	struct host_result result = { 0 };
	struct host_task *task;

	if (group->nr_members == GROUP_KERNELS)
		return -ENOSPC;
	task = host_group_task(kernel->init, &result);
	if (!task)
		return result.value < 0 ? result.value : -EAGAIN;
	host_fill(&member->anchor, task, SYS_pause, NULL,
		  HOST_CALL_UNINTERRUPTED | HOST_CALL_UNATTENDED);
	member->anchor.state = WAIT_FINISHED; /* to be started */
	member->kernel = kernel;
	member->entered = true;
	group->nr_members++;
	kernel->group = group;
	return 0;
}

int host_group_join(struct host_kernel *first, struct host_kernel *other)
{
	struct host_group *group = first->group;
	int error;

	host_thread_prepare();
	if (first->cpu->clock != LL_CLOCK_VIRTUAL ||
	    other->cpu->clock != LL_CLOCK_VIRTUAL || other->group)
		return -EINVAL;
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->thread = host_self.id;
		group->last_wire = &group->wires;
		error = host_group_add(group, first);
		if (error) {
			free(group);
			return error;
		}
	}
	return host_group_add(group, other);
}

int host_group_wire(struct host_process *from, int from_fd, bool news,
		    struct host_process *to, int to_fd)
{
	struct host_group *group = from->kernel->group;
	struct host_result result = { 0 };
	struct host_wire *wire;

	if (!group || to->kernel->group != group)
		return -EINVAL;
	wire = calloc(1, sizeof(*wire));
	if (!wire)
		return -ENOMEM;
	*wire = (struct host_wire){
		.from = from->kernel,
		.to = to->kernel,
		.from_fd = from_fd,
		.to_fd = to_fd,
		.news = news,
	};
	wire->reader = host_group_task(from, &result);
	if (wire->reader)
		wire->writer = host_group_task(to, &result);
	if (!wire->writer) {
		free(wire);
		return result.value < 0 ? result.value : -EAGAIN;
	}
	*group->last_wire = wire;
	group->last_wire = &wire->next;
	host_wire_read(wire);
	return 0;
}

void host_group_leave(struct host_kernel *kernel)
{
	struct host_group *group = kernel->group;
	struct host_wire *wire;
	u32 at;

	host_member_of(kernel)->kernel = NULL;
	kernel->group = NULL;
	for (wire = group->wires; wire; wire = wire->next)
		if (wire->from == kernel || wire->to == kernel)
			wire->state = WIRE_BROKEN;
	for (at = 0; at < group->nr_members; at++)
		if (group->members[at].kernel)
			return;
	while ((wire = group->wires)) {
		group->wires = wire->next;
		free(wire);
	}
	free(group);
}
