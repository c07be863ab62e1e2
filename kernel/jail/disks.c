// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks. An image file goes to the cell as a descriptor, opened again for
 * reading when that is all it shall do. Memory of this process and objects of
 * the embedding stay here, and the cell asks for every transfer; what it asks
 * for is held against what the disk is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "keeper.h"

static struct jail_disk *jail_disk_of(struct host_disk *disk)
{
	return (struct jail_disk *)disk;
}

/* ---- serving --------------------------------------------------------- */

static int jail_memory_io(struct jail_disk *disk, struct ll_io *io)
{
	char *at = disk->memory + io->offset;

	switch (io->op) {
	case LL_IO_READ:
		memcpy(io->segments->base, at, io->bytes);
		return 0;
	case LL_IO_WRITE:
		memcpy(at, io->segments->base, io->bytes);
		return 0;
	case LL_IO_DISCARD:
	case LL_IO_ZERO:
		memset(at, 0, io->bytes);
		return 0;
	}
	return 0;
}

/* Is that a request for this disk? `io` is ours, and does not change. */
static int jail_check_io(const struct jail_disk *disk, const struct ll_io *io)
{
	bool data = io->op == LL_IO_READ || io->op == LL_IO_WRITE;
	bool writes = io->op != LL_IO_READ && io->op != LL_IO_FLUSH;

	if (io->op > LL_IO_ZERO || io->offset > disk->bytes ||
	    io->bytes > disk->bytes - io->offset ||
	    (data && io->bytes > CHANNEL_DISK_BYTES))
		return -EIO;
	if (writes && (disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY)))
		return -EROFS;
	return 0;
}

static int jail_disk_io(struct jail *jail, struct jail_slot *slot,
			struct jail_disk *disk)
{
	struct channel_slot *shared = slot->shared;
	struct ll_iovec segment = {
		.base = slot->area + CHANNEL_CALL_BYTES,
		.bytes = channel_once(shared->post_bytes),
	};
	struct ll_io io = {
		.op = channel_once(shared->post_op),
		.flags = channel_once(shared->post_flags) & LL_IO_FUA,
		.offset = channel_once(shared->post_offset),
		.bytes = segment.bytes,
		.segments = &segment,
		.nr_segments = 1,
	};
	int result = jail_check_io(disk, &io);

	if (result)
		return result;
	if (disk->memory)
		return jail_memory_io(disk, &io);
	if (!disk->foreign || !jail->embedding.disk_io)
		return -EIO;
	slot->serving = true;
	result = jail->embedding.disk_io(jail->embedding.context, disk->foreign,
					 &io);
	slot->serving = false;
	return result;
}

static int jail_serve_disk(struct jail *jail, struct jail_slot *slot)
{
	u64 name = channel_once(slot->shared->post_at);
	struct jail_disk *disk = NULL;
	int result = -EIO;

	pthread_mutex_lock(&jail->lock);
	if (name < DISKS)
		disk = jail->disks[name];
	if (disk)
		disk->users++;
	pthread_mutex_unlock(&jail->lock);
	if (disk) {
		result = jail_disk_io(jail, slot, disk);
		pthread_mutex_lock(&jail->lock);
		disk->users--;
		pthread_mutex_unlock(&jail->lock);
	}
	return result;
}

void jail_serve(struct jail *jail, struct jail_slot *slot)
{
	u32 op = channel_once(slot->shared->post_op);

	slot->shared->served_result =
		op == CHANNEL_SHOW || op == CHANNEL_HIDE ?
			jail_window_serve(jail, slot, op) :
			jail_serve_disk(jail, slot);
	channel_store(&slot->shared->served, ++slot->served);
	channel_ring(&slot->shared->cell);
}

/* ---- limits ---------------------------------------------------------- */

static void jail_limit(struct jail *jail, __rlimit_resource_t which, u64 bytes)
{
	struct rlimit limit;

	if (jail->reaped || prlimit(jail->pid, which, NULL, &limit))
		return;
	limit.rlim_cur = bytes;
	prlimit(jail->pid, which, &limit, NULL);
}

