// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping on a word and waking the sleeper. Wakes may be spurious, also for
 * addresses that are no longer in use: whoever waits looks at the word again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

void host_futex_wake(u32 *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

int host_futex_wait(u32 *word, u32 value, u64 until)
{
	struct timespec time = {
		.tv_sec = until / 1000000000,
		.tv_nsec = until % 1000000000,
	};
	long result;

	result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
			 until == LL_FOREVER ? NULL : &time, NULL,
			 FUTEX_BITSET_MATCH_ANY);
	return result < 0 ? -errno : 0;
}
