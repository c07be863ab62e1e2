// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host side used by a plain C program: boot, call, read a disk; and the
 * table of host calls replaced while the kernel is not running, entry by entry,
 * by a clock that is an hour ahead and a disk with a bad sector.
 *
 *     without_python liblinux-<release>.so
 *
 * Prints nothing and returns 0, or says on standard error what was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "host.h"

#define DISK_BYTES (1 << 20)
#define BAD_OFFSET (DISK_BYTES / 2)
#define HOUR_NS (3600 * 1000000000ULL)

#define check(condition)                                                 \
	do {                                                             \
		if (!(condition)) {                                      \
			fprintf(stderr, "line %d: %s\n", __LINE__,       \
				#condition);                             \
			exit(1);                                         \
		}                                                        \
	} while (0)

static struct ll_host_ops before;
static int bad_reads;

static u64 late_clock(void *host)
{
	return before.monotonic(host) + HOUR_NS;
}

static int bad_disk(void *host, struct ll_io *io)
{
	if (io->op == LL_IO_READ && io->offset + io->bytes > BAD_OFFSET) {
		bad_reads++;
		return -EIO;
	}
	return before.disk_io(host, io);
}

static s64 call(struct host_kernel *kernel, s64 nr, const void *a, u64 b, u64 c,
		u64 d)
{
	u64 args[6] = { (u64)a, b, c, d };
	struct host_result result;

	host_process_call(host_kernel_init(kernel), nr, args, &result);
	check(!result.dead && !result.deadlock);
	return result.value;
}

static struct host_kernel *boot(const char *image)
{
	struct host_options options = {
		.image = image,
		.memory_bytes = 64 << 20,
		.command_line = "",
	};
	struct host_kernel *kernel;
	struct host_error error;

	if (host_kernel_open(&options, &kernel, &error)) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	return kernel;
}

static void test_clock(struct host_kernel *kernel)
{
	struct timespec first, second;
	u64 now = host_kernel_now(kernel);

	check(!call(kernel, SYS_clock_gettime, (void *)CLOCK_MONOTONIC,
		    (u64)&first, 0, 0));
	host_kernel_ops(kernel)->monotonic = late_clock;
	check(host_kernel_now(kernel) - now >= HOUR_NS);
	check(!call(kernel, SYS_clock_gettime, (void *)CLOCK_MONOTONIC,
		    (u64)&second, 0, 0));
	check(second.tv_sec - first.tv_sec >= 3600);
}

static void test_disk(struct host_kernel *kernel)
{
	static char memory[DISK_BYTES], buffer[4096];
	struct host_disk *disk;
	s64 fd;

	memset(memory, 'x', sizeof(memory));
	check(!host_disk_attach_memory(kernel, memory, DISK_BYTES, 512, 0,
				       &disk));
	call(kernel, SYS_mkdir, "/dev", 0755, 0, 0);
	check(!call(kernel, SYS_mount, "none", (u64)"/dev", (u64)"devtmpfs",
		    0));
	fd = call(kernel, SYS_open, "/dev/lda", O_RDONLY, 0, 0);
	check(fd >= 0);
	host_kernel_ops(kernel)->disk_io = bad_disk;
	check(call(kernel, SYS_pread64, (void *)fd, (u64)buffer, 4096,
		   BAD_OFFSET) == -EIO);
	check(bad_reads > 0);
	host_kernel_ops(kernel)->disk_io = before.disk_io;
	check(call(kernel, SYS_pread64, (void *)fd, (u64)buffer, 4096,
		   BAD_OFFSET) == 4096);
	check(buffer[0] == 'x' && buffer[4095] == 'x');
	check(!call(kernel, SYS_close, (void *)fd, 0, 0, 0));
	check(!host_disk_detach(disk));
}

int main(int argc, char **argv)
{
	struct host_kernel *replaced, *other;

	check(argc == 2);
	replaced = boot(argv[1]);
	other = boot(argv[1]);
	before = *host_kernel_ops(replaced);
	check(call(replaced, SYS_getpid, NULL, 0, 0, 0) == 1);
	test_clock(replaced);
	test_disk(replaced);
	/* The table is per kernel. */
	check(host_kernel_ops(other)->monotonic == before.monotonic);
	check(host_kernel_now(other) + HOUR_NS / 2 < host_kernel_now(replaced));
	check(!host_kernel_close(replaced));
	check(call(other, SYS_getpid, NULL, 0, 0, 0) == 1);
	check(!host_kernel_close(other));
	return 0;
}
