// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks are fibers: a stack and a saved stack pointer. All of them run on
 * whichever host thread is inside the kernel.
 */
#include <linux/cpu.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/timex.h>
#include <linux/version.h>
#include <asm/lib.h>
#include <asm/switch_to.h>

/* Whom the running fiber was switched from, for the first thing it does. */
static struct task_struct *lib_switched_from;

/* A stack whose first activation is `function(argument)` on a new fiber. */
unsigned long lib_new_stack(void *top, void *function, void *argument)
{
	unsigned long *sp = (unsigned long *)((unsigned long)top & ~15UL);

	*--sp = (unsigned long)argument;
	*--sp = (unsigned long)function;
	*--sp = (unsigned long)lib_fiber_begin;
	return (unsigned long)sp;
}

/* The bottom of every fiber; called by lib_fiber_begin. */
void lib_fiber_main(void (*function)(void *), void *argument);

void lib_fiber_main(void (*function)(void *), void *argument)
{
	if (lib_switched_from)
		schedule_tail(lib_switched_from);
	if (function)
		function(argument);
	lib_user_mode();
}

int copy_thread(struct task_struct *task, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(task);

	memset(regs, 0, sizeof(*regs));
	regs->user = !args->fn;
	memset(&task->thread, 0, sizeof(task->thread));
	task->thread.sp = lib_new_stack(regs, args->fn, args->fn_arg);
	lib_guard_stack(task, true);
	return 0;
}

struct task_struct *__switch_to(struct task_struct *from,
				struct task_struct *to)
{
	lib_charge(LIB_CHARGE_SWITCH_NS);
	if (to->thread.library)
		lib_last_progress = lib_cpu.virtual_now;
	from->thread.deferred = 0;
	lib_cpu.progress++;
	lib_switched_from = from;
	lib_current = to;
	lib_switch_stack(&from->thread.sp, to->thread.sp);
	return lib_switched_from;
}

void flush_thread(void)
{
}

/* Nothing runs before the host's next entry, a timer or a submitted call. */
void arch_cpu_idle(void)
{
	if (!READ_ONCE(lib_cpu.attention) && lib_clock_now() < lib_deadline) {
		lib_cpu.idle_until = min(lib_deadline, lib_hung_check());
		if (lib_waits_for_nothing()) {
			lib_report_waiters();
			lib_cpu.idle_until = LL_FOREVER;
		}
		lib_leave(LL_EXIT_IDLE);
	}
	/* Look for interrupts as soon as they are enabled. */
	lib_irq_budget = 0;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	raw_local_irq_enable();
#endif
}

void cpu_relax(void)
{
	lib_charge(LIB_CHARGE_RELAX_NS);
	barrier();
	if (lib_irq_flag)
		lib_irq_poll();
}
EXPORT_SYMBOL(cpu_relax);
