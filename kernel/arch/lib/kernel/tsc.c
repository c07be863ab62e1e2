// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real clock as the kernel reads it: the processor's counter, between two
 * readings of the host's clock. One of these costs as much as two and a half of
 * the counter, and a byte that goes over TCP and back wants to know the time ten
 * times, for round trips, timers and the scheduler.
 *
 * A reading of the host's clock is the anchor of all that follow within
 * LIB_TSC_GOOD_NS, so the two clocks differ by no more than what the rate of the
 * counter is wrong by in that time. The rate is measured between anchors, over
 * longer and longer times until it is known well. Before that, and on a
 * processor whose counter does not run evenly, each reading is one of the
 * host's. What is given out never goes back.
 */
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/sched/clock.h>
#include <linux/time64.h>
#include <linux/timex.h>
#include <asm/lib.h>

/* Fractions of a nanosecond in `rate`. */
#define LIB_TSC_SHIFT 24
#define LIB_TSC_GOOD_NS (100 * NSEC_PER_USEC)
#define LIB_TSC_FIRST_NS (100 * NSEC_PER_USEC)
#define LIB_TSC_LAST_NS NSEC_PER_SEC
/* That many still have room for the fractions. */
#define LIB_TSC_MOST_NS (500ULL * NSEC_PER_SEC)
/* A reading that took longer was interrupted: nobody knows when it was. */
#define LIB_TSC_QUICK 2048
/* A rate that differs more from the one before: one of them is wrong. */
#define LIB_TSC_SAME(rate) ((rate) >> 6)

/* Intel's manual volume 3, "Invariant TSC". */
#define LIB_CPUID_EXTENDED 0x80000000
#define LIB_CPUID_POWER 0x80000007
#define LIB_CPUID_INVARIANT_TSC (1 << 8)

static struct {
	u64 good; /* counts after an anchor; 0: the rate is not known */
	u64 count, now; /* of the anchor */
	u64 rate; /* nanoseconds of a count, shifted */
	u64 given; /* the greatest value that was given out */
	u64 first_count, first_now; /* where measuring the rate began */
	u64 measure_after; /* nanoseconds since then */
	bool even;
} lib_tsc ____cacheline_aligned;

static __always_inline u64 lib_tsc_count(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static void lib_tsc_begin(void)
{
	lib_tsc.first_count = lib_tsc.count;
	lib_tsc.first_now = lib_tsc.now;
	lib_tsc.measure_after = LIB_TSC_FIRST_NS;
	lib_tsc.good = 0;
	lib_tsc.rate = 0;
}

static void lib_tsc_measure(u64 since)
{
	u64 old = lib_tsc.rate;
	u64 rate = div64_u64(since << LIB_TSC_SHIFT,
			     lib_tsc.count - lib_tsc.first_count);
	u64 other = rate > old ? rate - old : old - rate;

	if (since > LIB_TSC_MOST_NS || !rate ||
	    (old && other > LIB_TSC_SAME(old))) {
		lib_tsc_begin();
		return;
	}
	lib_tsc.rate = rate;
	lib_tsc.good = div64_u64((u64)LIB_TSC_GOOD_NS << LIB_TSC_SHIFT, rate);
	lib_tsc.measure_after = since < LIB_TSC_LAST_NS ? 4 * since :
							  LL_FOREVER;
}

/* Reads the host's clock, and makes it the anchor if it can be one. */
static noinline u64 lib_tsc_anchor(void)
{
	u64 before, after, now;

	if (!lib_tsc.even)
		return lib_cpu.ops->monotonic(lib_cpu.host);
	before = lib_tsc_count();
	now = lib_cpu.ops->monotonic(lib_cpu.host);
	after = lib_tsc_count();
	if (after - before > LIB_TSC_QUICK)
		return now;
	lib_tsc.count = before + (after - before) / 2;
	lib_tsc.now = now;
	if (!lib_tsc.first_count)
		lib_tsc_begin();
	else if (now - lib_tsc.first_now >= lib_tsc.measure_after)
		lib_tsc_measure(now - lib_tsc.first_now);
	return now;
}

unsigned long lib_clock_now(void)
{
	u64 now, counts;

	if (lib_clock_is_virtual())
		return lib_cpu.virtual_now;
	if (likely(lib_tsc.good) &&
	    likely((counts = lib_tsc_count() - lib_tsc.count) < lib_tsc.good))
		now = lib_tsc.now + (counts * lib_tsc.rate >> LIB_TSC_SHIFT);
	else
		now = lib_tsc_anchor();
	if ((s64)(now - lib_tsc.given) < 0)
		now = lib_tsc.given;
	lib_tsc.given = now;
	return now;
}
EXPORT_SYMBOL(lib_clock_now);

unsigned long long notrace sched_clock(void)
{
	return lib_clock_now();
}

void __init lib_tsc_init(void)
{
	u32 a = LIB_CPUID_EXTENDED, b, c, d;

	if (lib_clock_is_virtual())
		return;
	asm("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (a < LIB_CPUID_POWER)
		return;
	a = LIB_CPUID_POWER;
	asm("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	lib_tsc.even = d & LIB_CPUID_INVARIANT_TSC;
}
