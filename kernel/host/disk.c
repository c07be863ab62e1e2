// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks: what the kernel's block driver asks, and attaching and detaching.
 *
 * A request comes in on a fiber (ops->disk_io) and is served there when it
 * can be. When it needs the embedding program, the kernel is left, and the
 * same request is served by the runner on its own stack.
 *
 * A disk's data is touched by the runner only, and when it is a descriptor read
 * by the reader as well (reader.c), while the runner is inside; after a mount
 * that has failed what it wrote is taken back by its own thread (undo.c). Its
 * size is an atomic word: it may be changed by any thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "disk.h"

/* ---- requests -------------------------------------------------------- */

int host_disk_do(struct ll_io *io, bool on_host)
{
	struct host_disk *disk = io->handle;
	struct host_statistics *statistics = &disk->kernel->statistics;
	u64 bytes = __atomic_load_n(&disk->bytes, __ATOMIC_ACQUIRE);
	int result;

	if (io->offset > bytes || io->bytes > bytes - io->offset ||
	    io->nr_segments > DISK_SEGMENTS)
		return -EIO;
	if ((disk->flags & HOST_DISK_READONLY) && io->op != LL_IO_READ &&
	    io->op != LL_IO_FLUSH)
		return -EROFS;
	if (disk->flags & HOST_DISK_OVERLAY)
		result = host_overlay_io(disk, io, on_host);
	else if ((disk->flags & HOST_DISK_READONLY) && io->op == LL_IO_FLUSH)
		result = 0;
	else {
		result = host_undo_keep(disk, io, on_host);
		if (!result)
			result = host_backing_io(disk, io, on_host);
	}
	if (result == LL_IO_NEEDS_HOST)
		return result;
	if (io->op == LL_IO_READ)
		statistics->reads++;
	else if (io->op == LL_IO_FLUSH)
		statistics->flushes++;
	else
		statistics->writes++;
	return result;
}

/* ops->disk_io */
int host_disk_io(void *host, struct ll_io *io)
{
	(void)host;
	return host_disk_do(io, false);
}

/*
 * ops->disk_start. Only of descriptors, which two threads can read at once; with
 * the real clock, for on the virtual one every run is to be the same; and not
 * when disk_io has been replaced, for then somebody wants to see all requests.
 */
int host_disk_start(void *host, struct ll_io *io)
{
	struct host_kernel *kernel = host;
	struct host_disk *disk = io->handle;
	u64 bytes = __atomic_load_n(&disk->bytes, __ATOMIC_ACQUIRE);

	if (disk->backing != BACKING_FD || io->op != LL_IO_READ ||
	    kernel->cpu->clock != LL_CLOCK_REAL ||
	    kernel->ops.disk_io != host_disk_io || io->offset > bytes ||
	    io->bytes > bytes - io->offset)
		return 0;
	if ((disk->flags & HOST_DISK_OVERLAY) &&
	    !host_overlay_is_bare(disk, io->offset, io->bytes))
		return 0;
	if (!host_reader_takes(disk))
		return 0;
	kernel->statistics.reads++;
	kernel->statistics.started_reads++;
	host_reader_start(disk, io);
	return 1;
}

/* LL_EXIT_HOST: on the runner's stack. */
int host_disk_serve(struct host_kernel *kernel, struct ll_io *io)
{
	int result;

	if (!host_inject_serve(kernel, io, &result))
		result = host_disk_do(io, true);
	return result > 0 ? -EIO : result;
}

/* ---- attaching ------------------------------------------------------- */

static u64 host_disk_ids;

static int host_disk_take_index(struct host_disk *disk)
{
	struct host_kernel *kernel = disk->kernel;
	int result = -ENOSPC;
	u32 index;

	pthread_mutex_lock(&kernel->lock);
	for (index = 0; index < DISKS; index++)
		if (!kernel->disks[index]) {
			kernel->disks[index] = disk;
			disk->index = index;
			result = 0;
			break;
		}
	pthread_mutex_unlock(&kernel->lock);
	return result;
}

static void host_disk_free(struct host_disk *disk)
{
	struct host_kernel *kernel = disk->kernel;

	pthread_mutex_lock(&kernel->lock);
	if (kernel->disks[disk->index] == disk)
		kernel->disks[disk->index] = NULL;
	pthread_mutex_unlock(&kernel->lock);
	host_disk_undo_end(disk, false);
	pthread_mutex_destroy(&disk->undo_lock);
	host_overlay_exit(disk);
	free(disk);
}

static s64 host_disk_call(struct host_disk *disk, s64 nr, u64 first, u64 second)
{
	u64 args[6] = { first, second };
	struct host_result result;

	host_process_call(disk->kernel->init, nr, args, &result);
	return result.value;
}

