// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is inside a kernel, and what everybody else does meanwhile.
 *
 * One thread at a time is the runner. It brings its own call, enters, and runs
 * whatever the kernel has to run until that call is done. A call of another
 * thread is queued: the kernel takes it, the runner executes it on the way,
 * and its thread sleeps until it is finished (ops->finished) or until it is
 * made the runner itself, because the last one had its result and left.
 *
 * Owning the kernel (own.h) is all that a call has to do which meets nobody.
 *
 * The runner sleeps when the kernel is idle: until its next timer, or until
 * another thread comes, which takes over the role (queue.c). With the virtual
 * clock it does not sleep but moves the clock, unless nothing is left to wait for.
 *
 * No signals, and no thread that is needed: see reader.c for one that helps.
 * Callbacks of the embedding are made on normal stacks with no lock held. A
 * thread in such a callback has an unfinished call in this kernel, so it must
 * not make another: see host_in_callback().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include "group.h"
#include "own.h"
#include "runner.h"
#include "sample.h"

/* ---- entering and leaving -------------------------------------------- */

static inline void host_enter(struct host_kernel *kernel)
{
	kernel->statistics.entries++;
	if (unlikely(__atomic_load_n(&kernel->aborting, __ATOMIC_RELAXED))) {
		kernel->cpu->reason = LL_EXIT_DEAD;
		strcpy(kernel->cpu->message, "aborted by the host");
		return;
	}
	host_self.inside = kernel;
	kernel->enter(kernel->cpu);
	host_self.inside = NULL;
	/* Nothing changes the kernel's memory while nobody is inside. */
	if (unlikely(kernel->nr_reads)) {
		host_reader_drain(kernel);
		host_reader_engage(kernel);
	}
}

/* The kernel will never be entered again; it stays owned. */
static void host_die(struct host_kernel *kernel)
{
	struct host_wait *wait, *next;
	const char *text = "powered off";

	if (kernel->cpu->reason == LL_EXIT_DEAD)
		text = kernel->cpu->message;
	if (!kernel->stuck)
		host_note_report(kernel);
	pthread_mutex_lock(&kernel->lock);
	snprintf(kernel->dead_text, sizeof(kernel->dead_text), "%s", text);
	__atomic_store_n(&kernel->dead, true, __ATOMIC_RELEASE);
	__atomic_store_n(&kernel->bias, NOBODY, __ATOMIC_RELAXED);
	kernel->inherited = false;
	kernel->busy = 0;
	for (wait = kernel->waits; wait; wait = next) {
		next = wait->next;
		if (load(&wait->state) != WAIT_QUEUED)
			continue;
		host_unqueue(kernel, wait);
		__atomic_store_n(&wait->state, WAIT_DEAD, __ATOMIC_RELEASE);
		host_futex_wake(&wait->state);
	}
	pthread_mutex_unlock(&kernel->lock);
}

