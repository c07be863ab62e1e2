// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of host calls that every kernel starts with, and the entries that
 * have no file of their own. All run on kernel fibers: short, never blocking,
 * no callbacks, little stack.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include "internal.h"

static u64 host_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (u64)now.tv_sec * 1000000000 + now.tv_nsec;
}

u64 host_monotonic(void *host)
{
	(void)host;
	return host_clock(CLOCK_MONOTONIC);
}

static u64 host_realtime(void *host)
{
	(void)host;
	return host_clock(CLOCK_REALTIME);
}

static void host_random(void *host, void *buffer, u64 bytes)
{
	ssize_t got;

	(void)host;
	while (bytes) {
		got = getrandom(buffer, bytes, 0);
		if (got < 0 && errno != EINTR)
			abort(); /* a kernel without randomness is no kernel */
		if (got < 0)
			continue;
		buffer = (char *)buffer + got;
		bytes -= got;
	}
}

const struct ll_host_ops host_default_ops = {
	.monotonic = host_monotonic,
	.realtime = host_realtime,
	.random = host_random,
	.console = host_log_add,
	.disk_io = host_disk_io,
	.disk_start = host_disk_start,
	.finished = host_finished,
	.alias = host_memory_alias,
	.unalias = host_memory_unalias,
	.task_gone = host_task_gone,
	.guard_stack = host_guard,
	.frame = host_capture_frame,
};
