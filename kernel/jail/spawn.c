// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting the cell: the channel, the descriptors, the process, and the wait
 * for its boot. posix_spawn does not copy this process, however large it is.
 *
 * User window and channel lie at an address of our choice between where programs
 * and where libraries are put, so that it is free in the new process, too. There
 * the kernel's memory goes below it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "keeper.h"

#define ADDRESS_FIRST 0x020000000000ULL
#define ADDRESS_LAST 0x500000000000ULL
#define ADDRESS_STEP (1 * GIB)
#define ADDRESS_TRIES 256
/* Out of the way of the descriptors that the cell is given. */
#define DESCRIPTOR_FIRST 32

static int jail_fail(struct host_error *error, int code, const char *what)
{
	snprintf(error->text, sizeof(error->text),
		 "cannot make the process of an isolated kernel: %s: %s", what,
		 strerror(-code));
	return code;
}

/* ---- the channel ----------------------------------------------------- */

static int jail_map(struct jail *jail, int fd)
{
	u64 places = (ADDRESS_LAST - ADDRESS_FIRST) / ADDRESS_STEP, place;
	u64 bytes = USER_WINDOW_BYTES + sizeof(struct channel);
	void *wanted, *mapped;
	int tries;

	for (tries = 0; tries < ADDRESS_TRIES; tries++) {
		if (getrandom(&place, sizeof(place), 0) != sizeof(place))
			return -errno;
		wanted =
			(void *)(ADDRESS_FIRST + place % places * ADDRESS_STEP);
		/* All of it; then the channel takes the place of the end. */
		mapped = mmap(wanted, bytes, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				      MAP_FIXED_NOREPLACE,
			      -1, 0);
		if (mapped == wanted)
			break;
		if (mapped != MAP_FAILED) /* a host that knows not the flag */
			munmap(mapped, bytes);
	}
	if (tries == ADDRESS_TRIES)
		return -ENOMEM;
	mapped = mmap((char *)wanted + USER_WINDOW_BYTES,
		      sizeof(struct channel), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (mapped == MAP_FAILED) {
		munmap(wanted, bytes);
		return -ENOMEM;
	}
	jail->window = (u64)wanted;
	jail->channel = mapped;
	/* A child of fork() has no business in it. */
	madvise(mapped, sizeof(struct channel), MADV_DONTFORK);
	return 0;
}

/* The memory that both share. */
static int jail_memory(struct jail *jail)
{
	int fd = jail_file("liblinux-channel", sizeof(struct channel));
	int code;

	if (fd < 0)
		return fd;
	code = jail_map(jail, fd);
	if (!code)
		return fd;
	close(fd);
	return code;
}

static u32 jail_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 :
							 (u32)CPU_COUNT(&set);
}

static int jail_describe(struct jail *jail, const struct host_options *options)
{
	struct channel_header *header = &jail->channel->header;
	const char *line = options->command_line ? options->command_line : "";

	if (strlen(line) >= sizeof(header->command_line))
		return -E2BIG;
	header->magic = CHANNEL_MAGIC;
	header->version = CHANNEL_VERSION;
	header->boundary_version = LL_BOUNDARY_VERSION;
	header->address = (u64)header;
	header->user = jail->window;
	header->memory_bytes = options->memory_bytes;
	header->boot_realtime = options->boot_realtime;
	header->virtual_clock = options->virtual_clock;
	header->spins = jail_processors() > 1;
	header->data_bytes = jail->data_bytes;
	header->cpu_seconds = options->cpu_seconds;
	/* Only the first thread lives as long as the process. */
	header->parent_tid = gettid() == getpid() ? (u32)gettid() : 0;
	memcpy(header->seed, options->seed, sizeof(header->seed));
	strcpy(header->command_line, line);
	return 0;
}

/* ---- the process ----------------------------------------------------- */

/* The same file above all descriptors that the cell is given. */
static int jail_lift(int fd)
{
	int lifted = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
	int code = errno;

	close(fd);
	errno = code;
	return lifted;
}

static int jail_socket(int *ours, int *theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*ours = jail_lift(pair[0]);
	*theirs = jail_lift(pair[1]);
	return *ours < 0 || *theirs < 0 ? -EMFILE : 0;
}

static int jail_start(struct jail *jail, const char *program,
		      const int descriptors[CHANNEL_FD_END])
{
	char *const arguments[] = { (char *)"liblinux-jail", NULL };
	char *const environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int fd, code;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&files);
	for (fd = 0; fd < CHANNEL_FD_CONTROL; fd++)
		posix_spawn_file_actions_addopen(&files, fd, "/dev/null",
						 O_RDWR, 0);
	for (fd = CHANNEL_FD_CONTROL; fd < CHANNEL_FD_END; fd++)
		posix_spawn_file_actions_adddup2(&files, descriptors[fd], fd);
	code = posix_spawn(&jail->pid, program, &files, &attributes, arguments,
			   environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (code)
		return -code;
	jail->reaped = false;
	jail->pidfd = (int)syscall(SYS_pidfd_open, jail->pid, 0);
	return jail->pidfd < 0 ? -errno : 0;
}

