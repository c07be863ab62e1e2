// SPDX-License-Identifier: GPL-2.0-only
/*
 * No deadline server for ordinary tasks.
 *
 * Since 6.12 a server of the deadline class keeps 50 ms of each second for
 * ordinary tasks, should real-time tasks take all the rest. It is started and
 * stopped whenever the CPU goes from idle to busy and back, each time with two
 * timers, of which one is left behind: more than a third of all that happened
 * in an hour of virtual time in which nothing did. Here a real-time task cannot
 * take the CPU from the others, for what it does between its system calls does
 * not happen on this CPU.
 *
 * What is done is what writing 0 to sched/fair_server/cpu0/runtime of debugfs
 * does, which this kernel has not.
 */
#include <linux/init.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <../kernel/sched/sched.h>

static int __init lib_stop_fair_server(void)
{
	struct rq *rq = this_rq();
	struct sched_dl_entity *server = &rq->fair_server;
	int error = 0;

	scoped_guard(rq_lock_irqsave, rq)
	{
		update_rq_clock(rq);
		dl_server_stop(server);
		if (server->dl_server)
			error = dl_server_apply_params(server, 0,
						       server->dl_period, 0);
	}
	return error;
}
/* Some task has run long before, which is what sets the server up. */
late_initcall(lib_stop_fair_server);
#endif
