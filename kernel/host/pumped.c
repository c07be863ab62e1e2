// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pumps read from and write to: descriptors of a kernel, by system calls
 * of a task that belongs to the pump's thread, and descriptors of the host.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "pump.h"

static char *host_pump_data(struct host_pump *pump)
{
	return pump->frame + PUMP_LENGTH_BYTES;
}

bool host_pump_is_over(int error)
{
	switch (error) {
	case -EPIPE: /* the other end of a stream is closed */
	case -ECONNRESET:
	case -ENOTCONN:
	case -EBADF:
	case -EBADFD: /* the TAP device was deleted */
	case -ENODEV:
	case -EPROTO: /* what comes on a stream is no frame */
	case -EOWNERDEAD: /* the kernel died */
	case -ESRCH: /* or its process ended */
		return true;
	}
	return false;
}

/* ---- of a kernel ------------------------------------------------------ */

static int host_pump_task(const struct host_pump_end *end,
			  struct host_task **task)
{
	struct host_result result = { 0 };

	if (!end->process)
		return 0;
	*task = host_find_task(end->process, &result);
	if (*task)
		return 0;
	return result.value < 0 ? result.value : -ESRCH;
}

int host_pump_prepare(struct host_pump *pump)
{
	int error = host_pump_task(&pump->from, &pump->task_from);

	return error ? error : host_pump_task(&pump->to, &pump->task_to);
}

/* Nobody of the embedding program waits for it: it is not asked either. */
static s64 host_pump_call(const struct host_pump_end *end,
			  struct host_task *task, s64 nr, u64 a, u64 b, u64 c)
{
	u64 args[6] = { a, b, c };
	struct host_result result;

	host_call(end->process->kernel, task, nr, args, HOST_CALL_UNINTERRUPTED,
		  &result);
	return result.dead ? -EOWNERDEAD : result.value;
}

static int host_pump_wait_inside(struct host_pump *pump)
{
	struct pollfd fds[2] = {
		{ .fd = pump->from.fd, .events = POLLIN },
		{ .fd = pump->from.stop_fd, .events = POLLIN },
	};
	s64 count = host_pump_call(&pump->from, pump->task_from, SYS_poll,
				   (u64)fds, 2, (u64)-1);

	/* Without POLLIN: a device that is gone, which read() says. */
	return count < 0 ? count : 0;
}

void host_pump_say_last(struct host_pump *pump)
{
	struct host_pump_last *last = &pump->last;
	struct host_pump_end end = { .process = last->process };
	struct host_task *task = NULL;

	if (!host_pump_task(&end, &task))
		host_pump_call(&end, task, SYS_ioctl, last->fd, last->request,
			       (u64)last->argument);
}

void host_pump_rouse(struct host_pump *pump)
{
	struct host_result result;
	u64 one = 1, args[6] = { pump->from.stop_fd, (u64)&one, sizeof(one) };

	if (pump->from.process)
		host_process_call(pump->from.process, SYS_write, args, &result);
}

/* ---- of the host ------------------------------------------------------ */

static int host_pump_wait_outside(struct host_pump *pump, int fd, short events)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = events },
		{ .fd = pump->stop_fd, .events = POLLIN },
	};

	return poll(fds, 2, -1) < 0 ? -errno : 0;
}

/* The next frame of what is there already, to where frames are; 0: not all of it. */
static int host_pump_cut(struct host_pump *pump)
{
	char *data = host_pump_data(pump);
	u32 length;

	if (pump->end - pump->start < PUMP_LENGTH_BYTES)
		return 0;
	memcpy(&length, data + pump->start, sizeof(length));
	length = ntohl(length);
	if (!length || length > PUMP_FRAME_BYTES - PUMP_LENGTH_BYTES)
		return -EPROTO;
	if (pump->end - pump->start - PUMP_LENGTH_BYTES < length)
		return 0;
	pump->start += PUMP_LENGTH_BYTES;
	return length;
}

/*
 * A stream is read in large pieces; `start` is where its next frame, or the
 * length of that, begins.
 */
