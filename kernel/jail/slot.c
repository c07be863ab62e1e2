// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads, requests and waiting.
 *
 * A thread keeps its slot until it ends, because the thread of the cell behind
 * it has tasks in the kernel with what belongs to them: ids, credentials. Then
 * the cell is told to forget it (CHANNEL_FORGET; nobody waits for that), and
 * the next thread without a slot gets it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "keeper.h"

#define CACHE_ENTRIES 4

static __thread struct {
	u64 jail;
	struct jail_slot *slot;
} jail_cache[CACHE_ENTRIES];
static __thread u64 jail_thread; /* id of this thread; 0: none yet */
__thread const struct host_embedding *jail_faulting;

static pthread_key_t jail_thread_key;
static pthread_once_t jail_thread_once = PTHREAD_ONCE_INIT;
static u64 jail_threads;
static u32 jail_lookers;

/* ---- threads --------------------------------------------------------- */

void jail_begin(struct jail_slot *slot, u32 op, u64 handle, s64 nr,
		const u64 args[6])
{
	struct channel_slot *shared = slot->shared;

	shared->op = op;
	shared->handle = handle;
	shared->nr = nr;
	if (args)
		memcpy(shared->args, args, sizeof(shared->args));
	if (slot->interrupted)
		channel_store(&shared->interrupt, 0);
	slot->interrupted = false;
	slot->next_poll = 0;
	channel_store(&shared->request, ++slot->request);
	channel_ring(&shared->cell);
}

static void jail_forget_thread(struct jail *jail, u64 thread)
{
	struct jail_slot *slot = jail->slots, *end = slot + CHANNEL_SLOTS;

	if (!jail_is_ours(jail))
		return;
	pthread_mutex_lock(&jail->lock);
	for (; slot < end; slot++)
		if (slot->thread == thread) {
			jail_begin(slot, CHANNEL_FORGET, 0, 0, NULL);
			slot->thread = 0;
		}
	pthread_mutex_unlock(&jail->lock);
}

static void jail_thread_end(void *argument)
{
	(void)argument;
	jail_each(jail_forget_thread, jail_thread);
	memset(jail_cache, 0, sizeof(jail_cache));
	jail_thread = 0; /* should it make another call it is a new one */
}

static void jail_thread_key_make(void)
{
	pthread_key_create(&jail_thread_key, jail_thread_end);
}

static void jail_thread_prepare(void)
{
	pthread_once(&jail_thread_once, jail_thread_key_make);
	host_thread_prepare(); /* a stack for the handler of faults */
	jail_thread = __atomic_add_fetch(&jail_threads, 1, __ATOMIC_RELAXED);
	pthread_setspecific(jail_thread_key, &jail_thread);
}

/* Under `lock`. */
static struct jail_slot *jail_bind(struct jail *jail)
{
	struct jail_slot *slot, *end = jail->slots + CHANNEL_SLOTS;

	for (slot = jail->slots; slot < end; slot++)
		if (slot->thread == jail_thread)
			return slot;
	for (slot = jail->slots; slot < end; slot++)
		if (!slot->thread) {
			slot->thread = jail_thread;
			return slot;
		}
	return NULL;
}

/* The cell has no thread for it yet. */
static bool jail_use(struct jail *jail, struct jail_slot *slot)
{
	u32 index = (u32)(slot - jail->slots);

	if (send(jail->control, &index, sizeof(index), MSG_NOSIGNAL) !=
	    sizeof(index))
		return false; /* it is gone, as will be found */
	slot->used = true;
	return true;
}

static struct jail_slot *jail_find_slot(struct jail *jail,
					struct host_result *result)
{
	struct jail_slot *slot;
	u64 entry = jail->id % CACHE_ENTRIES;

	if (!jail_thread)
		jail_thread_prepare();
	pthread_mutex_lock(&jail->lock);
	slot = jail_bind(jail);
	pthread_mutex_unlock(&jail->lock);
	if (!slot) {
		*result = (struct host_result){ .value = -EAGAIN };
		return NULL;
	}
	if (!slot->used && !jail_use(jail, slot)) {
		jail_is_gone(jail);
		jail_result_dead(result);
		return NULL;
	}
	/* What the thread before has left behind (FORGET). */
	if (!jail_await(jail, slot, jail_is_finished)) {
		jail_result_dead(result);
		return NULL;
	}
	jail_cache[entry].jail = jail->id;
	jail_cache[entry].slot = slot;
	return slot;
}

/* Also when the kernel is dead, as long as the cell can be asked. */
struct jail_slot *jail_enter_dead(struct jail *jail, struct host_result *result)
{
	u64 entry = jail->id % CACHE_ENTRIES;
	struct jail_slot *slot = jail_cache[entry].slot;

	*result = (struct host_result){ 0 };
	if (!jail_is_ours(jail) ||
	    __atomic_load_n(&jail->gone, __ATOMIC_ACQUIRE)) {
		jail_result_dead(result);
		return NULL;
	}
	if (jail_cache[entry].jail != jail->id)
		slot = jail_find_slot(jail, result);
	if (slot && slot->serving) {
		*result = (struct host_result){ .value = -EDEADLK,
						.reentered = true };
		return NULL;
	}
	return slot;
}

struct jail_slot *jail_enter(struct jail *jail, struct host_result *result)
{
	if (!__atomic_load_n(&jail->dead, __ATOMIC_ACQUIRE))
		return jail_enter_dead(jail, result);
	jail_result_dead(result);
	return NULL;
}

/* ---- waiting --------------------------------------------------------- */

bool jail_is_finished(struct jail_slot *slot)
{
	return channel_load(&slot->shared->finished) == slot->request;
}

static bool jail_is_posted(struct jail_slot *slot)
{
	return channel_load(&slot->shared->posted) != slot->served;
}

