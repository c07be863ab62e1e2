// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP over the host's loopback, for comparison.
 *
 *	native_sockets exchange COUNT		nanoseconds for one byte there and one
 *						back, between two threads that block
 *	native_sockets pinned COUNT		the same with both on one processor
 *	native_sockets polled COUNT		the same by one thread
 *	native_sockets stream BLOCK BYTES	Gbit/s, from one thread to another
 *	native_sockets pump BLOCK BYTES		Gbit/s, both ends served by one thread
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int client, server; /* the two ends */
static long count, block, total;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void check(int worked)
{
	if (worked)
		return;
	perror("native_sockets");
	exit(1);
}

static void connect_both(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(!bind(listener, (void *)&address, sizeof(address)));
	check(!listen(listener, 1));
	check(!getsockname(listener, (void *)&address, &length));
	client = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(client, (void *)&address, sizeof(address)));
	server = accept(listener, NULL, NULL);
	check(server >= 0);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void give_and_take(int give, int take)
{
	char byte = 0;

	if (give >= 0)
		check(send(give, &byte, 1, 0) == 1);
	if (take >= 0)
		check(recv(take, &byte, 1, 0) == 1);
}

static void *echo(void *unused)
{
	(void)unused;
	for (long at = 0; at < count; at++) {
		give_and_take(-1, server);
		give_and_take(server, -1);
	}
	return NULL;
}

static double exchange(void)
{
	pthread_t thread;
	double started = now();

	check(!pthread_create(&thread, NULL, echo, NULL));
	for (long at = 0; at < count; at++)
		give_and_take(client, client);
	pthread_join(thread, NULL);
	return (now() - started) / count;
}

static double polled(void)
{
	double started = now();

	for (long at = 0; at < count; at++) {
		give_and_take(client, server);
		give_and_take(server, client);
	}
	return (now() - started) / count;
}

static void *drain(void *unused)
{
	char *memory = malloc(block);
	long left = total;

	(void)unused;
	while (left > 0) {
		long taken = recv(server, memory, block, 0);

		check(taken > 0);
		left -= taken;
	}
	free(memory);
	return NULL;
}

static double stream(void)
{
	char *memory = calloc(1, block);
	pthread_t thread;
	double started = now();

	check(!pthread_create(&thread, NULL, drain, NULL));
	for (long left = total; left > 0;) {
		long sent = send(client, memory, block < left ? block : left, 0);

		check(sent > 0);
		left -= sent;
	}
	pthread_join(thread, NULL);
	return total * 8 / (now() - started);
}

static double pump(void)
{
	char *memory = calloc(2, block);
	double started = now();

	for (long left = total; left > 0;) {
		long sent = send(client, memory, block < left ? block : left, MSG_DONTWAIT);

		check(sent > 0);
		left -= sent;
		while (sent > 0) {
			long taken = recv(server, memory + block, block, 0);

			check(taken > 0);
			sent -= taken;
		}
	}
	return total * 8 / (now() - started);
}

static void pin(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	check(!sched_setaffinity(0, sizeof(one), &one));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc < 3)
		return 2;
	count = block = atol(argv[2]);
	total = argc > 3 ? atol(argv[3]) : 0;
	connect_both();
	if (!strcmp(what, "pinned"))
		pin();
	if (!strcmp(what, "exchange") || !strcmp(what, "pinned"))
		printf("%.1f\n", exchange());
	else if (!strcmp(what, "polled"))
		printf("%.1f\n", polled());
	else if (!strcmp(what, "stream"))
		printf("%.3f\n", stream());
	else if (!strcmp(what, "pump"))
		printf("%.3f\n", pump());
	else
		return 2;
	return 0;
}