static int host_pump_read_stream(struct host_pump *pump)
{
	char *data = host_pump_data(pump);
	u32 room = PUMP_ROOM_BYTES - PUMP_LENGTH_BYTES;
	int length = host_pump_cut(pump);
	ssize_t got;

	if (length)
		return length;
	memmove(data, data + pump->start, pump->end - pump->start);
	pump->end -= pump->start;
	pump->start = 0;
	got = read(pump->from.fd, data + pump->end, room - pump->end);
	if (got < 0)
		return -errno;
	if (!got)
		return -EPIPE;
	pump->end += got;
	length = host_pump_cut(pump);
	return length ? length : -EINTR; /* not all of it: again */
}

static int host_pump_write_stream(struct host_pump *pump, char *frame,
				  u32 bytes)
{
	u32 length = htonl(bytes), sent = 0;
	char *all = frame - PUMP_LENGTH_BYTES;
	ssize_t part;

	memcpy(all, &length, sizeof(length));
	while (sent < bytes + PUMP_LENGTH_BYTES) {
		part = send(pump->to.fd, all + sent,
			    bytes + PUMP_LENGTH_BYTES - sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (part >= 0) {
			sent += part;
			continue;
		}
		if (errno == EAGAIN)
			host_pump_wait_outside(pump, pump->to.fd, POLLOUT);
		else if (errno != EINTR)
			return -errno;
		/* Half a frame is the end of a stream: only when it is to stop. */
		if (__atomic_load_n(&pump->stopping, __ATOMIC_ACQUIRE))
			return -ESHUTDOWN;
	}
	return 0;
}

static int host_pump_write_whole(struct host_pump *pump, char *frame, u32 bytes)
{
	while (write(pump->to.fd, frame, bytes) < 0) {
		if (errno == EAGAIN || errno == ENOBUFS)
			host_pump_wait_outside(pump, pump->to.fd, POLLOUT);
		else if (errno != EINTR)
			return -errno;
		if (__atomic_load_n(&pump->stopping, __ATOMIC_ACQUIRE))
			return -ESHUTDOWN;
	}
	return 0;
}

/* ---- of either -------------------------------------------------------- */

int host_pump_wait(struct host_pump *pump)
{
	if (pump->from.process)
		return host_pump_wait_inside(pump);
	return host_pump_wait_outside(pump, pump->from.fd, POLLIN);
}

/* What is to be written to an eventfd when an epoll has something. */
static int host_pump_read_news(struct host_pump *pump)
{
	char *data = host_pump_data(pump);
	u64 one = 1, args[6] = { pump->from.fd, (u64)data, 1, 0 };
	struct host_result result;

	host_call(pump->from.process->kernel, pump->task_from, SYS_epoll_wait,
		  args, HOST_CALL_UNINTERRUPTED, &result);
	if (result.value <= 0)
		return result.dead   ? -EOWNERDEAD :
		       !result.value ? -EAGAIN :
				       result.value;
	memcpy(data, &one, sizeof(one));
	return sizeof(one);
}

int host_pump_read(struct host_pump *pump)
{
	ssize_t got;

	if (pump->from.kind == HOST_PUMP_NEWS)
		return host_pump_read_news(pump);
	if (pump->from.process)
		return host_pump_call(&pump->from, pump->task_from, SYS_read,
				      pump->from.fd, (u64)host_pump_data(pump),
				      PUMP_FRAME_BYTES);
	if (pump->from.kind == HOST_PUMP_STREAM)
		return host_pump_read_stream(pump);
	got = read(pump->from.fd, host_pump_data(pump), PUMP_FRAME_BYTES);
	if (got < 0)
		return -errno;
	if (!got)
		return pump->from.kind == HOST_PUMP_PACKETS ? -EPIPE :
							      -EMSGSIZE;
	return got;
}

int host_pump_write(struct host_pump *pump, u32 bytes)
{
	char *frame = host_pump_data(pump);
	s64 written;

	/* The frame of a stream is somewhere in what was read, and stays there. */
	if (pump->from.kind == HOST_PUMP_STREAM) {
		frame += pump->start;
		pump->start += bytes;
	}
	if (pump->to.process) {
		written = host_pump_call(&pump->to, pump->task_to, SYS_write,
					 pump->to.fd, (u64)frame, bytes);
		return written < 0 ? written : 0;
	}
	if (pump->to.kind == HOST_PUMP_STREAM)
		return host_pump_write_stream(pump, frame, bytes);
	return host_pump_write_whole(pump, frame, bytes);
}
