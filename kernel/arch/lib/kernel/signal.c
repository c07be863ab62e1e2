// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is looked at when a system call is over. Signals that kill or stop do
 * so; a handler cannot be run, for its code would be the host's, on a stack
 * that is the kernel's: the signal is taken, and the call says EINTR.
 */
#include <linux/resume_user_mode.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/syscalls.h>
#include <asm/lib.h>

/* True when a signal with a handler was taken. */
static bool lib_take_signal(void)
{
	struct ksignal signal;

	if (get_signal(&signal)) {
		signal_setup_done(0, &signal, 0);
		return true;
	}
	restore_saved_sigmask();
	return false;
}

/* One round of the work in _TIF_WORK_MASK; true when a call must end. */
bool lib_exit_work(void)
{
	unsigned long flags = read_thread_flags();
	bool interrupted = false;

	if (flags & _TIF_NEED_RESCHED)
		schedule();
	if (flags & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL))
		interrupted = lib_take_signal();
	if (flags & _TIF_NOTIFY_RESUME)
		resume_user_mode_work(current_pt_regs());
	return interrupted;
}
