// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pumps: threads that carry frames between a descriptor of a kernel (a TAP
 * device of its own) and one of the host, or of another kernel.
 *
 * A pump carries in one direction; what goes both ways has two. It reads until
 * there is nothing, and then waits, for the descriptor or for the order to stop.
 * A wait inside of a kernel with a real clock is also what keeps that kernel
 * going while nobody else is inside: its timers, and what has arrived.
 *
 * Frames that the receiving side refuses (too long, too short, the device is
 * down, nobody listens) are dropped and counted, as a wire would. When a side
 * is gone for good the pump ends and says why.
 *
 * On a stream of the host each frame has its length in front, 4 bytes, big
 * endian, as QEMU's "-netdev stream" has it; anywhere else a read is a frame.
 *
 * pumped.c has the two kinds of descriptors. No other thread touches a pump but
 * for `stopping` and the counters.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "pump.h"

static void host_pump_count(u64 *counter, u64 amount)
{
	__atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

/*
 * One frame on. 0, or why there will never be another one: -ESHUTDOWN when it
 * was told to stop while there was no room, for what was sent of the frame can
 * be half of it, and nothing may follow that.
 */
static int host_pump_deliver(struct host_pump *pump, u32 bytes)
{
	int error;

	/* Before it is there, or who has got it could find that nothing was sent. */
	host_pump_count(&pump->frames, 1);
	host_pump_count(&pump->bytes, bytes);
	error = host_pump_write(pump, bytes);
	if (!error)
		return 0;
	host_pump_count(&pump->frames, -1);
	host_pump_count(&pump->bytes, -(u64)bytes);
	if (error == -ESHUTDOWN)
		return error;
	host_pump_count(&pump->dropped, 1);
	return host_pump_is_over(error) ? error : 0;
}

static int host_pump_loop(struct host_pump *pump)
{
	int got, error;

	while (!__atomic_load_n(&pump->stopping, __ATOMIC_ACQUIRE)) {
		got = host_pump_read(pump);
		if (got == -EAGAIN)
			got = host_pump_wait(pump);
		else if (got > 0)
			got = host_pump_deliver(pump, got);
		if (got == -EINTR || got >= 0)
			continue;
		error = got;
		if (error == -ESHUTDOWN || host_pump_is_over(error))
			return error;
		host_pump_count(&pump->dropped, 1);
	}
	return 0;
}

/*
 * What has left the hosts of a network when that is closed still goes out, or
 * the last word of a connection, by which the other side knows of its end,
 * would be lost by chance. As far as there is room: nobody waits for it.
 */
static void host_pump_empty(struct host_pump *pump)
{
	int frames = PUMP_LAST_FRAMES;
	int got;

	if (!pump->from.process || pump->to.process ||
	    pump->from.kind == HOST_PUMP_NEWS)
		return;
	while (frames--) {
		got = host_pump_read(pump);
		if (got <= 0 || host_pump_deliver(pump, got))
			return;
	}
}

static void *host_pump_main(void *argument)
{
	struct host_pump *pump = argument;
	int error = host_pump_prepare(pump);

	if (!error)
		error = host_pump_loop(pump);
	if (!error)
		host_pump_empty(pump);
	if (error == -ESHUTDOWN)
		error = 0;
	__atomic_store_n(&pump->error, error, __ATOMIC_RELEASE);
	if (error && pump->last.process)
		host_pump_say_last(pump);
	return NULL;
}

/* Signals are for the threads of the embedding program. */
static int host_pump_thread(struct host_pump *pump)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	/* But for those that say that the thread itself has done something. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&pump->thread, NULL, host_pump_main, pump);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int host_pump_start(const struct host_pump_end *from,
		    const struct host_pump_end *to,
		    const struct host_pump_last *last,
		    struct host_pump **started)
{
	struct host_pump *pump = calloc(1, sizeof(*pump));
	int error = -ENOMEM;

	if (!pump)
		return error;
	pump->from = *from;
	pump->to = *to;
	pump->last = *last;
	pump->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pump->stop_fd < 0) {
		error = -errno;
		goto free;
	}
	pump->frame = malloc(PUMP_ROOM_BYTES);
	if (!pump->frame)
		goto close;
	error = host_pump_thread(pump);
	if (!error) {
		*started = pump;
		return 0;
	}
	free(pump->frame);
close:
	close(pump->stop_fd);
free:
	free(pump);
	return error;
}

void host_pump_stop(struct host_pump *pump, struct host_pump_statistics *last)
{
	u64 one = 1;

	__atomic_store_n(&pump->stopping, true, __ATOMIC_RELEASE);
	/* One of the two is what it waits for; eventfds of 0 take a 1 always. */
	if (write(pump->stop_fd, &one, sizeof(one)) < 0)
		abort();
	host_pump_rouse(pump);
	pthread_join(pump->thread, NULL);
	host_pump_statistics(pump, last);
	close(pump->stop_fd);
	free(pump->frame);
	free(pump);
}

void host_pump_statistics(struct host_pump *pump,
			  struct host_pump_statistics *statistics)
{
	statistics->frames = __atomic_load_n(&pump->frames, __ATOMIC_RELAXED);
	statistics->bytes = __atomic_load_n(&pump->bytes, __ATOMIC_RELAXED);
	statistics->dropped = __atomic_load_n(&pump->dropped, __ATOMIC_RELAXED);
	statistics->error = __atomic_load_n(&pump->error, __ATOMIC_ACQUIRE);
}
