// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors for the cell: memory files, whose size nobody can change, so that
 * the cell neither fills the host's memory nor takes pages from under us; and
 * how descriptors get there when the cell runs already. They go through a socket
 * of their own, and the cell takes one when it comes to a request that belongs
 * to one: so nobody may send another before that request has ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "keeper.h"

int jail_file(const char *name, u64 bytes)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int code;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)bytes) && !fcntl(fd, F_ADD_SEALS, seals))
		return fd;
	code = -errno;
	close(fd);
	return code;
}

static int jail_pass(struct jail *jail, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(jail->passing, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		return 0;
	return jail_is_gone(jail) ? -EOWNERDEAD : -errno;
}

bool jail_request_with(struct jail *jail, struct jail_slot *slot, int fd,
		       u32 op, const u64 args[6], struct host_result *result)
{
	bool answered = false;
	int code;

	pthread_mutex_lock(&jail->pass_lock);
	code = jail_pass(jail, fd);
	if (!code)
		answered = jail_request(jail, slot, op, 0, 0, args, result);
	else if (code == -EOWNERDEAD)
		jail_result_dead(result);
	else
		*result = (struct host_result){ .value = code };
	pthread_mutex_unlock(&jail->pass_lock);
	return answered;
}
