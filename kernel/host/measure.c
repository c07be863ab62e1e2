// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a switch between two tasks takes: the classic ping-pong over pipes, or
 * over sockets; and how fast a stream between two sockets is.
 *
 * Both players are tasks of the kernel and both are moved by the calling
 * thread: it starts the read of one, which blocks, and comes out with the read
 * of the other, which had been blocked so far. Two host threads would measure
 * the host's scheduler.
 *
 * A player whose read is over before anybody waited for it (the kernel may
 * switch to it as soon as there is a byte) is noticed by its state.
 *
 * The players live on the heap: after a failure a read may still be pending,
 * and its player is left to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "runner.h"

#define STREAM_ALIGN 4096ULL

struct host_player {
	struct host_kernel *kernel;
	struct host_task *task;
	struct host_wait read;
	int from, to; /* descriptors */
	int receive, send; /* system calls */
	unsigned char byte;
};

static int host_throw(struct host_player *player, struct host_result *result)
{
	u64 args[6] = { player->to, (u64)&player->byte, 1 };

	host_call(player->kernel, player->task, player->send, args,
		  HOST_CALL_UNINTERRUPTED, result);
	return result->value == 1 ? 0 : -EIO;
}

static void host_prepare_catch(struct host_player *player)
{
	u64 args[6] = { player->from, (u64)&player->byte, 1 };

	host_fill(&player->read, player->task, player->receive, args,
		  HOST_CALL_UNINTERRUPTED | HOST_CALL_UNATTENDED);
	player->read.state = WAIT_QUEUED;
}

/* `from` has thrown: it begins to wait (but for the last time), `to` catches. */
static int host_catch(struct host_player *from, struct host_player *to,
		      bool last)
{
	if (!last)
		host_prepare_catch(from);
	if (load(&to->read.state) == WAIT_QUEUED)
		host_pass(from->kernel, last ? NULL : &from->read, &to->read);
	else if (!last)
		host_push(from->kernel, &from->read.call);
	if (to->read.dead)
		return -EOWNERDEAD;
	return to->read.call.result == 1 ? 0 : -EIO;
}

static int host_play(struct host_player players[2], u64 switches,
		     struct host_result *result)
{
	struct host_player *from = &players[0], *to = &players[1], *swap;
	int error = 0;

	host_prepare_catch(to);
	host_push(to->kernel, &to->read.call);
	while (!error && switches--) {
		error = host_throw(from, result);
		if (!error)
			error = host_catch(from, to, !switches);
		swap = from;
		from = to;
		to = swap;
	}
	return error;
}

static int host_two_pipes(struct host_process *process, int pipes[2][2],
			  struct host_result *result)
{
	int at;

	for (at = 0; at < 2; at++) {
		u64 args[6] = { (u64)pipes[at], O_CLOEXEC };

		host_process_call(process, SYS_pipe2, args, result);
		if (result->value < 0)
			return result->value;
	}
	return 0;
}

static void host_close_pipes(struct host_process *process, int pipes[2][2])
{
	struct host_result ignored;
	int at;

	for (at = 0; at < 4; at++) {
		u64 args[6] = { pipes[at / 2][at % 2] };

		if (pipes[at / 2][at % 2] >= 0)
			host_process_call(process, SYS_close, args, &ignored);
	}
}

/*
 * A second task for this thread, as if it were another one: that of an earlier
 * measurement if there is one.
 */
static struct host_task *host_find_other_task(struct host_process *process,
					      struct host_result *result)
{
	u64 self = host_thread_become(0);
	struct host_task *task = host_find_task(process, result);

	host_thread_become(self);
	return task;
}

/*
 * The players read from[0] and from[1], and write to[0] and to[1]: pipes, or
 * sockets, by the calls that bench/native_sockets.c makes.
 */
