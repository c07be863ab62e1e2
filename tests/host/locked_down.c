// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks itself down as the process of an isolated kernel does, and then does
 * what its argument says: "work" ends well, all that is forbidden is killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lockdown.h"

static void *thread(void *argument)
{
	return argument;
}

/* Threads, memory, and no code of one's own. */
static int work(void)
{
	pthread_t made;
	char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || pthread_create(&made, NULL, thread, NULL) ||
	    pthread_join(made, NULL))
		return 1;
	memset(memory, 1, 1 << 20);
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0) != MAP_FAILED)
		return 2;
	return munmap(memory, 1 << 20) ? 3 : 0;
}

static int attempt(const char *what, char *page)
{
	char *const none[] = { NULL };

	if (!strcmp(what, "work"))
		return work();
	if (!strcmp(what, "open"))
		open("/etc/passwd", O_RDONLY);
	else if (!strcmp(what, "stat"))
		syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", page, 0);
	else if (!strcmp(what, "execve"))
		execve("/bin/true", none, none);
	else if (!strcmp(what, "socket"))
		socket(AF_INET, SOCK_STREAM, 0);
	else if (!strcmp(what, "fork"))
		syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	else if (!strcmp(what, "kill"))
		syscall(SYS_kill, 1, 0);
	else if (!strcmp(what, "ptrace"))
		ptrace(PTRACE_TRACEME, 0, 0, 0);
	else if (!strcmp(what, "prctl-nothing"))
		prctl(PR_SET_NAME, "x", 0, 0, 0);
	else if (!strcmp(what, "memfd"))
		memfd_create("more", 0);
	else if (!strcmp(what, "mprotect-exec"))
		mprotect(page, 4096, PROT_READ | PROT_EXEC);
	else if (!strcmp(what, "ioctl"))
		ioctl(0, 0x5401, page);
	else if (!strcmp(what, "x32"))
		syscall(0x40000000 | SYS_getpid);
	else
		return 4;
	return 0;
}

int main(int argc, char **argv)
{
	const struct cell_limits limits = { .data_bytes = 64 << 20,
					    .file_bytes = 1 << 20,
					    .descriptors = 64 };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 2 || cell_limit(&limits) || cell_lock_down() ||
	    cell_lock_code()) {
		fprintf(stderr, "cannot lock down\n");
		return 5;
	}
	return attempt(argv[1], page);
}
