/* SPDX-License-Identifier: GPL-2.0-only */
/* Between runner.c, queue.c, wait.c and measure.c. */
#ifndef LIBLINUX_RUNNER_H
#define LIBLINUX_RUNNER_H

#include "internal.h"

#define load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

enum host_admission {
	ADMIT_RUNNER,
	ADMIT_QUEUED,
	ADMIT_GONE,
	ADMIT_DEAD,
	ADMIT_LATER,
};

/* runner.c, no lock held */
void host_fill(struct host_wait *wait, struct host_task *task, s64 nr,
	       const u64 args[6], u32 flags);
void host_pass(struct host_kernel *kernel, struct host_wait *run,
	       struct host_wait *wait);

/* queue.c, under `lock` unless it says otherwise */
enum host_admission host_admit(struct host_kernel *kernel,
			       struct host_wait *wait);
void host_unqueue(struct host_kernel *kernel, struct host_wait *wait);
void host_push(struct host_kernel *kernel, struct ll_call *call);
struct host_wait *host_next(struct host_kernel *kernel);
struct host_wait *host_fresh(struct host_kernel *kernel); /* takes the lock */
void host_wake_runner(struct host_kernel *kernel); /* takes the lock */
struct host_wait *host_dozing(struct host_kernel *kernel); /* takes the lock */
/* It dozes on as the runner: the caller has let go. Takes the lock. */
bool host_put_back(struct host_kernel *kernel, struct host_wait *wait);

/* wait.c, no lock held */
struct ll_call *host_look(struct host_kernel *kernel, struct host_wait *wait);
struct ll_call *host_idle(struct host_kernel *kernel, struct host_wait *wait);
u32 host_wait(struct host_kernel *kernel, struct host_wait *wait);
u32 host_wait_on(struct host_kernel *kernel, struct host_wait *wait);
void host_note_report(struct host_kernel *kernel);

#endif /* LIBLINUX_RUNNER_H */