static int host_measure_players(struct host_process *process, const int from[2],
				const int to[2], u64 switches, u64 *nanoseconds,
				struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	struct host_player *players = calloc(2, sizeof(*players));
	struct host_task *tasks[2] = { 0 };
	bool sockets = from == to;
	int at, error;

	if (!players)
		return -ENOMEM;
	tasks[0] = host_find_task(process, result);
	if (tasks[0])
		tasks[1] = host_find_other_task(process, result);
	if (!tasks[1]) {
		free(players);
		return result->value ? result->value : -EAGAIN;
	}
	for (at = 0; at < 2; at++)
		players[at] = (struct host_player){
			.kernel = kernel,
			.task = tasks[at],
			.from = from[at],
			.to = to[at],
			.receive = sockets ? SYS_recvfrom : SYS_read,
			.send = sockets ? SYS_sendto : SYS_write,
		};
	*nanoseconds = host_monotonic(kernel);
	error = host_play(players, switches, result);
	*nanoseconds = host_monotonic(kernel) - *nanoseconds;
	/* Another thread may have it now. */
	pthread_mutex_lock(&kernel->lock);
	tasks[1]->thread = 0;
	pthread_mutex_unlock(&kernel->lock);
	if (!error)
		free(players);
	return error;
}

int host_measure_switches(struct host_process *process, u64 switches,
			  u64 *nanoseconds, struct host_result *result)
{
	int pipes[2][2] = { { -1, -1 }, { -1, -1 } };
	int error = host_two_pipes(process, pipes, result);

	if (!error)
		error = host_measure_players(
			process, (int[]){ pipes[1][0], pipes[0][0] },
			(int[]){ pipes[0][1], pipes[1][1] }, switches,
			nanoseconds, result);
	host_close_pipes(process, pipes);
	return error;
}

static s64 host_transfer(struct host_process *process, int nr, int fd,
			 void *memory, u64 bytes, struct host_result *result)
{
	u64 args[6] = { fd, (u64)memory, bytes, MSG_DONTWAIT };

	host_process_call(process, nr, args, result);
	return result->value;
}

/* ---- one byte between two sockets --------------------------------------- */

/* Both ends on this thread: what has been sent is there. */
static int host_alternate(struct host_process *process, const int sockets[2],
			  u64 bytes, struct host_result *result)
{
	unsigned char byte = 0;
	u64 at;

	for (at = 0; at < bytes; at++) {
		if (host_transfer(process, SYS_sendto, sockets[at % 2], &byte,
				  1, result) != 1 ||
		    host_transfer(process, SYS_recvfrom, sockets[(at + 1) % 2],
				  &byte, 1, result) != 1)
			return result->value < 0 ? result->value : -EIO;
	}
	return 0;
}

int host_measure_exchange(struct host_process *process, const int sockets[2],
			  int tasks, u64 bytes, u64 *nanoseconds,
			  struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	int error;

	if (tasks == 2)
		return host_measure_players(process, sockets, sockets, bytes,
					    nanoseconds, result);
	*nanoseconds = host_monotonic(kernel);
	error = host_alternate(process, sockets, bytes, result);
	*nanoseconds = host_monotonic(kernel) - *nanoseconds;
	return error;
}

/* ---- a stream ---------------------------------------------------------- */

/* Both ends on this thread: as much as there is room for goes in, then out. */
static int host_pump(struct host_process *process, const int sockets[2],
		     char *memory, u64 block, u64 bytes,
		     struct host_result *result)
{
	s64 sent, taken;

	while (bytes) {
		sent = host_transfer(process, SYS_sendto, sockets[0], memory,
				     block < bytes ? block : bytes, result);
		if (sent <= 0)
			return sent ? sent : -EIO;
		bytes -= sent;
		for (; sent; sent -= taken) {
			taken = host_transfer(process, SYS_recvfrom, sockets[1],
					      memory + block, block, result);
			if (taken <= 0)
				return taken ? taken : -EIO;
		}
	}
	return 0;
}

int host_measure_stream(struct host_process *process, const int sockets[2],
			u64 block, u64 bytes, u64 *nanoseconds,
			struct host_result *result)
{
	struct host_kernel *kernel = process->kernel;
	char *memory =
		aligned_alloc(STREAM_ALIGN, (2 * block + STREAM_ALIGN - 1) &
						    ~(STREAM_ALIGN - 1ULL));
	int error;

	if (!memory)
		return -ENOMEM;
	memset(memory, 1, 2 * block);
	*nanoseconds = host_monotonic(kernel);
	error = host_pump(process, sockets, memory, block, bytes, result);
	*nanoseconds = host_monotonic(kernel) - *nanoseconds;
	free(memory);
	return error;
}
