// SPDX-License-Identifier: GPL-2.0-only
/*
 * Killing a kernel from outside, whatever it is doing: also when it computes
 * with interrupts disabled and looks at nothing.
 *
 * Its text, which is a mapping of its own, is made inaccessible. The thread that
 * runs in it faults at its next instruction; the handler gives the text back and
 * makes a fault of it that the kernel reports and dies of, as of any other. On
 * the few instructions that run on the host's stack, on the way in and out, the
 * handler lets it go on, and it is tried again. One that is hit is left in peace to
 * report that, but not for ever.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "own.h"
#include "runner.h"

#define ABORT_TRIES 1000
#define ABORT_WAIT_MICROSECONDS 1000
#define ABORT_DYING_TRIES 100

/* May be called by a signal handler. */
void host_abort_show(struct host_kernel *kernel, bool text)
{
	if (!text)
		__atomic_store_n(&kernel->hidden, true, __ATOMIC_RELEASE);
	/* All of the mapping: nothing is split that could be refused. */
	if (mprotect((void *)kernel->base, kernel->text_bytes,
		     text ? PROT_READ | PROT_EXEC : PROT_NONE))
		abort();
	if (text)
		__atomic_store_n(&kernel->hidden, false, __ATOMIC_RELEASE);
}

void host_abort_end(struct host_kernel *kernel)
{
	if (!kernel->aborting)
		return;
	__atomic_store_n(&kernel->aborting, false, __ATOMIC_RELEASE);
	__atomic_store_n(&kernel->hit, false, __ATOMIC_RELEASE);
	host_abort_show(kernel, true);
}

static bool host_is_dead(struct host_kernel *kernel)
{
	return __atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE);
}

/* Whether to hide the text in this turn: not when nobody has met it since the last one. */
static bool host_abort_again(struct host_kernel *kernel, int turn)
{
	if (__atomic_load_n(&kernel->hidden, __ATOMIC_ACQUIRE))
		return false;
	return !__atomic_load_n(&kernel->hit, __ATOMIC_ACQUIRE) ||
	       turn % ABORT_DYING_TRIES == 0;
}

void host_kernel_abort(struct host_kernel *kernel)
{
	int tries;

	if (host_is_dead(kernel))
		return;
	__atomic_store_n(&kernel->aborting, true, __ATOMIC_SEQ_CST);
	/* By a disk's own code: the kernel waits for this thread to return. */
	if (host_in_callback(kernel))
		return;
	host_own_revoke(kernel);
	for (tries = 0; tries < ABORT_TRIES && !host_is_dead(kernel); tries++) {
		if (host_own_shared(kernel)) {
			/* Nobody is inside. */
			host_end(kernel);
			return;
		}
		if (host_abort_again(kernel, tries))
			host_abort_show(kernel, false);
		host_wake_runner(kernel);
		usleep(ABORT_WAIT_MICROSECONDS);
	}
	/* Whoever reads the image of a dead kernel shall find it. */
	host_abort_show(kernel, true);
}
