// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler's clock, which is read several times for every switch: the
 * processor's counter, between two readings of the host's clock. It may be a
 * little off, as on any machine; it never goes back.
 *
 * Every look for interrupts hands in a reading (lib_tsc_anchor()). The rate of
 * the counter is measured between them, over longer and longer times until it
 * is known well. Before that, with the virtual clock, and on a processor whose
 * counter does not run evenly, the host's clock itself is read.
 */
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/sched/clock.h>
#include <linux/time64.h>
#include <linux/timex.h>
#include <asm/lib.h>

/* Fractions of a nanosecond in `rate`. */
#define LIB_TSC_SHIFT 24
#define LIB_TSC_FIRST_NS (100 * NSEC_PER_USEC)
#define LIB_TSC_LAST_NS NSEC_PER_SEC

/* Intel's manual volume 3, "Invariant TSC". */
#define LIB_CPUID_EXTENDED 0x80000000
#define LIB_CPUID_POWER 0x80000007
#define LIB_CPUID_INVARIANT_TSC (1 << 8)

static struct {
	u32 rate; /* nanoseconds of a count, shifted; 0: not known */
	u64 count, now; /* of the last reading */
	u64 first_count, first_now;
	u64 measure_after; /* nanoseconds since the first reading */
	u64 given; /* the greatest value that was given out */
} lib_tsc = {
	.measure_after = LL_FOREVER,
};

static u64 lib_tsc_count(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* A reading of the host's clock, taken just now. */
void lib_tsc_anchor(u64 now)
{
	u64 since;

	if (lib_tsc.measure_after == LL_FOREVER && !lib_tsc.rate)
		return;
	lib_tsc.count = lib_tsc_count();
	lib_tsc.now = now;
	since = now - lib_tsc.first_now;
	if (likely(since < lib_tsc.measure_after))
		return;
	lib_tsc.rate = div64_u64(since << LIB_TSC_SHIFT,
				 lib_tsc.count - lib_tsc.first_count);
	lib_tsc.measure_after = since < LIB_TSC_LAST_NS ? 4 * since :
							  LL_FOREVER;
}

unsigned long long notrace sched_clock(void)
{
	u64 now;

	if (!lib_tsc.rate)
		return lib_clock_now();
	now = lib_tsc.now + mul_u64_u32_shr(lib_tsc_count() - lib_tsc.count,
					    lib_tsc.rate, LIB_TSC_SHIFT);
	if ((s64)(now - lib_tsc.given) < 0)
		now = lib_tsc.given;
	lib_tsc.given = now;
	return now;
}

static bool __init lib_tsc_is_even(void)
{
	u32 a = LIB_CPUID_EXTENDED, b, c, d;

	asm("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (a < LIB_CPUID_POWER)
		return false;
	a = LIB_CPUID_POWER;
	asm("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return d & LIB_CPUID_INVARIANT_TSC;
}

void __init lib_tsc_init(void)
{
	if (lib_clock_is_virtual() || !lib_tsc_is_even())
		return;
	lib_tsc.first_now = lib_clock_now();
	lib_tsc.first_count = lib_tsc_count();
	lib_tsc.measure_after = LIB_TSC_FIRST_NS;
}
