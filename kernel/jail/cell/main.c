// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start and threads. The first thread boots the kernel and serves slot 0; the
 * second one waits for the parent's word to start a thread for another slot,
 * and for the parent's end, which is that of this process too.
 *
 * The order at the start matters: rights are given up before the image is
 * mapped, and the last of them after it has booted and before anything that
 * comes from a disk is looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cell.h"
#include "lockdown.h"

#define THREAD_STACK_BYTES (256 * KIB)
/* Disks and snapshots, should there be so many. */
#define DESCRIPTORS 1536

struct channel *cell_channel;
struct host_kernel *cell_kernel;
__thread struct channel_slot *cell_slot;
__thread char *cell_area;

static u32 cell_lookers;

static void cell_tell(enum channel_state state)
{
	channel_store(&cell_channel->header.state, state);
	channel_ring(&cell_channel->header.boot);
}

_Noreturn void cell_fail(int code, const char *text)
{
	struct channel_header *header = &cell_channel->header;

	header->code = code;
	snprintf(header->text, sizeof(header->text), "%s", text);
	cell_tell(CHANNEL_FAILED);
	_exit(0);
}

/* ---- waiting --------------------------------------------------------- */

struct cell_wish {
	bool (*there)(struct channel_slot *slot);
};

static bool cell_is_granted(void *argument)
{
	return ((struct cell_wish *)argument)->there(cell_slot);
}

static bool cell_look(bool (*there)(struct channel_slot *slot))
{
	struct cell_wish wish = { there };

	if (!cell_channel->header.spins)
		return there(cell_slot);
	return channel_look(&cell_slot->cell, &cell_slot->parent, &cell_lookers,
			    cell_is_granted, &wish);
}

void cell_wait(bool (*there)(struct channel_slot *slot))
{
	struct channel_waiter *self = &cell_slot->cell;
	u32 bell;

	while (!cell_look(there)) {
		__atomic_store_n(&self->sleeps, 1, __ATOMIC_SEQ_CST);
		bell = __atomic_load_n(&self->bell, __ATOMIC_SEQ_CST);
		if (!there(cell_slot))
			channel_sleep(self, bell, LL_FOREVER);
		__atomic_store_n(&self->sleeps, 0, __ATOMIC_RELAXED);
	}
}

/* ---- threads --------------------------------------------------------- */

static bool cell_is_asked(struct channel_slot *slot)
{
	return channel_load(&slot->request) != slot->finished;
}

static void *cell_thread(void *argument)
{
	size_t index = (size_t)argument;

	cell_slot = &cell_channel->slots[index];
	cell_area = cell_channel->areas[index];
	channel_store(&cell_slot->tid, (u32)gettid());
	for (;;) {
		cell_wait(cell_is_asked);
		cell_serve();
		cell_publish(&cell_slot->finished,
			     channel_load(&cell_slot->request));
	}
	return NULL;
}

static void cell_new_thread(u32 index)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Without a thread the parent would wait in vain: better to die. */
	if (index >= CHANNEL_SLOTS ||
	    pthread_create(&thread, &attributes, cell_thread,
			   (void *)(size_t)index))
		abort();
	pthread_attr_destroy(&attributes);
}

static void *cell_control(void *argument)
{
	struct pollfd wanted[] = {
		{ .fd = CHANNEL_FD_CONTROL, .events = POLLIN },
		{ .fd = CHANNEL_FD_PARENT, .events = POLLIN },
	};
	u32 index;

	for (;;) {
		if (poll(wanted, 2, -1) < 0)
			continue;
		if (wanted[1].revents) /* the parent is gone */
			_exit(0);
		if (!wanted[0].revents)
			continue;
		if (recv(CHANNEL_FD_CONTROL, &index, sizeof(index), 0) !=
		    sizeof(index))
			_exit(0);
		cell_new_thread(index);
	}
	return argument;
}

/* ---- start ----------------------------------------------------------- */

/* An interruption only has to end a wait. */
static void cell_interruption(int signal)
{
	(void)signal;
}

static int cell_map_channel(void)
{
	struct channel_header *header;
	void *address, *mapped;

	header = mmap(NULL, sizeof(*header), PROT_READ, MAP_SHARED,
		      CHANNEL_FD_MEMORY, 0);
	if (header == MAP_FAILED || header->magic != CHANNEL_MAGIC ||
	    header->version != CHANNEL_VERSION ||
	    header->boundary_version != LL_BOUNDARY_VERSION)
		return -1;
	address = (void *)header->address;
	mapped = mmap(address, sizeof(struct channel), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		      CHANNEL_FD_MEMORY, 0);
	munmap(header, sizeof(*header));
	if (mapped != address)
		return -1;
	cell_channel = mapped;
	return 0;
}

static int cell_settle(void)
{
	struct sigaction action = { .sa_handler = cell_interruption,
				    .sa_flags = SA_ONSTACK };
	const struct channel_header *header = &cell_channel->header;
	const struct cell_limits limits = {
		.data_bytes = header->data_bytes,
		.file_bytes = header->data_bytes,
		.cpu_seconds = header->cpu_seconds,
		.descriptors = DESCRIPTORS,
	};
	int result;

	/* Of the thread that made us; who made us in another relies on control. */
	if (header->parent_tid && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	sigaction(SIGUSR1, &action, NULL);
	/* Arenas for threads would look for the number of processors in /sys. */
	mallopt(M_ARENA_MAX, 1);
	close_range(CHANNEL_FD_END, ~0U, 0);
	/* For snapshots: which pages of its own this process has written. */
	host_region_pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	result = cell_limit(&limits);
	return result ? result : cell_lock_down();
}

static void cell_boot(void)
{
	struct channel_header *header = &cell_channel->header;
	struct host_options options = {
		.image = "the image",
		.image_fd = CHANNEL_FD_IMAGE,
		.memory_bytes = header->memory_bytes,
		.memory_file = { CHANNEL_FD_ARENA,
				 CHANNEL_ARENA_BYTES(header->memory_bytes) },
		.user = header->user,
		.virtual_clock = header->virtual_clock,
		.boot_realtime = header->boot_realtime,
		.command_line = header->command_line,
		.embedding = cell_embedding,
	};
	struct host_error error = {
		.report = (struct host_report *)cell_channel->areas[0],
	};
	int code;

	memcpy(options.seed, header->seed, sizeof(options.seed));
	code = host_kernel_open(&options, &cell_kernel, &error);
	header->dead = error.dead;
	if (code)
		cell_fail(code, error.text);
	close(CHANNEL_FD_IMAGE);
	snprintf(header->release, sizeof(header->release), "%s",
		 host_kernel_release(cell_kernel));
	snprintf(header->syscalls, sizeof(header->syscalls), "%s",
		 host_kernel_syscalls(cell_kernel));
	header->text_base = host_kernel_text(cell_kernel);
}

int main(void)
{
	pthread_t thread;
	int code;

	setsid(); /* no terminal, and no signals from it */
	if (cell_map_channel())
		return 1;
	code = cell_settle();
	if (code)
		cell_fail(code,
			  "the process of the kernel cannot be locked in");
	cell_boot();
	code = cell_lock_code();
	if (!code && pthread_create(&thread, NULL, cell_control, NULL))
		code = -EAGAIN;
	if (code)
		cell_fail(code, "the process of the kernel cannot be set up");
	cell_tell(CHANNEL_READY);
	cell_thread(NULL);
	return 0;
}
