/* SPDX-License-Identifier: GPL-2.0-only */
/* Between group.c, runner.c, wait.c and kernel.c. */
#ifndef LIBLINUX_GROUP_H
#define LIBLINUX_GROUP_H

#include "internal.h"

enum host_group_advice {
	GROUP_ENTER, /* enter the kernel again: there is something to do */
	GROUP_MOVE, /* its timer is the next thing to happen: move the clock */
	GROUP_STUCK, /* nothing will ever happen in any of them */
};

/*
 * The runner of a member is about to enter it with a call of its own. False
 * when it is a thread that has no business in this group.
 */
bool host_group_enter(struct host_kernel *kernel);
/* A member is idle; on its runner's thread. The others run meanwhile. */
enum host_group_advice host_group_idle(struct host_kernel *kernel);
u64 host_group_now(struct host_kernel *kernel);
/* A member is being closed. */
void host_group_leave(struct host_kernel *kernel);

/*
 * runner.c: run a kernel that nobody is inside of until it is idle. `wait` is a
 * call that never ends, to be started with the first time. False when somebody
 * is inside, or when it died.
 */
bool host_run_until_idle(struct host_kernel *kernel, struct host_wait *wait);

#endif /* LIBLINUX_GROUP_H */
