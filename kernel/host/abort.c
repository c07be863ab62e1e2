// SPDX-License-Identifier: GPL-2.0-only
/*
 * Killing a kernel from outside, whatever it is doing: also when it computes
 * with interrupts disabled and looks at nothing.
 *
 * Its text, which is a mapping of its own, is made inaccessible. The thread that
 * runs in it faults at its next instruction; the handler gives the text back and
 * makes a fault of it that the kernel reports and dies of, as of any other. On
 * the few instructions that run on the host's stack, on the way in and out, the
 * handler lets it go on, and it is tried again.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "own.h"
#include "runner.h"

#define ABORT_TRIES 1000
#define ABORT_WAIT_MICROSECONDS 1000

/* May be called by a signal handler. */
void host_abort_show(struct host_kernel *kernel, bool text)
{
	/* All of the mapping: nothing is split that could be refused. */
	if (mprotect((void *)kernel->base, kernel->text_bytes,
		     text ? PROT_READ | PROT_EXEC : PROT_NONE))
		abort();
}

void host_abort_end(struct host_kernel *kernel)
{
	if (!kernel->aborting)
		return;
	__atomic_store_n(&kernel->aborting, false, __ATOMIC_RELEASE);
	host_abort_show(kernel, true);
}

static bool host_is_dead(struct host_kernel *kernel)
{
	return __atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE);
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
		host_abort_show(kernel, false);
		host_wake_runner(kernel);
		usleep(ABORT_WAIT_MICROSECONDS);
	}
	/* Whoever reads the image of a dead kernel shall find it. */
	host_abort_show(kernel, true);
}