/* Give up the role of runner, or make another thread take it. */
static void host_hand_over(struct host_kernel *kernel)
{
	struct host_wait *wait;

	pthread_mutex_lock(&kernel->lock);
	wait = host_next(kernel);
	if (wait) {
		host_unqueue(kernel, wait);
		kernel->cpu->runner = &wait->call;
		kernel->cpu->run = NULL;
		__atomic_store_n(&wait->state, WAIT_RUNNER, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&kernel->owner, 0, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kernel->lock);
	if (wait)
		host_futex_wake(&wait->state);
}

/*
 * The runner's call is over, and others are queued. Some that may be short are
 * executed before leaving: until a thread that is made the runner has woken
 * up, nobody would be. So is what this call has woken of a sleeper's, who may
 * then sleep on as the runner, or has its result.
 */
static void host_leave_slowly(struct host_kernel *kernel)
{
	struct host_wait *wait;
	u32 *woken = NULL;
	bool fresh;
	int favours;

	for (favours = 0; favours < FAVOURS; favours++) {
		wait = host_fresh(kernel);
		fresh = wait;
		if (!wait && !woken)
			wait = host_dozing(kernel);
		if (!wait)
			break;
		kernel->cpu->runner = &wait->call;
		kernel->cpu->run = NULL;
		host_enter(kernel);
		if (kernel->cpu->reason == LL_EXIT_DEAD ||
		    kernel->cpu->reason == LL_EXIT_HALT) {
			host_die(kernel);
			goto wake;
		}
		if (kernel->cpu->reason == LL_EXIT_IDLE && !fresh &&
		    host_put_back(kernel, wait))
			return;
		if (kernel->cpu->reason != LL_EXIT_DONE)
			break;
		if (fresh) {
			host_finished(kernel, &wait->call);
			continue;
		}
		/* Woken at the very end: it would wait for the lock. */
		woken = &wait->state;
		__atomic_store_n(woken, WAIT_FINISHED, __ATOMIC_RELEASE);
	}
	host_hand_over(kernel);
wake:
	if (woken) /* it may be gone: only its address is used */
		host_futex_wake(woken);
}

static inline void host_leave(struct host_kernel *kernel)
{
	if (unlikely(!host_disown(kernel)))
		host_leave_slowly(kernel);
}

void host_end(struct host_kernel *kernel)
{
	host_enter(kernel);
	host_die(kernel);
}

void host_give_up(struct host_kernel *kernel)
{
	host_leave(kernel);
}

/* ---- the runner ------------------------------------------------------ */

static void host_serve(struct host_kernel *kernel)
{
	struct ll_io *io = kernel->cpu->request;
	struct host_callback callback;

	kernel->statistics.host_exits++;
	host_callback_begin(kernel, &callback);
	io->result = host_disk_serve(kernel, io);
	host_callback_end(&callback);
	__atomic_store_n(&io->done, 1, __ATOMIC_RELEASE);
}

/* Why an idle kernel is not to be entered again, or NULL. */
static const char *host_given_up(struct host_kernel *kernel,
				 struct host_wait *wait)
{
	if (kernel->stuck)
		return "a wait that nothing can end, not even a signal";
	/* A boot cannot be interrupted, only given up. */
	if (!wait->task && wait->deadlock)
		return "the boot waits for ever";
	if (!wait->task && wait->interrupted)
		return "the boot was interrupted";
	return NULL;
}

/*
 * Go on after an exit until `wait` has its result. We are the runner. False when
 * another thread has become it: the call is queued.
 */
static bool host_run(struct host_kernel *kernel, struct host_wait *wait)
{
	struct ll_cpu *cpu = kernel->cpu;
	enum host_sample sample;
	struct ll_call *run;
	const char *text;

	for (;;) {
		run = NULL;
		switch (cpu->reason) {
		case LL_EXIT_DONE:
			host_leave(kernel);
			return true;
		case LL_EXIT_HOST:
			host_serve(kernel);
			break;
		case LL_EXIT_LOOK:
			run = host_look(kernel, wait);
			break;
		case LL_EXIT_IDLE:
			if (unlikely(kernel->sampler)) {
				sample = host_sample(kernel, wait);
				if (sample == SAMPLE_TAKEN)
					break;
				if (sample == SAMPLE_DIED)
					continue;
				if (sample == SAMPLE_OVER) {
					host_leave(kernel);
					return true;
				}
			}
			run = host_idle(kernel, wait);
			if (wait->taken)
				return false;
			text = host_given_up(kernel, wait);
			if (!text)
				break;
			snprintf(cpu->message, sizeof(cpu->message), "%s",
				 text);
			cpu->reason = LL_EXIT_DEAD;
			/* fallthrough */
		default:
			host_die(kernel);
			wait->dead = true;
			wait->deadlock = kernel->stuck;
			return true;
		}
		cpu->run = run;
		host_enter(kernel);
	}
}

bool host_run_until_idle(struct host_kernel *kernel, struct host_wait *wait)
{
	struct ll_cpu *cpu = kernel->cpu;
	/* Not started yet, or ended by a signal. */
	struct ll_call *run = wait->state == WAIT_QUEUED ? NULL : &wait->call;

	if (!host_own(kernel))
		return false;
	for (;;) {
		wait->state = WAIT_QUEUED;
		cpu->runner = &wait->call;
		cpu->run = run;
		host_enter(kernel);
		run = NULL;
		switch (cpu->reason) {
		case LL_EXIT_DONE:
			run = &wait->call;
			break;
		case LL_EXIT_HOST:
			host_serve(kernel);
			break;
		case LL_EXIT_LOOK:
			run = host_look(kernel, wait);
			break;
		case LL_EXIT_IDLE:
			if (load(&cpu->attention))
				break;
			host_leave(kernel);
			return true;
		default:
			host_die(kernel);
			return false;
		}
	}
}

enum ll_exit host_run_aside(struct host_kernel *kernel, struct host_wait *wait)
{
	struct ll_cpu *cpu = kernel->cpu;
	struct ll_call *run = &wait->call;

	for (;;) {
		cpu->runner = &wait->call;
		cpu->run = run;
		host_enter(kernel);
		run = NULL;
		switch (cpu->reason) {
		case LL_EXIT_HOST:
			host_serve(kernel);
			break;
		case LL_EXIT_LOOK:
			run = host_look(kernel, wait);
			break;
		default:
			return cpu->reason;
		}
	}
}

/* The same until it has it, whoever is the runner. */
static void host_see_through(struct host_kernel *kernel, struct host_wait *wait)
{
	while (!host_run(kernel, wait)) {
		switch (host_wait_on(kernel, wait)) {
		case WAIT_RUNNER:
			wait->taken = false;
			host_enter(kernel);
			continue;
		case WAIT_DEAD:
			wait->dead = true;
			wait->deadlock = kernel->stuck;
			return;
		}
		return;
	}
}

/* ---- calls ----------------------------------------------------------- */

/* Somebody is inside; most are not for long. */
static bool host_spin(struct host_kernel *kernel)
{
	int spins;

	for (spins = 0; spins < OWNER_SPINS; spins++) {
		if (__atomic_load_n(&kernel->sleeper, __ATOMIC_RELAXED) ||
		    __atomic_load_n(&kernel->dead, __ATOMIC_RELAXED))
			return false;
		__builtin_ia32_pause();
		if (!load(&kernel->owner) && host_own_shared(kernel))
			return true;
	}
	return false;
}

static void host_result_of(struct host_wait *wait, struct host_result *result)
{
	result->value = wait->call.result;
	result->interrupted = wait->interrupted;
	if (wait->deadlock && result->value == -EINTR) {
		result->deadlock = true;
		result->value = -EDEADLK;
	}
	if (wait->dead) {
		result->dead = true;
		result->deadlock = wait->deadlock;
		result->value = -EOWNERDEAD;
	}
}

/* The kernel is ours: start the call and see it through. */
static void host_start(struct host_kernel *kernel, struct host_wait *wait)
{
	if (wait->task && unlikely(!wait->task->task)) {
		wait->call.result = -ESRCH;
		host_leave(kernel);
		return;
	}
	if (unlikely(kernel->group) && !host_group_enter(kernel)) {
		wait->call.result = -EDEADLK;
		host_leave(kernel);
		return;
	}
	kernel->cpu->runner = &wait->call;
	kernel->cpu->run = wait->task ? &wait->call : NULL;
	host_enter(kernel);
	if (likely(kernel->cpu->reason == LL_EXIT_DONE)) {
		host_leave(kernel);
		return;
	}
	host_see_through(kernel, wait);
}

/*
 * For measure.c. Start the call `run` (or none), which will block, and come
 * back when `wait` is over, which has been blocked since an earlier host_pass().
 */
void host_pass(struct host_kernel *kernel, struct host_wait *run,
	       struct host_wait *wait)
{
	while (!host_own(kernel)) {
		host_own_revoke(kernel);
		if (__atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE)) {
			wait->dead = true;
			return;
		}
		sched_yield();
	}
	kernel->cpu->runner = &wait->call;
	kernel->cpu->run = run ? &run->call : NULL;
	host_enter(kernel);
	if (likely(kernel->cpu->reason == LL_EXIT_DONE))
		host_leave(kernel);
	else
		host_see_through(kernel, wait);
}