/* Fill in what the cell is given; the caller closes all of it. */
static int jail_gather(struct jail *jail, const struct host_options *options,
		       int descriptors[CHANNEL_FD_END],
		       struct host_error *error)
{
	int code = jail_memory(jail);

	if (code < 0)
		return jail_fail(error, code, "its shared memory");
	descriptors[CHANNEL_FD_MEMORY] = jail_lift(code);
	code = jail_file("liblinux-arena",
			 CHANNEL_ARENA_BYTES(jail->memory_bytes));
	if (code < 0)
		return jail_fail(error, code, "the file of its shared pages");
	jail->arena = jail_lift(code);
	descriptors[CHANNEL_FD_ARENA] =
		fcntl(jail->arena, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
	if (descriptors[CHANNEL_FD_ARENA] < 0)
		return jail_fail(error, -EMFILE,
				 "the file of its shared pages");
	code = jail_describe(jail, options);
	if (code)
		return jail_fail(error, code, "the command line");
	code = jail_socket(&jail->control, &descriptors[CHANNEL_FD_CONTROL]);
	if (!code)
		code = jail_socket(&jail->passing,
				   &descriptors[CHANNEL_FD_PASSING]);
	if (code)
		return jail_fail(error, code, "its sockets");
	descriptors[CHANNEL_FD_PARENT] =
		jail_lift((int)syscall(SYS_pidfd_open, getpid(), 0));
	if (descriptors[CHANNEL_FD_PARENT] < 0)
		return jail_fail(error, -errno, "pidfd_open");
	descriptors[CHANNEL_FD_IMAGE] =
		jail_lift(open(options->image, O_RDONLY | O_CLOEXEC));
	if (descriptors[CHANNEL_FD_IMAGE] < 0) {
		code = -errno;
		snprintf(error->text, sizeof(error->text), "cannot open %s: %s",
			 options->image, strerror(errno));
		return code;
	}
	return 0;
}

/* ---- the boot -------------------------------------------------------- */

/* -errno with the reason in `error`: bytes of the cell, read once. */
static int jail_boot_failed(struct jail *jail, struct host_error *error)
{
	struct channel_header *header = &jail->channel->header;
	int code = channel_once(header->code);
	size_t at;

	for (at = 0; at < sizeof(error->text) - 1; at++)
		error->text[at] = channel_once(header->text[at]);
	error->text[at] = 0;
	error->dead = channel_once(header->dead);
	if (error->dead && error->report)
		jail_copy_report(jail->channel->areas[0], error->report);
	return code < 0 && code >= -4095 ? code : -EPROTO;
}

static int jail_boot(struct jail *jail, struct host_error *error)
{
	struct channel_header *header = &jail->channel->header;
	struct host_embedding *embedding = &jail->embedding;
	u32 state, bell;

	__atomic_store_n(&header->boot.sleeps, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		bell = __atomic_load_n(&header->boot.bell, __ATOMIC_SEQ_CST);
		state = channel_load(&header->state);
		if (state == CHANNEL_READY)
			return 0;
		if (state == CHANNEL_FAILED)
			return jail_boot_failed(jail, error);
		channel_sleep(&header->boot, bell,
			      channel_now() + JAIL_LOOK_NS);
		if (jail_is_gone(jail) &&
		    channel_load(&header->state) == CHANNEL_STARTING) {
			snprintf(error->text, sizeof(error->text), "%.255s",
				 jail->dead_text);
			error->gone = true;
			return -EOWNERDEAD;
		}
		if (embedding->interrupted &&
		    embedding->interrupted(embedding->context))
			return -EINTR;
	}
}

int jail_spawn(struct jail *jail, const struct host_options *options,
	       struct host_error *error)
{
	int descriptors[CHANNEL_FD_END];
	int fd, code;

	for (fd = 0; fd < CHANNEL_FD_END; fd++)
		descriptors[fd] = -1;
	code = jail_gather(jail, options, descriptors, error);
	if (!code) {
		code = jail_start(jail, options->jail, descriptors);
		if (code)
			jail_fail(error, code, options->jail);
	}
	for (fd = 0; fd < CHANNEL_FD_END; fd++)
		if (descriptors[fd] >= 0)
			close(descriptors[fd]);
	return code ? code : jail_boot(jail, error);
}
