/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owning a kernel: who has it is the runner.
 *
 * The word `owner` is 0 when it is free, 1 when it is owned, and 2 when it is
 * owned and calls are queued, which makes the runner take the long way out. It
 * becomes 2 only under `lock`, and 2 ends only under `lock`. A dead kernel is
 * owned for ever.
 *
 * Two atomic instructions a call would be most of what a null call takes. So a
 * kernel belongs to the thread that booted it (`bias`) until another one comes:
 * `owner` stays 1, and that thread enters and leaves with plain writes to
 * `busy`. The first call of any other thread takes the bias away, for good. It
 * writes `bias` and makes all threads of the process pass a memory barrier, so
 * that of a write and the read that follows it in the biased thread at least
 * one is seen by the other side:
 *
 *	biased thread			the other, under `lock`
 *	busy = 1 or 0			bias = NOBODY
 *	bias still mine?		barrier for everybody
 *					busy?  then it is inside: `inherited`
 *
 * A biased thread that finds the bias gone asks under `lock` whether it was
 * counted as inside. Then it has the kernel like any other owner.
 */
#ifndef LIBLINUX_OWN_H
#define LIBLINUX_OWN_H

#include "internal.h"

#define NOBODY (~0ULL)

#define relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)

/*
 * The calling thread, which owns the kernel, lets go, and has the bias if
 * nobody waits.
 */
void host_own_begin(struct host_kernel *kernel);
/* Take the bias away. Must not be called by a thread that is inside. */
void host_own_revoke(struct host_kernel *kernel);
void host_own_revoke_locked(struct host_kernel *kernel); /* under `lock` */
/* Was the calling thread, which has lost the bias, inside then? */
bool host_own_inherited(struct host_kernel *kernel);

static inline bool host_own_shared(struct host_kernel *kernel)
{
	u32 free = 0;

	return __atomic_compare_exchange_n(&kernel->owner, &free, 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline bool host_own(struct host_kernel *kernel)
{
	u64 self = host_self.id;

	if (unlikely(relaxed(&kernel->bias) != self || relaxed(&kernel->busy)))
		return host_own_shared(kernel);
	__atomic_store_n(&kernel->busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (likely(relaxed(&kernel->bias) == self))
		return true;
	__atomic_store_n(&kernel->busy, 0, __ATOMIC_RELAXED);
	return host_own_inherited(kernel) || host_own_shared(kernel);
}

/* False when calls are queued: the kernel is still owned. */
static inline bool host_disown(struct host_kernel *kernel)
{
	u64 self = host_self.id;
	u32 owned = 1;

	if (likely(relaxed(&kernel->bias) == self)) {
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(&kernel->busy, 0, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (likely(relaxed(&kernel->bias) == self))
			return true;
		if (!host_own_inherited(kernel))
			return true;
	} else if (relaxed(&kernel->busy) && host_own_inherited(kernel)) {
		__atomic_store_n(&kernel->busy, 0, __ATOMIC_RELAXED);
	}
	return __atomic_compare_exchange_n(&kernel->owner, &owned, 0, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

#endif /* LIBLINUX_OWN_H */
