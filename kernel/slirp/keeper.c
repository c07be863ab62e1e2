// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who begins libslirp anew, see keeper.h. The parent does nothing but wait; it
 * has no thread and holds the sockets, which therefore outlive a child. A child
 * ends with its parent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "keeper.h"

static volatile unsigned long keeper_steps;

static int64_t keeper_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- the child ------------------------------------------------------------- */

void keeper_step(void)
{
	keeper_steps++;
}

/* Every KEEPER_STUCK_SECONDS of processor time, so never while it is idle. */
static void keeper_look(int signal)
{
	static unsigned long before = -1UL;

	(void)signal;
	if (keeper_steps == before)
		abort();
	before = keeper_steps;
}

static void keeper_watch(void)
{
	struct sigaction action = { .sa_handler = keeper_look,
				    .sa_flags = SA_RESTART };
	struct itimerval every = {
		.it_interval = { .tv_sec = KEEPER_STUCK_SECONDS },
		.it_value = { .tv_sec = KEEPER_STUCK_SECONDS },
	};

	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &every, NULL);
}

/* ---- the parent ------------------------------------------------------------- */

/* The signal that a child died by; a child that ended of itself is our end. */
static int keeper_wait(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			exit(1);
	if (WIFEXITED(status))
		exit(WEXITSTATUS(status));
	return WTERMSIG(status);
}

static void keeper_say(const char *what, int signal)
{
	printf("%s %d\n", what, signal);
	fflush(stdout);
}

/* A death; the end, if there were too many of late. */
static void keeper_mourn(int signal, int number)
{
	static int64_t deaths[KEEPER_DEATHS];
	int64_t now = keeper_now_ms(), *first = &deaths[number % KEEPER_DEATHS];

	if (*first && now - *first < KEEPER_PERIOD_MS) {
		keeper_say("gave up", signal);
		exit(1);
	}
	*first = now;
	keeper_say("died", signal);
}

struct keeper *keeper_begin(void)
{
	struct keeper *keeper = mmap(NULL, sizeof(*keeper),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), child;
	int deaths;

	if (keeper == MAP_FAILED)
		return NULL;
	for (deaths = 0;; deaths++) {
		child = fork();
		if (child < 0)
			exit(1);
		if (!child)
			break;
		keeper_mourn(keeper_wait(child), deaths);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	keeper_watch();
	return keeper;
}