void jail_allow_file(struct jail *jail, u64 bytes)
{
	pthread_mutex_lock(&jail->lock);
	if (bytes > jail->file_bytes) {
		jail->file_bytes = bytes;
		jail_limit(jail, RLIMIT_FSIZE, bytes);
	}
	pthread_mutex_unlock(&jail->lock);
}

/* An overlay is memory of the cell; a disk that can be written, a long file. */
static void jail_allow(struct jail *jail, u32 flags, u64 bytes)
{
	if (flags & HOST_DISK_OVERLAY) {
		pthread_mutex_lock(&jail->lock);
		jail->data_bytes += jail_overlay_bytes(bytes);
		jail_limit(jail, RLIMIT_DATA, jail->data_bytes);
		pthread_mutex_unlock(&jail->lock);
	} else if (!(flags & HOST_DISK_READONLY)) {
		jail_allow_file(jail, bytes);
	}
}

/* ---- attaching ------------------------------------------------------- */

/* A name that the cell can ask for it by. */
static int jail_name(struct jail_disk *disk)
{
	struct jail *jail = disk->jail;
	int result = -ENOSPC;
	u32 name;

	pthread_mutex_lock(&jail->lock);
	for (name = 0; name < DISKS && result; name++)
		if (!jail->disks[name]) {
			jail->disks[name] = disk;
			disk->name = name;
			result = 0;
		}
	pthread_mutex_unlock(&jail->lock);
	return result;
}

static void jail_disk_free(struct jail_disk *disk)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct jail *jail = disk->jail;

	pthread_mutex_lock(&jail->lock);
	jail->disks[disk->name] = NULL;
	/* An honest cell asks for nothing of a disk that is being detached. */
	while (disk->users) {
		pthread_mutex_unlock(&jail->lock);
		nanosleep(&moment, NULL);
		pthread_mutex_lock(&jail->lock);
	}
	pthread_mutex_unlock(&jail->lock);
	free(disk);
}

static struct jail_disk *jail_disk_new(struct host_kernel *kernel, u64 bytes,
				       u32 flags)
{
	struct jail_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return NULL;
	disk->jail = jail_of(kernel);
	disk->flags = flags;
	disk->bytes = bytes;
	if (!jail_name(disk))
		return disk;
	free(disk);
	return NULL;
}

/* Ask the cell to; `disk` is freed when it does not. `fd` or -1: served. */
static int jail_attach(struct jail_disk *disk, int fd, u32 sector_bytes,
		       struct host_disk **attached)
{
	const u64 args[6] = { fd < 0 ? CHANNEL_BACKING_SERVED :
				       CHANNEL_BACKING_FD,
			      disk->bytes, sector_bytes, disk->flags,
			      disk->name };
	struct jail *jail = disk->jail;
	struct host_result result;
	struct jail_slot *slot = jail_enter(jail, &result);

	if (slot && fd < 0)
		jail_request(jail, slot, CHANNEL_ATTACH, 0, 0, args, &result);
	else if (slot)
		jail_request_with(jail, slot, fd, CHANNEL_ATTACH, args,
				  &result);
	if (result.value) {
		jail_disk_free(disk);
		return result.reentered ? -EDEADLK :
		       result.value < 0 ? (int)result.value :
					  -EIO;
	}
	disk->handle = channel_once(slot->shared->counts[0]);
	disk->index = (u32)disk->handle;
	*attached = (struct host_disk *)disk;
	return 0;
}

/* A descriptor that can do no more than the disk may; the caller closes it. */
static int jail_restrict(int fd, u32 flags)
{
	char path[32];
	int mode = fcntl(fd, F_GETFL);

	if (mode < 0)
		return -errno;
	if (!(flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY)) ||
	    (mode & O_ACCMODE) == O_RDONLY)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, CHANNEL_FD_END);
	else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int jail_attach_fd(struct host_kernel *kernel, int fd, u64 bytes,
		   u32 sector_bytes, u32 flags, struct host_disk **attached)
{
	struct jail_disk *disk;
	int restricted, code;

	restricted = jail_restrict(fd, flags);
	if (restricted < 0)
		return restricted;
	disk = jail_disk_new(kernel, bytes, flags);
	if (!disk) {
		close(restricted);
		return -ENOMEM;
	}
	jail_allow(disk->jail, flags, bytes);
	code = jail_attach(disk, restricted, sector_bytes, attached);
	close(restricted);
	return code;
}

