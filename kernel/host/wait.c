// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting: of the runner when the kernel is idle, and of other threads for
 * their calls. Every thread that waits asks the embedding now and then whether
 * it was interrupted; if so its call is ended by LL_CALL_INTERRUPT.
 *
 * Callbacks are made with no lock held.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <time.h>
#include "group.h"
#include "own.h"
#include "runner.h"

/* Is it time to ask, and does the embedding say so? No lock held. */
static bool host_poll(struct host_kernel *kernel, struct host_wait *wait,
		      bool now)
{
	struct host_callback callback;
	bool interrupted;
	u64 time;

	if (!kernel->embedding.interrupted || wait->interrupted ||
	    (wait->flags & HOST_CALL_UNINTERRUPTED))
		return false;
	time = host_monotonic(kernel);
	if (!now && time < wait->next_poll)
		return false;
	wait->next_poll = time + POLL_NS;
	host_callback_begin(kernel, &callback);
	interrupted = kernel->embedding.interrupted(kernel->embedding.context);
	host_callback_end(&callback);
	wait->interrupted = interrupted;
	return interrupted;
}

/* The call that ends this one, or NULL when it is on its way already. */
static struct ll_call *host_interruption(struct host_wait *wait)
{
	wait->sent = true;
	if (!wait->task ||
	    __atomic_exchange_n(&wait->task->interrupting, 1, __ATOMIC_ACQ_REL))
		return NULL;
	return &wait->task->interrupt;
}

static void host_submit_interruption(struct host_kernel *kernel,
				     struct host_wait *wait)
{
	struct ll_call *call;

	pthread_mutex_lock(&kernel->lock);
	if (!kernel->dead && wait->task->task &&
	    load(&wait->state) == WAIT_QUEUED) {
		call = host_interruption(wait);
		if (call)
			host_push(kernel, call);
	}
	pthread_mutex_unlock(&kernel->lock);
	host_wake_runner(kernel);
}

static int host_sleep(struct host_kernel *kernel, struct host_wait *wait,
		      u32 *word, u32 value, u64 until)
{
	struct host_embedding *embedding = &kernel->embedding;
	bool release = (wait->flags & HOST_CALL_FAULT) && embedding->release;
	void *token = NULL;
	int result;

	if (kernel->embedding.interrupted &&
	    !(wait->flags & HOST_CALL_UNINTERRUPTED) && !wait->interrupted &&
	    wait->next_poll < until)
		until = wait->next_poll;
	if (release)
		token = embedding->release(embedding->context);
	result = host_futex_wait(word, value, until);
	if (release)
		embedding->acquire(embedding->context, token);
	return result;
}

/* Keep what the kernel says: it may say something else soon. */
void host_note_report(struct host_kernel *kernel)
{
	pthread_mutex_lock(&kernel->lock);
	kernel->report = kernel->cpu->report;
	pthread_mutex_unlock(&kernel->lock);
}

/* ---- the runner, when the kernel is idle ------------------------------ */

/*
 * Threads that have a task here and are neither the caller nor waiting for
 * somebody else to run their calls: the runner, and those outside.
 */
static unsigned int host_at_large(struct host_kernel *kernel, u64 self)
{
	struct host_task *task;
	struct host_wait *wait;
	unsigned int count = 0;
	int bucket;

	pthread_mutex_lock(&kernel->lock);
	for (bucket = 0; bucket < TASK_BUCKETS; bucket++)
		for (task = kernel->buckets[bucket]; task;
		     task = task->next_hash) {
			if (!task->thread || task->thread == self)
				continue;
			for (wait = kernel->waits; wait; wait = wait->next)
				if (wait->thread == task->thread &&
				    load(&wait->state) == WAIT_QUEUED)
					break;
			if (!wait)
				count++;
		}
	pthread_mutex_unlock(&kernel->lock);
	return count;
}

/* In lockstep, is somebody outside who must be waited for? */
static bool host_holds_clock(struct host_kernel *kernel, struct host_wait *wait)
{
	return kernel->cpu->clock == LL_CLOCK_VIRTUAL &&
	       __atomic_load_n(&kernel->lockstep, __ATOMIC_RELAXED) &&
	       host_at_large(kernel, wait->thread);
}

