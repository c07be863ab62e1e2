// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks. One of a descriptor is read and written by this process itself. One of
 * anything else is served by the parent: the thread that is inside the kernel
 * has a thread of the parent waiting for it, which is asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cell.h"

struct cell_disk {
	struct host_disk *host;
	int fd; /* or -1 */
};

static struct cell_disk cell_disks[DISKS];
static pthread_mutex_t cell_disks_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- served by the parent -------------------------------------------- */

bool cell_is_served(struct channel_slot *slot)
{
	return channel_load(&slot->served) == slot->posted;
}

/* Between the memory of a request and the area, from byte `at` on. */
static void cell_disk_copy(struct ll_io *io, u64 at, u64 bytes)
{
	char *area = cell_area + CHANNEL_CALL_BYTES;
	struct ll_iovec *segment = io->segments;
	u64 part;

	while (at >= segment->bytes)
		at -= segment++->bytes;
	for (; bytes; at = 0, segment++) {
		char *memory = (char *)segment->base + at;

		part = segment->bytes - at;
		if (part > bytes)
			part = bytes;
		if (io->op == LL_IO_READ)
			memcpy(memory, area, part);
		else
			memcpy(area, memory, part);
		area += part;
		bytes -= part;
	}
}

static int cell_disk_part(void *backing, struct ll_io *io, u64 at, u64 bytes)
{
	struct channel_slot *slot = cell_slot;

	if (io->op == LL_IO_WRITE)
		cell_disk_copy(io, at, bytes);
	slot->post_at = (u64)backing;
	slot->post_op = io->op;
	slot->post_flags = io->flags;
	slot->post_offset = io->offset + at;
	slot->post_bytes = bytes;
	cell_publish(&slot->posted, slot->posted + 1);
	cell_wait(cell_is_served);
	if (!slot->served_result && io->op == LL_IO_READ)
		cell_disk_copy(io, at, bytes);
	return (int)slot->served_result;
}

static int cell_disk_io(void *context, void *backing, struct ll_io *io)
{
	bool data = io->op == LL_IO_READ || io->op == LL_IO_WRITE;
	u64 at = 0, bytes;
	int result;

	(void)context;
	if (!data)
		return cell_disk_part(backing, io, 0, io->bytes);
	do {
		bytes = io->bytes - at;
		if (bytes > CHANNEL_DISK_BYTES)
			bytes = CHANNEL_DISK_BYTES;
		result = cell_disk_part(backing, io, at, bytes);
		at += bytes;
	} while (!result && at < io->bytes);
	return result;
}

static bool cell_interrupted(void *context)
{
	(void)context;
	return cell_slot && channel_load(&cell_slot->interrupt);
}

const struct host_embedding cell_embedding = {
	.disk_io = cell_disk_io,
	.interrupted = cell_interrupted,
	.show = cell_show,
	.hide = cell_hide,
};

/* ---- requests -------------------------------------------------------- */

static struct cell_disk *cell_disk(void)
{
	u64 handle = cell_slot->args[5];

	return handle < DISKS && cell_disks[handle].host ? &cell_disks[handle] :
							   NULL;
}

int cell_receive(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(CHANNEL_FD_PASSING, &message, MSG_DONTWAIT) != 1)
		return -EBADF;
	header = CMSG_FIRSTHDR(&message);
	/* It came, and there was no room in the table of descriptors. */
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int cell_attach_as(struct cell_disk *disk)
{
	const u64 *args = cell_slot->args;

	if (args[0] == CHANNEL_BACKING_SERVED)
		return host_disk_attach_foreign(cell_kernel, (void *)args[4],
						args[1], (u32)args[2],
						(u32)args[3], &disk->host);
	disk->fd = cell_receive();
	if (disk->fd < 0)
		return disk->fd;
	return host_disk_attach_fd(cell_kernel, disk->fd, args[1], (u32)args[2],
				   (u32)args[3], &disk->host);
}

/* The host side's index is not reused before it is free here as well. */
void cell_attach(void)
{
	struct cell_disk disk = { .fd = -1 };
	int code = cell_attach_as(&disk);
	u32 index;

	if (code) {
		if (disk.fd >= 0)
			close(disk.fd);
		cell_slot->value = code;
		return;
	}
	index = host_disk_index(disk.host);
	pthread_mutex_lock(&cell_disks_lock);
	cell_disks[index] = disk;
	pthread_mutex_unlock(&cell_disks_lock);
	cell_slot->counts[0] = index;
}

void cell_detach(void)
{
	struct cell_disk *disk = cell_disk(), before;
	int code;

	if (!disk) {
		cell_slot->value = -EINVAL;
		return;
	}
	before = *disk;
	disk->host = NULL;
	code = host_disk_detach(before.host);
	if (code)
		*disk = before;
	else if (before.fd >= 0)
		close(before.fd);
	cell_slot->value = code;
}

/* The kernel was put back to an instant before it was attached. */
void cell_forget_disk(void)
{
	struct cell_disk *disk = cell_disk();

	if (!disk)
		return;
	host_disk_forget(disk->host);
	disk->host = NULL;
	if (disk->fd >= 0)
		close(disk->fd);
}

void cell_resize(void)
{
	struct cell_disk *disk = cell_disk();

	cell_slot->value =
		disk ? host_disk_resize(disk->host, cell_slot->args[0]) :
		       -EINVAL;
}

void cell_undo_begin(void)
{
	struct cell_disk *disk = cell_disk();

	cell_slot->value =
		disk ? host_disk_undo_begin(disk->host, cell_slot->args[0],
					    cell_slot->args[1]) :
		       -EINVAL;
}

void cell_undo_end(void)
{
	struct cell_disk *disk = cell_disk();

	cell_slot->value =
		disk ? host_disk_undo_end(disk->host, cell_slot->args[0]) :
		       -EINVAL;
}

void cell_changes(void)
{
	struct cell_disk *disk = cell_disk();

	cell_slot->value = disk ? (s64)host_disk_changes(disk->host) : 0;
}
