// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the cell ended, in words. It is asked for by every thread that waits, and
 * told by the first that finds out. The process is reaped there and then: no
 * zombie is left, and its number is not used afterwards.
 *
 * Somebody else in this process may have reaped it (wait() for any child, or
 * SIGCHLD ignored). Then it is known that it is dead, but not why.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "keeper.h"

static const char *jail_signal_meaning(int signal)
{
	switch (signal) {
	case SIGSYS:
		return "it made a system call of the host that isolated kernels may not make";
	case SIGXCPU:
		return "it has used up its processor time, cpu_seconds";
	case SIGXFSZ:
		return "it wanted to write behind the end of its disks";
	case SIGKILL:
		return "by somebody, by a limit on processor time, or by the host for want of memory";
	case SIGSEGV:
	case SIGBUS:
		return "a bad address outside of the kernel's own code";
	case SIGABRT:
		return "it gave up: out of memory, or out of threads";
	}
	return "by somebody";
}

/* Under `lock`. */
static void jail_tell_death(struct jail *jail, const siginfo_t *info)
{
	const char *head = "the process of the isolated kernel";
	char *text = jail->dead_text;

	if (jail->killed_because)
		snprintf(text, JAIL_DEAD_BYTES, "%s was ended: %s", head,
			 jail->killed_because);
	else if (!info)
		snprintf(
			text, JAIL_DEAD_BYTES,
			"%s is dead; somebody else has asked the host why (wait() for any child)",
			head);
	else if (info->si_code == CLD_EXITED)
		snprintf(text, JAIL_DEAD_BYTES, "%s left with exit status %d",
			 head, info->si_status);
	else
		snprintf(text, JAIL_DEAD_BYTES, "%s was killed by SIG%s: %s",
			 head, sigabbrev_np(info->si_status),
			 jail_signal_meaning(info->si_status));
}

/* Under `lock`, once. */
static void jail_died(struct jail *jail, const siginfo_t *info)
{
	jail->reaped = true;
	/* A panic that was told stays what it is. */
	if (!jail->dead)
		jail_tell_death(jail, info);
	__atomic_store_n(&jail->gone, true, __ATOMIC_RELEASE);
	__atomic_store_n(&jail->dead, true, __ATOMIC_RELEASE);
}

static bool jail_is_dead_process(struct jail *jail)
{
	struct pollfd ended = { .fd = jail->pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 1;
}

bool jail_is_gone(struct jail *jail)
{
	siginfo_t info = { 0 };

	pthread_mutex_lock(&jail->lock);
	if (jail->reaped)
		;
	else if (waitid(P_PID, (id_t)jail->pid, &info, WEXITED | WNOHANG) ==
		 0) {
		if (info.si_pid)
			jail_died(jail, &info);
	} else if (errno == ECHILD && jail_is_dead_process(jail)) {
		jail_died(jail, NULL);
	}
	pthread_mutex_unlock(&jail->lock);
	return __atomic_load_n(&jail->gone, __ATOMIC_ACQUIRE);
}

void jail_kernel_died(struct jail *jail)
{
	const char *text = jail->channel->header.text;
	size_t at;

	pthread_mutex_lock(&jail->lock);
	if (!jail->dead) {
		for (at = 0; at < CHANNEL_TEXT_BYTES - 1; at++) {
			jail->dead_text[at] = channel_once(text[at]);
			if (!jail->dead_text[at])
				break;
		}
		jail->dead_text[at] = 0;
		__atomic_store_n(&jail->dead, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&jail->lock);
}

void jail_kill(struct jail *jail, const char *because)
{
	pthread_mutex_lock(&jail->lock);
	if (!jail->reaped) {
		if (!jail->killed_because)
			jail->killed_because = because;
		kill(jail->pid, SIGKILL);
	}
	pthread_mutex_unlock(&jail->lock);
}

/* After a kill: wait for the end, but not for ever. */
void jail_reap(struct jail *jail)
{
	struct pollfd ended = { .fd = jail->pidfd, .events = POLLIN };
	u64 until = channel_now() + JAIL_REAP_NS;

	while (!jail_is_gone(jail) && channel_now() < until)
		poll(&ended, 1, (int)(JAIL_LOOK_NS / 1000000));
}