static s64 host_disk_tell(struct host_disk *disk)
{
	struct ll_disk description = {
		.handle = disk,
		.size_bytes = disk->bytes,
		.sector_bytes = disk->sector_bytes,
		.index = disk->index,
	};

	if (disk->flags & HOST_DISK_READONLY)
		description.flags |= LL_DISK_READONLY;
	else if (disk->backing != BACKING_FOREIGN ||
		 (disk->flags & (HOST_DISK_OVERLAY | HOST_DISK_DISCARD)))
		description.flags |= LL_DISK_DISCARD;
	if (disk->flags & HOST_DISK_ROTATING)
		description.flags |= LL_DISK_ROTATING;
	if (disk->backing != BACKING_FOREIGN)
		description.flags |= LL_DISK_NEAR;
	return host_disk_call(disk, LL_CALL_DISK_ADD, (u64)&description, 0);
}

static int host_disk_attach(struct host_kernel *kernel,
			    const struct host_disk *wanted,
			    struct host_disk **attached)
{
	struct host_disk *disk;
	s64 result;

	if (wanted->sector_bytes < 512 || wanted->sector_bytes > PAGE_BYTES ||
	    (wanted->sector_bytes & (wanted->sector_bytes - 1)) ||
	    !wanted->bytes || wanted->bytes % wanted->sector_bytes)
		return -EINVAL;
	disk = malloc(sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	host_memory_enlarge(kernel);
	*disk = *wanted;
	disk->kernel = kernel;
	disk->id = __atomic_add_fetch(&host_disk_ids, 1, __ATOMIC_RELAXED);
	disk->base_bytes = disk->bytes;
	disk->index = 0;
	pthread_mutex_init(&disk->undo_lock, NULL);
	result = disk->flags & HOST_DISK_OVERLAY ? host_overlay_init(disk) : 0;
	if (!result)
		result = host_disk_take_index(disk);
	if (!result)
		result = host_disk_tell(disk);
	if (result < 0) {
		host_disk_free(disk);
		return result;
	}
	*attached = disk;
	return 0;
}

int host_disk_attach_fd(struct host_kernel *kernel, int fd, u64 bytes,
			u32 sector_bytes, u32 flags, struct host_disk **disk)
{
	struct host_disk wanted = {
		.backing = BACKING_FD,
		.fd = fd,
		.bytes = bytes,
		.sector_bytes = sector_bytes,
		.flags = flags,
	};

	return host_disk_attach(kernel, &wanted, disk);
}

int host_disk_attach_memory(struct host_kernel *kernel, void *memory, u64 bytes,
			    u32 sector_bytes, u32 flags,
			    struct host_disk **disk)
{
	struct host_disk wanted = {
		.backing = BACKING_MEMORY,
		.memory = memory,
		.bytes = bytes,
		.sector_bytes = sector_bytes,
		.flags = flags,
	};

	return host_disk_attach(kernel, &wanted, disk);
}

int host_disk_attach_foreign(struct host_kernel *kernel, void *backing,
			     u64 bytes, u32 sector_bytes, u32 flags,
			     struct host_disk **disk)
{
	struct host_disk wanted = {
		.backing = BACKING_FOREIGN,
		.memory = backing,
		.bytes = bytes,
		.sector_bytes = sector_bytes,
		.flags = flags,
	};

	return host_disk_attach(kernel, &wanted, disk);
}

/* ---- attached -------------------------------------------------------- */

int host_disk_detach(struct host_disk *disk)
{
	s64 result = host_disk_call(disk, LL_CALL_DISK_REMOVE, disk->index, 0);

	if (result < 0 && result != -EOWNERDEAD)
		return result;
	host_disk_free(disk);
	return 0;
}

/* Without a word to the kernel, which does not know it any more. */
void host_disk_forget(struct host_disk *disk)
{
	host_disk_free(disk);
}

u64 host_disk_bytes(struct host_disk *disk)
{
	return __atomic_load_n(&disk->bytes, __ATOMIC_ACQUIRE);
}

u32 host_disk_index(struct host_disk *disk)
{
	return disk->index;
}

u64 host_disk_changes(struct host_disk *disk)
{
	return __atomic_load_n(&disk->changed_blocks, __ATOMIC_RELAXED) *
	       OVERLAY_BLOCK_BYTES;
}

/* The backing has its new size already, or (shrinking) keeps the old one. */
int host_disk_resize(struct host_disk *disk, u64 bytes)
{
	u64 before = disk->bytes;
	s64 result;

	if (!bytes || bytes % disk->sector_bytes)
		return -EINVAL;
	if (disk->backing == BACKING_MEMORY && bytes > disk->base_bytes &&
	    !(disk->flags & HOST_DISK_OVERLAY))
		return -EINVAL;
	if (bytes > before)
		__atomic_store_n(&disk->bytes, bytes, __ATOMIC_RELEASE);
	result = host_disk_call(disk, LL_CALL_DISK_RESIZE, disk->index, bytes);
	if (result < 0)
		bytes = before;
	__atomic_store_n(&disk->bytes, bytes, __ATOMIC_RELEASE);
	return result;
}

/* The kernel is closed and so are its disks. */
void host_disk_exit(struct host_kernel *kernel)
{
	u32 index;

	for (index = 0; index < DISKS; index++)
		if (kernel->disks[index])
			host_disk_free(kernel->disks[index]);
}
