// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel that computes for long lets the host look now and then: whether the
 * one who called wants to give up, and whether this will ever end. A loop that
 * never enables interrupts is out of reach.
 *
 * Looking happens by the real clock, also under the virtual one, and changes
 * nothing in the kernel: what it does is the same whether the host looked or not.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <vdso/time64.h>
#include <asm/lib.h>

#define LIB_LOOK_NS (50 * NSEC_PER_MSEC)
/* Polls between two readings of the clock; with 64 enablings for each. */
#define LIB_POLLS 16

static unsigned int lib_polls;
static u64 lib_look_at;

/* Called with interrupts disabled, where one could have come in. */
void lib_watch(void)
{
	u64 now;

	if (likely(++lib_polls % LIB_POLLS))
		return;
	now = lib_cpu.ops->monotonic(lib_cpu.host);
	if (likely(now < lib_look_at))
		return;
	lib_look_at = now + LIB_LOOK_NS;
	lib_leave(LL_EXIT_LOOK);
	if (unlikely(lib_cpu.give_up))
		panic("%s", lib_cpu.give_up);
}