static int jail_attach_served(struct host_kernel *kernel, char *memory,
			      void *foreign, u64 bytes, u32 sector_bytes,
			      u32 flags, struct host_disk **attached)
{
	struct jail_disk *disk = jail_disk_new(kernel, bytes, flags);

	if (!disk)
		return -ENOMEM;
	disk->memory = memory;
	disk->foreign = foreign;
	jail_allow(disk->jail, flags, bytes);
	return jail_attach(disk, -1, sector_bytes, attached);
}

int jail_attach_memory(struct host_kernel *kernel, void *memory, u64 bytes,
		       u32 sector_bytes, u32 flags, struct host_disk **disk)
{
	return jail_attach_served(kernel, memory, NULL, bytes, sector_bytes,
				  flags, disk);
}

int jail_attach_foreign(struct host_kernel *kernel, void *backing, u64 bytes,
			u32 sector_bytes, u32 flags, struct host_disk **disk)
{
	return jail_attach_served(kernel, NULL, backing, bytes, sector_bytes,
				  flags, disk);
}

/* ---- attached -------------------------------------------------------- */

int jail_detach(struct host_disk *host)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { [5] = disk->handle };
	s64 code = jail_ask(disk->jail, CHANNEL_DETACH, args);

	if (code < 0 && code != -EOWNERDEAD)
		return (int)code;
	jail_disk_free(disk);
	return 0;
}

u32 jail_disk_index(struct host_disk *host)
{
	return jail_disk_of(host)->index;
}

u64 jail_disk_bytes(struct host_disk *disk)
{
	return jail_disk_of(disk)->bytes;
}

u64 jail_disk_changes(struct host_disk *host)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { [5] = disk->handle };
	s64 changes = jail_ask(disk->jail, CHANNEL_CHANGES, args);

	return changes < 0 ? 0 : (u64)changes;
}

int jail_resize(struct host_disk *host, u64 bytes)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { bytes, [5] = disk->handle };
	u64 before = disk->bytes;
	s64 code;

	/* What is there, is there already, or (shrinking) is there still. */
	if (bytes > before) {
		jail_allow(disk->jail, disk->flags, bytes);
		disk->bytes = bytes;
	}
	code = jail_ask(disk->jail, CHANNEL_RESIZE, args);
	disk->bytes = code < 0 ? before : bytes;
	return (int)code;
}

/* What is kept is memory of the cell, as an overlay is. */
static void jail_allow_undo(struct jail *jail, s64 bytes)
{
	pthread_mutex_lock(&jail->lock);
	jail->data_bytes += bytes;
	jail_limit(jail, RLIMIT_DATA, jail->data_bytes);
	pthread_mutex_unlock(&jail->lock);
}

int jail_undo_begin(struct host_disk *host, u64 start, u64 bytes)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { start, bytes, [5] = disk->handle };
	s64 room = jail_overlay_bytes(disk->bytes);
	s64 code;

	if (disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY))
		return 0;
	jail_allow_undo(disk->jail, room);
	code = jail_ask(disk->jail, CHANNEL_UNDO_BEGIN, args);
	if (code < 0)
		jail_allow_undo(disk->jail, -room);
	else
		disk->undo_room = room;
	return (int)code;
}

int jail_undo_end(struct host_disk *host, bool restore)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { restore, [5] = disk->handle };
	s64 code;

	if (disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY))
		return 0;
	code = jail_ask(disk->jail, CHANNEL_UNDO_END, args);
	/* The disk may have another size by now. */
	jail_allow_undo(disk->jail, -disk->undo_room);
	disk->undo_room = 0;
	return (int)code;
}

/* After a restore: the kernel does not know it. */
void jail_forget(struct host_disk *host)
{
	struct jail_disk *disk = jail_disk_of(host);
	const u64 args[6] = { [5] = disk->handle };

	jail_ask(disk->jail, CHANNEL_DISK_FORGET, args);
	jail_disk_free(disk);
}

void jail_disks_exit(struct jail *jail)
{
	u32 name;

	for (name = 0; name < DISKS; name++) {
		free(jail->disks[name]);
		jail->disks[name] = NULL;
	}
}