static bool host_is_settled(struct host_kernel *kernel, bool all)
{
	bool owned = load(&kernel->owner);

	/* As long as one thread is all that there is, it has just left. */
	if (__atomic_load_n(&kernel->bias, __ATOMIC_RELAXED) != NOBODY)
		owned = false;
	if (owned && !__atomic_load_n(&kernel->sleeper, __ATOMIC_ACQUIRE))
		return false;
	return !all || host_at_large(kernel, host_self.id) == owned;
}

bool host_kernel_settle(struct host_kernel *kernel, bool all)
{
	const struct timespec pause = { .tv_nsec = SETTLE_PAUSE_NS };
	int round;

	for (round = 0; round < SETTLE_ROUNDS; round++) {
		if (__atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE) ||
		    host_is_settled(kernel, all))
			return true;
		/* The others need the processor; most are quick. */
		if (round < SETTLE_YIELDS)
			sched_yield();
		else
			nanosleep(&pause, NULL);
	}
	return false;
}

void host_kernel_lockstep(struct host_kernel *kernel, bool on)
{
	__atomic_store_n(&kernel->lockstep, on, __ATOMIC_RELAXED);
}

/* Move the virtual clock, of which others may have their part. False when that would not help. */
static bool host_move_clock(struct host_kernel *kernel)
{
	struct ll_cpu *cpu = kernel->cpu;

	if (kernel->group) {
		switch (host_group_idle(kernel)) {
		case GROUP_ENTER:
			return true;
		case GROUP_STUCK:
			return false;
		case GROUP_MOVE:
			break;
		}
	}
	if (cpu->clock != LL_CLOCK_VIRTUAL || cpu->idle_until == LL_FOREVER)
		return false;
	if (cpu->virtual_now < cpu->idle_until)
		cpu->virtual_now = cpu->idle_until;
	return true;
}

/*
 * Sleep as the runner. Afterwards it is one no more when somebody has taken over
 * (`taken`): its call is a queued one, which may be over.
 *
 * Who submits something takes the lock after that, to wake the runner: either it
 * finds `sleeper`, or this thread finds `attention`.
 */
static int host_doze(struct host_kernel *kernel, struct host_wait *wait,
		     u64 until)
{
	int result = 0;

	pthread_mutex_lock(&kernel->lock);
	__atomic_store_n(&wait->state, WAIT_IDLE, __ATOMIC_RELEASE);
	wait->dozing_until = until;
	wait->dozing = true;
	wait->taken = false;
	kernel->sleeper = wait;
	pthread_mutex_unlock(&kernel->lock);
	if (!load(&kernel->cpu->attention))
		result = host_sleep(kernel, wait, &wait->state, WAIT_IDLE,
				    until);
	pthread_mutex_lock(&kernel->lock);
	wait->dozing = false;
	if (!wait->taken) {
		kernel->sleeper = NULL;
		__atomic_store_n(&wait->state, WAIT_RUNNER, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&kernel->lock);
	return result;
}

/*
 * The kernel is idle. Returns a call to enter it with, or NULL; the caller is
 * not the runner any more when its wait is `taken`.
 */
struct ll_call *host_idle(struct host_kernel *kernel, struct host_wait *wait)
{
	struct ll_cpu *cpu = kernel->cpu;
	u64 until = cpu->idle_until;
	int result;

	if (until != LL_FOREVER)
		until -= kernel->clock_ahead;

	kernel->statistics.idle_exits++;
	if (load(&cpu->attention))
		return NULL;
	if (wait->interrupted && !wait->sent)
		return host_interruption(wait);
	if (host_holds_clock(kernel, wait)) {
		until = LL_FOREVER;
	} else if (host_move_clock(kernel)) {
		if (++kernel->virtual_rounds % VIRTUAL_POLL_ROUNDS ||
		    !host_poll(kernel, wait, false))
			return NULL;
		return host_interruption(wait);
	} else if (cpu->clock == LL_CLOCK_VIRTUAL &&
		   !host_at_large(kernel, wait->thread)) {
		/*
		 * Nothing can ever happen again: nobody is outside who could
		 * come with a call that changes things.
		 */
		if (wait->deadlock) {
			/* Told to end its wait already, and waits again. */
			kernel->stuck = true;
			return NULL;
		}
		host_note_report(kernel);
		wait->deadlock = true;
		return host_interruption(wait);
	}
	if (!wait->next_poll)
		wait->next_poll = host_monotonic(kernel) + POLL_NS;
	result = host_doze(kernel, wait, until);
	if (wait->taken)
		return NULL;
	if ((result == -EINTR || result == -ETIMEDOUT) &&
	    host_poll(kernel, wait, result == -EINTR))
		return host_interruption(wait);
	return NULL;
}

/* ---- the runner, when the kernel computes for long --------------------- */

static u64 host_processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (u64)time.tv_sec * 1000000000 + time.tv_nsec;
}

