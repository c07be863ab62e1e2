// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of calls that wait for somebody else's thread, and the list on
 * which the kernel takes them (`submitted` of struct ll_cpu).
 *
 * Both change under `lock` only. The kernel takes from its list without the
 * lock, but it takes all at once, and it runs on the runner's thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include "own.h"
#include "runner.h"

static void host_queue(struct host_kernel *kernel, struct host_wait *wait)
{
	wait->next = NULL;
	wait->link = kernel->last_wait;
	*kernel->last_wait = wait;
	kernel->last_wait = &wait->next;
}

void host_unqueue(struct host_kernel *kernel, struct host_wait *wait)
{
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
	else
		kernel->last_wait = wait->link;
}

/* Hand a call to the kernel from outside; wake_runner() must follow. */
void host_push(struct host_kernel *kernel, struct ll_call *call)
{
	struct ll_cpu *cpu = kernel->cpu;

	call->state = LL_CALL_SUBMITTED;
	call->next = load(&cpu->submitted);
	while (!__atomic_compare_exchange_n(&cpu->submitted, &call->next, call,
					    true, __ATOMIC_SEQ_CST,
					    __ATOMIC_ACQUIRE))
		;
	__atomic_store_n(&cpu->attention, 1, __ATOMIC_SEQ_CST);
}

void host_wake_runner(struct host_kernel *kernel)
{
	struct host_wait *sleeper;

	pthread_mutex_lock(&kernel->lock);
	sleeper = kernel->sleeper;
	if (sleeper) {
		__atomic_store_n(&sleeper->state, WAIT_ROUSED,
				 __ATOMIC_RELEASE);
		host_futex_wake(&sleeper->state);
	}
	pthread_mutex_unlock(&kernel->lock);
}

/*
 * A task is gone: its queued calls must not reach the kernel. The caller is
 * inside the kernel and holds `lock`, so nobody else touches the list.
 */
void host_forget_calls(struct host_kernel *kernel, void *task)
{
	struct ll_call **link = &kernel->cpu->submitted, *call;

	while ((call = *link)) {
		bool interrupt = call->nr == LL_CALL_INTERRUPT;

		if ((interrupt ? (void *)call->args[0] : call->task) != task) {
			link = &call->next;
			continue;
		}
		*link = call->next;
		call->result = -ESRCH;
		host_finished(kernel, call);
	}
}

/* ops->finished: a call that is not the runner's. Runs on a fiber. */
void host_finished(void *host, struct ll_call *call)
{
	struct host_wait *wait = call->host;
	struct host_task *task = call->host;
	bool unattended;

	(void)host;
	if (call->nr == LL_CALL_INTERRUPT) {
		__atomic_store_n(&task->interrupting, 0, __ATOMIC_RELEASE);
		return;
	}
	unattended = wait->flags & HOST_CALL_UNATTENDED;
	__atomic_store_n(&wait->state, WAIT_FINISHED, __ATOMIC_RELEASE);
	/* `wait` may be gone already: only its address is used. */
	if (!unattended)
		host_futex_wake(&wait->state);
}

/* Whom the kernel has not looked at yet, else anybody. Under `lock`. */
struct host_wait *host_next(struct host_kernel *kernel)
{
	struct host_wait *wait, *found = NULL;

	for (wait = kernel->waits; wait; wait = wait->next) {
		if (load(&wait->state) != WAIT_QUEUED)
			continue;
		if (wait->call.state == LL_CALL_SUBMITTED)
			return wait;
		if (!found)
			found = wait;
	}
	return found;
}

/* The next call that has only just come in, or NULL. */
struct host_wait *host_fresh(struct host_kernel *kernel)
{
	struct host_wait *wait;

	pthread_mutex_lock(&kernel->lock);
	wait = host_next(kernel);
	if (wait && wait->call.state != LL_CALL_SUBMITTED)
		wait = NULL;
	pthread_mutex_unlock(&kernel->lock);
	return wait;
}

/* ---- taking over from a runner that sleeps ---------------------------- */

/*
 * The kernel is idle and its runner asleep. Whoever comes with a call does not
 * wake it, which would take two switches of the host for every call, but becomes
 * the runner: the sleeper is queued, as if it had never been the runner, and
 * sleeps on. Afterwards it is put back, unless its own call is over by then,
 * or the kernel wants to be looked after earlier than it will wake up.
 */
static bool host_take_over(struct host_kernel *kernel)
{
	struct host_wait *sleeper = kernel->sleeper;

	if (!sleeper || !sleeper->task ||
	    (sleeper->flags & HOST_CALL_UNATTENDED))
		return false;
	kernel->sleeper = NULL;
	sleeper->taken = true;
	__atomic_store_n(&sleeper->state, WAIT_QUEUED, __ATOMIC_RELEASE);
	host_queue(kernel, sleeper);
	__atomic_store_n(&kernel->owner, 2, __ATOMIC_RELEASE);
	return true;
}

struct host_wait *host_dozing(struct host_kernel *kernel)
{
	struct host_wait *wait;

	pthread_mutex_lock(&kernel->lock);
	for (wait = kernel->waits; wait; wait = wait->next)
		if (wait->dozing && load(&wait->state) == WAIT_QUEUED)
			break;
	pthread_mutex_unlock(&kernel->lock);
	return wait;
}

bool host_put_back(struct host_kernel *kernel, struct host_wait *wait)
{
	struct ll_cpu *cpu = kernel->cpu;
	u64 until = cpu->idle_until;
	bool back;

	if (until != LL_FOREVER)
		until -= kernel->clock_ahead;
	pthread_mutex_lock(&kernel->lock);
	/* Not when something was queued meanwhile, or it has woken up. */
	back = wait->dozing && wait->dozing_until <= until &&
	       cpu->clock != LL_CLOCK_VIRTUAL && !load(&cpu->attention);
	if (back) {
		host_unqueue(kernel, wait);
		wait->taken = false;
		__atomic_store_n(&wait->state, WAIT_IDLE, __ATOMIC_RELEASE);
		kernel->sleeper = wait;
	}
	pthread_mutex_unlock(&kernel->lock);
	return back;
}

/* Own the kernel, or put the call into the queue. Under `lock`. */
enum host_admission host_admit(struct host_kernel *kernel,
			       struct host_wait *wait)
{
	u32 owner;

	if (kernel->dead)
		return ADMIT_DEAD;
	if (!wait->task->task)
		return ADMIT_GONE;
	/* Its memory is being copied or put back: nothing may come into it. */
	if (kernel->seized)
		return ADMIT_LATER;
	/* It may have been given away again since the caller looked. */
	host_own_revoke_locked(kernel);
	if (host_take_over(kernel))
		return ADMIT_RUNNER;
	owner = load(&kernel->owner);
	while (owner != 2)
		if (__atomic_compare_exchange_n(
			    &kernel->owner, &owner, owner + 1, false,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			if (!owner)
				return ADMIT_RUNNER;
			break;
		}
	__atomic_store_n(&wait->state, WAIT_QUEUED, __ATOMIC_RELAXED);
	host_queue(kernel, wait);
	host_push(kernel, &wait->call);
	return ADMIT_QUEUED;
}
