// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host's own kernel takes, for comparison; prints nanoseconds.
 *
 *	native getpid COUNT	one getpid by syscall(2)
 *	native switch COUNT	a write, a read and a switch: two threads and one
 *				byte over two pipes, both on the same processor
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int there[2], back[2];
static long count;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static double measure_getpid(void)
{
	double started = now();

	for (long at = 0; at < count; at++)
		syscall(SYS_getpid);
	return (now() - started) / count;
}

static void throw_and_catch(int to, int from)
{
	char byte = 0;

	for (long at = 0; at < count / 2; at++)
		if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
			exit(1);
}

static void *partner(void *unused)
{
	char byte;

	(void)unused;
	for (long at = 0; at < count / 2; at++)
		if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
			exit(1);
	return NULL;
}

static double measure_switch(void)
{
	pthread_t thread;
	cpu_set_t one;
	double started;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) || pipe(there) || pipe(back) ||
	    pthread_create(&thread, NULL, partner, NULL))
		exit(1);
	started = now();
	throw_and_catch(there[1], back[0]);
	started = now() - started;
	pthread_join(thread, NULL);
	return started / (count / 2 * 2);
}

int main(int argc, char **argv)
{
	if (argc != 3 || (count = atol(argv[2])) < 2)
		return 2;
	printf("%.2f\n", strcmp(argv[1], "getpid") ? measure_switch() : measure_getpid());
	return 0;
}