/*
 * Is it still doing something? Progress are calls, switches and disk I/O; what
 * counts is the processor's time, for the host may be busy with others. Of what
 * passed between two looks most is not the kernel's when it is much: the last
 * look was another thread's, or this one has been elsewhere since.
 */
static bool host_gets_nowhere(struct host_kernel *kernel)
{
	u64 now = host_processor_time(), passed = now - kernel->looked_at;

	kernel->looked_at = now;
	if (kernel->progress != kernel->cpu->progress) {
		kernel->progress = kernel->cpu->progress;
		kernel->computed = 0;
		return false;
	}
	kernel->computed += passed < LOOKS_APART_NS ? passed : LOOKS_APART_NS;
	return kernel->computed > STUCK_NS;
}

/*
 * The caller wants to give up, and the kernel does not listen. As long as it
 * uses a disk it may have good reason: to write back what must not be lost.
 */
static bool host_listens_to_nobody(struct host_kernel *kernel,
				   struct host_wait *wait)
{
	struct host_statistics *statistics = &kernel->statistics;
	u64 requests =
		statistics->reads + statistics->writes + statistics->flushes;
	u64 now = host_processor_time();

	if (wait->patient_since && wait->patient_requests == requests)
		return now - wait->patient_since > STUCK_INTERRUPTED_NS;
	wait->patient_since = now;
	wait->patient_requests = requests;
	return false;
}

/* Returns a call to enter the kernel with, or NULL. */
struct ll_call *host_look(struct host_kernel *kernel, struct host_wait *wait)
{
	if (host_gets_nowhere(kernel))
		kernel->cpu->give_up = "it computes without an end";
	else if (!wait->interrupted && host_poll(kernel, wait, false))
		return host_interruption(wait);
	else if (wait->interrupted && host_listens_to_nobody(kernel, wait))
		kernel->cpu->give_up =
			"it computes on although its caller was interrupted";
	return NULL;
}

/* ---- everybody else --------------------------------------------------- */

/* The call is queued: sleep until it is finished or this thread is made the runner. */
u32 host_wait(struct host_kernel *kernel, struct host_wait *wait)
{
	host_wake_runner(kernel);
	return host_wait_on(kernel, wait);
}

/* The same when the kernel knows of the call already. */
u32 host_wait_on(struct host_kernel *kernel, struct host_wait *wait)
{
	u32 state;
	int result;

	wait->next_poll = host_monotonic(kernel) + POLL_NS;
	while ((state = load(&wait->state)) == WAIT_QUEUED) {
		result = host_sleep(kernel, wait, &wait->state, WAIT_QUEUED,
				    LL_FOREVER);
		if ((result == -EINTR || result == -ETIMEDOUT) &&
		    host_poll(kernel, wait, result == -EINTR))
			host_submit_interruption(kernel, wait);
	}
	if (state == WAIT_FINISHED) {
		pthread_mutex_lock(&kernel->lock);
		host_unqueue(kernel, wait);
		pthread_mutex_unlock(&kernel->lock);
	}
	return state;
}
