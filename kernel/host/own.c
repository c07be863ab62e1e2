// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slow half of owning a kernel; the mechanism is told in own.h.
 *
 * The barrier is membarrier(2), which a process has to register for. With one
 * thread that costs nothing; with more the host's kernel may take milliseconds.
 * A process with more threads is not registered, and its kernels have no bias.
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
#define __libc_single_threaded false
#endif
#include "own.h"

/* Longer than any processor keeps a write to itself. */
#define DRAIN_MICROSECONDS 10000

static bool host_barrier_registered;

static bool host_barrier_register(void)
{
	if (!relaxed(&host_barrier_registered) && __libc_single_threaded &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
		     0, 0))
		__atomic_store_n(&host_barrier_registered, true,
				 __ATOMIC_RELAXED);
	return relaxed(&host_barrier_registered);
}

static void host_barrier(void)
{
	/* It fails only if a filter was put before it since it was registered. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		usleep(DRAIN_MICROSECONDS);
}

void host_own_begin(struct host_kernel *kernel)
{
	bool alone;

	pthread_mutex_lock(&kernel->lock);
	alone = kernel->owner == 1 && host_barrier_register();
	if (alone) {
		kernel->busy = 0;
		__atomic_store_n(&kernel->bias, host_self.id, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kernel->lock);
	if (!alone)
		host_give_up(kernel);
}

void host_own_revoke_locked(struct host_kernel *kernel)
{
	if (kernel->bias == NOBODY)
		return;
	__atomic_store_n(&kernel->bias, NOBODY, __ATOMIC_SEQ_CST);
	host_barrier();
	if (relaxed(&kernel->busy))
		kernel->inherited = true;
	else
		__atomic_store_n(&kernel->owner, 0, __ATOMIC_RELEASE);
}

void host_own_revoke(struct host_kernel *kernel)
{
	if (relaxed(&kernel->bias) == NOBODY)
		return;
	pthread_mutex_lock(&kernel->lock);
	host_own_revoke_locked(kernel);
	pthread_mutex_unlock(&kernel->lock);
}

bool host_own_inherited(struct host_kernel *kernel)
{
	bool inherited;

	pthread_mutex_lock(&kernel->lock);
	inherited = kernel->inherited;
	kernel->inherited = false;
	pthread_mutex_unlock(&kernel->lock);
	return inherited;
}