static __attribute__((noinline)) void
host_call_slowly(struct host_kernel *kernel, struct host_wait *wait,
		 struct host_result *result)
{
	enum host_admission admission;

	if (host_in_callback(kernel)) {
		result->reentered = true;
		wait->call.result = -EDEADLK;
		return;
	}
	host_own_revoke(kernel);
	/* So that it meets the kernel in the same state every time. */
	if (__atomic_load_n(&kernel->lockstep, __ATOMIC_RELAXED))
		host_kernel_settle(kernel, false);
	if (host_spin(kernel)) {
		host_start(kernel, wait);
		return;
	}
	for (;;) {
		pthread_mutex_lock(&kernel->lock);
		admission = host_admit(kernel, wait);
		pthread_mutex_unlock(&kernel->lock);
		if (admission != ADMIT_LATER)
			break;
		sched_yield();
	}
	switch (admission) {
	case ADMIT_RUNNER:
		host_start(kernel, wait);
		break;
	case ADMIT_QUEUED:
		switch (host_wait(kernel, wait)) {
		case WAIT_RUNNER:
			host_enter(kernel);
			host_see_through(kernel, wait);
			break;
		case WAIT_DEAD:
			wait->dead = true;
			wait->deadlock = kernel->stuck;
			break;
		}
		break;
	case ADMIT_GONE:
		wait->call.result = -ESRCH;
		break;
	case ADMIT_DEAD:
		wait->dead = true;
		break;
	case ADMIT_LATER:
		break;
	}
}