struct jail_wish {
	struct jail_slot *slot;
	bool (*there)(struct jail_slot *slot);
};

static bool jail_is_granted(void *argument)
{
	struct jail_wish *wish = argument;

	return wish->there(wish->slot) || jail_is_posted(wish->slot);
}

static bool jail_look(struct jail *jail, struct jail_slot *slot,
		      bool (*there)(struct jail_slot *slot))
{
	struct jail_wish wish = { slot, there };

	if (!jail->channel->header.spins)
		return jail_is_granted(&wish);
	return channel_look(&slot->shared->parent, &slot->shared->cell,
			    &jail_lookers, jail_is_granted, &wish);
}

/* End the wait of the cell's thread; it may not have begun it yet. */
static void jail_kick(struct jail *jail, struct jail_slot *slot)
{
	u32 tid = channel_load(&slot->shared->tid);

	pthread_mutex_lock(&jail->lock);
	/* The thread id is the cell's word: wrong, it is no other process's. */
	if (!jail->reaped && (int)tid > 0)
		syscall(SYS_tgkill, jail->pid, (pid_t)tid, SIGUSR1);
	pthread_mutex_unlock(&jail->lock);
}

/* A wait goes on, or a signal came. False: the cell is dead. */
static bool jail_look_around(struct jail *jail, struct jail_slot *slot,
			     bool signal)
{
	u64 now = channel_now();

	if (jail_is_gone(jail))
		return false;
	if (slot->interrupted) {
		if (now - slot->interrupted_at > JAIL_GRACE_NS)
			jail_kill(jail,
				  "its call did not end when interrupted");
		jail_kick(jail, slot);
		return true;
	}
	if (!slot->next_poll) /* the first look of this call */
		slot->next_poll = now + JAIL_POLL_NS;
	if (!jail->embedding.interrupted || jail_faulting ||
	    (!signal && now < slot->next_poll))
		return true;
	slot->next_poll = now + JAIL_POLL_NS;
	slot->serving = true;
	slot->interrupted =
		jail->embedding.interrupted(jail->embedding.context);
	slot->serving = false;
	if (slot->interrupted) {
		slot->interrupted_at = now;
		channel_store(&slot->shared->interrupt, 1);
		jail_kick(jail, slot);
	}
	return true;
}

static int jail_doze(struct channel_waiter *self, u32 bell)
{
	const struct host_embedding *embedding = jail_faulting;
	void *token = NULL;
	int result;

	if (embedding && embedding->release)
		token = embedding->release(embedding->context);
	result = channel_sleep(self, bell, channel_now() + JAIL_LOOK_NS);
	if (embedding && embedding->release)
		embedding->acquire(embedding->context, token);
	return result;
}

/* Asleep until the bell rings, for a while. False: the cell is dead. */
static bool jail_sleep(struct jail *jail, struct jail_slot *slot,
		       bool (*there)(struct jail_slot *slot))
{
	struct channel_waiter *self = &slot->shared->parent;
	int result = 0;
	u32 bell;

	__atomic_store_n(&self->sleeps, 1, __ATOMIC_SEQ_CST);
	bell = __atomic_load_n(&self->bell, __ATOMIC_SEQ_CST);
	if (!jail_is_posted(slot) && !there(slot))
		result = jail_doze(self, bell);
	__atomic_store_n(&self->sleeps, 0, __ATOMIC_RELAXED);
	if (result == -EINTR || result == -ETIMEDOUT)
		return jail_look_around(jail, slot, result == -EINTR);
	return true;
}

bool jail_await(struct jail *jail, struct jail_slot *slot,
		bool (*there)(struct jail_slot *slot))
{
	for (;;) {
		if (!jail_look(jail, slot, there)) {
			if (!jail_sleep(jail, slot, there))
				return false;
			continue;
		}
		if (there(slot))
			return true;
		jail_serve(jail, slot);
		/* Serving may have met what ends the call, or never end. */
		if (!jail_look_around(jail, slot, true))
			return false;
	}
}

/* ---- requests -------------------------------------------------------- */

void jail_result_dead(struct host_result *result)
{
	*result = (struct host_result){ .value = -EOWNERDEAD, .dead = true };
}

void jail_liar(struct jail *jail, const char *about)
{
	jail_kill(jail, about);
	jail_reap(jail); /* so that it is known to be dead, and why */
}

void jail_answer(struct jail *jail, struct jail_slot *slot,
		 struct host_result *result)
{
	u32 flags = channel_once(slot->shared->flags);

	*result = (struct host_result){
		.value = channel_once(slot->shared->value),
		.deadlock = flags & CHANNEL_DEADLOCK,
		.interrupted = slot->interrupted &&
			       (flags & CHANNEL_INTERRUPTED),
	};
	if (flags & CHANNEL_LOG_PENDING)
		__atomic_store_n(&jail->log_pending, true, __ATOMIC_RELAXED);
	if (flags & CHANNEL_DEAD) {
		jail_kernel_died(jail);
		jail_result_dead(result);
		result->deadlock = flags & CHANNEL_DEADLOCK;
	}
}

bool jail_request(struct jail *jail, struct jail_slot *slot, u32 op, u64 handle,
		  s64 nr, const u64 args[6], struct host_result *result)
{
	jail_begin(slot, op, handle, nr, args);
	if (!jail_await(jail, slot, jail_is_finished)) {
		jail_result_dead(result);
		return false;
	}
	jail_answer(jail, slot, result);
	return !result->dead;
}

s64 jail_ask(struct jail *jail, u32 op, const u64 args[6])
{
	struct host_result result;
	struct jail_slot *slot = jail_enter(jail, &result);

	if (slot)
		jail_request(jail, slot, op, 0, 0, args, &result);
	return result.value;
}
