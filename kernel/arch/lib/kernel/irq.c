// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts without a controller. There are two: the timer, and the host's, for
 * calls that other threads have submitted and reads that are over. Both are looked for where interrupts are
 * enabled, every LIB_IRQ_BUDGET times, because reading the clock costs more
 * than what is done between two enablings.
 */
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/sched.h>
#include <asm/irq_regs.h>
#include <asm/lib.h>

#define LIB_IRQ_BUDGET 64

unsigned long lib_irq_flag;
int lib_irq_budget = LIB_IRQ_BUDGET;
EXPORT_SYMBOL(lib_irq_flag);
EXPORT_SYMBOL(lib_irq_budget);

/* Registers of the interrupted code: always the kernel's. */
static struct pt_regs lib_irq_registers;

void lib_irq_poll(void)
{
	struct pt_regs *old;
	bool call, timer;
	u64 now;

	lib_irq_budget = LIB_IRQ_BUDGET;
	call = READ_ONCE(lib_cpu.attention);
	now = lib_clock_now();
	timer = now >= lib_deadline;
	lib_irq_flag = 0;
	lib_watch();
	if (likely(!call && !timer)) {
		lib_irq_flag = 1;
		return;
	}
	old = set_irq_regs(&lib_irq_registers);
	irq_enter();
	if (call) {
		lib_take_calls();
		lib_disk_finish();
	}
	if (timer)
		lib_timer_interrupt();
	irq_exit();
	set_irq_regs(old);
	lib_irq_flag = 1;
}
EXPORT_SYMBOL(lib_irq_poll);

void __init init_IRQ(void)
{
}
