// SPDX-License-Identifier: GPL-2.0-only
/* Sleeping and waking across the two processes. Futexes here are not private. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"

/* Between two looks at the clock. */
#define LOOKS 32

u64 channel_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

bool channel_look(struct channel_waiter *self, struct channel_waiter *other,
		  u32 *lookers, bool (*there)(void *argument), void *argument)
{
	bool found = there(argument);
	u64 until = 0;
	int looks;

	if (found)
		return true;
	/* One at a time: more would take the processors from the awaited. */
	if (!__atomic_fetch_add(lookers, 1, __ATOMIC_RELAXED)) {
		while (!found) {
			u32 here = (u32)sched_getcpu();

			__atomic_store_n(&self->processor, here,
					 __ATOMIC_RELAXED);
			if (here == __atomic_load_n(&other->processor,
						    __ATOMIC_RELAXED))
				break;
			for (looks = 0; !found && looks < LOOKS; looks++) {
				__builtin_ia32_pause();
				found = there(argument);
			}
			if (!until)
				until = channel_now() + CHANNEL_SPIN_NS;
			else if (channel_now() > until)
				break;
		}
	}
	__atomic_fetch_sub(lookers, 1, __ATOMIC_RELAXED);
	return found;
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