void host_fill(struct host_wait *wait, struct host_task *task, s64 nr,
	       const u64 args[6], u32 flags)
{
	wait->call.nr = nr;
	if (args)
		memcpy(wait->call.args, args, sizeof(wait->call.args));
	wait->call.task =
		task ? __atomic_load_n(&task->task, __ATOMIC_RELAXED) : NULL;
	wait->call.state = LL_CALL_IDLE;
	wait->call.flags = 0;
	wait->call.host = wait;
	wait->flags = flags;
	wait->thread = host_self.id;
	wait->task = task;
	wait->next_poll = 0;
	wait->patient_since = 0;
	wait->sampled_since = 0;
	wait->interrupted = wait->sent = wait->deadlock = wait->dead = false;
	wait->dozing = wait->taken = false;
}

void host_call(struct host_kernel *kernel, struct host_task *task, s64 nr,
	       const u64 args[6], u32 flags, struct host_result *result)
{
	struct host_wait wait;

	*result = (struct host_result){ 0 };
	host_fill(&wait, task, nr, args, flags);
	if (likely(host_own(kernel)))
		host_start(kernel, &wait);
	else
		host_call_slowly(kernel, &wait, result);
	host_result_of(&wait, result);
}

/* The first entry. cpu->current_task is init's task afterwards. */
int host_boot(struct host_kernel *kernel, struct host_result *result)
{
	struct host_wait wait;

	*result = (struct host_result){ 0 };
	host_fill(&wait, NULL, LL_CALL_BOOT, NULL, 0);
	kernel->owner = 1;
	host_start(kernel, &wait);
	host_result_of(&wait, result);
	if (!result->dead && host_own(kernel))
		host_own_begin(kernel);
	return result->value;
}
