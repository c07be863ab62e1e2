// SPDX-License-Identifier: GPL-2.0-only
/* Sleeping and waking across the two processes. Futexes here are not private. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"

u64 channel_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void channel_ring(struct channel_waiter *waiter)
{
	__atomic_add_fetch(&waiter->bell, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&waiter->sleeps, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &waiter->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int channel_sleep(struct channel_waiter *waiter, u32 bell, u64 until)
{
	struct timespec time = {
		.tv_sec = (time_t)(until / 1000000000),
		.tv_nsec = (long)(until % 1000000000),
	};
	long result = syscall(SYS_futex, &waiter->bell, FUTEX_WAIT_BITSET, bell,
			      until == LL_FOREVER ? NULL : &time, NULL,
			      FUTEX_BITSET_MATCH_ANY);

	return result < 0 ? -errno : 0;
}
