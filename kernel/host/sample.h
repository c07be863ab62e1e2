/* SPDX-License-Identifier: GPL-2.0-only */
/* Between sample.c, runner.c, kernel.c and snapshot.c. */
#ifndef LIBLINUX_SAMPLE_H
#define LIBLINUX_SAMPLE_H

#include "internal.h"

enum host_sample {
	SAMPLE_NOTHING, /* not now: the kernel is idle, as before */
	SAMPLE_TAKEN, /* the kernel is to be entered again */
	SAMPLE_OVER, /* and the call of the runner is over */
	SAMPLE_DIED, /* the kernel did, as its exit says */
};

/* The kernel is idle, `wait` is its runner's, and there is a sampler. */
enum host_sample host_sample(struct host_kernel *kernel,
			     struct host_wait *wait);
bool host_sampler_is_active(struct host_kernel *kernel);
/* The kernel was put back to a snapshot, in which its task may not be. */
void host_sampler_restored(struct host_kernel *kernel);
void host_sampler_exit(struct host_kernel *kernel);

/*
 * runner.c: make a call while the kernel is idle. The exit: LL_EXIT_DONE; _IDLE
 * when it waits; _DEAD or _HALT.
 */
enum ll_exit host_run_aside(struct host_kernel *kernel, struct host_wait *wait);

#endif /* LIBLINUX_SAMPLE_H */
