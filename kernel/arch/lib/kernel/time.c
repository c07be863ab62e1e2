// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two clocks. The real one is the host's monotonic clock (tsc.c). The virtual one
 * stands still but for small charges per system call and switch; the host
 * moves it to the next timer when everything waits (LL_EXIT_IDLE).
 *
 * A timer that is due is found by lib_irq_poll().
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/tick.h>
#include <linux/timekeeping.h>
#include <asm/lib.h>
#include <../kernel/time/tick-internal.h>

/* When the next timer interrupt is due; see lib_cpu.idle_until. */
u64 lib_deadline = LL_FOREVER;

static u64 lib_clocksource_read(struct clocksource *source)
{
	return lib_clock_now();
}

/*
 * A shift of 8 leaves 56 bits of nanoseconds between two readings: the host
 * may stay away for two years, where the usual shift would allow an hour.
 */
static struct clocksource lib_clocksource = {
	.name = "host",
	.rating = 499,
	.read = lib_clocksource_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS | CLOCK_SOURCE_VALID_FOR_HRES,
	.mult = 1 << 8,
	.shift = 8,
};

/* From the first reading on, so that the clock never has to be changed. */
struct clocksource *__init clocksource_default_clock(void)
{
	return &lib_clocksource;
}

static int lib_set_next_event(unsigned long delta,
			      struct clock_event_device *device)
{
	lib_deadline = lib_clock_now() + delta;
	return 0;
}

static int lib_timer_stop(struct clock_event_device *device)
{
	lib_deadline = LL_FOREVER;
	return 0;
}

static struct clock_event_device lib_timer = {
	.name = "host",
	.rating = 499,
	.features = CLOCK_EVT_FEAT_ONESHOT,
	.set_next_event = lib_set_next_event,
	.set_state_shutdown = lib_timer_stop,
	.set_state_oneshot_stopped = lib_timer_stop,
};

void lib_timer_interrupt(void)
{
	lib_deadline = LL_FOREVER;
	lib_timer.event_handler(&lib_timer);
}

void read_persistent_clock64(struct timespec64 *now)
{
	u64 time = lib_clock_is_virtual() ? lib_cpu.boot_realtime :
					    lib_cpu.ops->realtime(lib_cpu.host);

	*now = ns_to_timespec64(time);
}

void __init time_init(void)
{
	lib_tsc_init();
	/* Zero is how random.c recognises a machine without a counter. */
	lib_charge(1);
	/* Scale 1, frequency 0: take mult and shift as they are. */
	__clocksource_register(&lib_clocksource);
	lib_timer.cpumask = cpumask_of(0);
	clockevents_config_and_register(&lib_timer, NSEC_PER_SEC, 1, LONG_MAX);
}

/*
 * Under the virtual clock the kernel's own housekeeping moves time for ever,
 * a few times a second, so a wait that nothing can end has to be recognised:
 * no library task has run for so long, and no high-resolution timer is set,
 * which is what timeouts and sleeps of system calls are made of. (Timers of
 * the network are not, but all of them have come by then.)
 */
#define LIB_PATIENCE_NS (4ULL * 3600 * NSEC_PER_SEC)

u64 lib_last_progress;

static bool lib_timer_is_set(void)
{
	struct hrtimer_cpu_base *base = this_cpu_ptr(&hrtimer_bases);
	struct hrtimer *tick = &tick_get_tick_sched(0)->sched_timer;
	struct timerqueue_node *node;
	int clock;

	for (clock = 0; clock < HRTIMER_MAX_CLOCK_BASES; clock++)
		for (node = timerqueue_getnext(&base->clock_base[clock].active);
		     node; node = timerqueue_iterate_next(node))
			if (node != &tick->node)
				return true;
	return false;
}

bool lib_waits_for_nothing(void)
{
	return lib_clock_is_virtual() &&
	       lib_cpu.virtual_now - lib_last_progress > LIB_PATIENCE_NS &&
	       !lib_timer_is_set();
}

/*
 * Timers have the resolution of ticks until a tick has found that the clock
 * allows a better one. Let it come before the first program.
 */
static int __init lib_first_tick(void)
{
	lib_deadline = 0;
	lib_irq_poll();
	return 0;
}
late_initcall(lib_first_tick);

/* By how much two readings of the same instant may differ. */
#define LIB_SAME_NS 1000

/* Is the tick what an idle CPU would be woken up by next? */
static bool lib_tick_is_next(void)
{
	struct hrtimer *tick = &tick_get_tick_sched(0)->sched_timer;
	u64 now = lib_clock_now();

	return hrtimer_active(tick) && lib_deadline > now &&
	       ktime_to_ns(hrtimer_get_remaining(tick)) <=
		       (s64)(lib_deadline - now + LIB_SAME_NS);
}

/*
 * Called before an idle CPU is stopped. Linux would let the tick go on until
 * one has come, to see whether idleness lasts: one more exit to the host, and
 * for nothing, each time when a task has waited. Stopping it would be as
 * vain where something else comes first.
 */
void arch_cpu_idle_enter(void)
{
	if (!tick_nohz_tick_stopped() && lib_tick_is_next())
		tick_nohz_idle_stop_tick();
}

/* Delays end by the clock; nothing counts loops. */
void __init calibrate_delay(void)
{
	loops_per_jiffy = NSEC_PER_SEC / HZ;
}

void __ndelay(unsigned long nanoseconds)
{
	u64 end = lib_clock_now() + nanoseconds;

	if (lib_clock_is_virtual())
		lib_cpu.virtual_now = end;
	while (lib_clock_now() < end)
		barrier();
}
EXPORT_SYMBOL(__ndelay);

void __udelay(unsigned long microseconds)
{
	__ndelay(microseconds * NSEC_PER_USEC);
}
EXPORT_SYMBOL(__udelay);

/* One loop is one nanosecond: see calibrate_delay(). */
void __delay(unsigned long loops)
{
	__ndelay(loops);
}
EXPORT_SYMBOL(__delay);
