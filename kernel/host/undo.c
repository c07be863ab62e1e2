// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking back what was written to a stretch of a disk, as by a mount that
 * replays a journal and fails after that: "the image is never changed by a
 * failed attempt".
 *
 * While a disk has an undo, each request that changes something within the
 * stretch first reads what is there, and keeps it. host_disk_undo_end() either
 * drops all that, or writes it back, the latest first. Requests themselves go
 * to the backing at once, as always. (Rejected: an overlay that is written out
 * after a success. Then flushes that the file system relies on would come too
 * early, and a process that dies in between would have mounted nothing.)
 *
 * What cannot be kept (there is too much of it, or it cannot be read) does not
 * keep a mount from succeeding: the undo is given up, which is said at its end.
 *
 * Who uses it sees to it that nobody else writes to the stretch meanwhile.
 * Disks whose writes do not reach their image have no undo.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "disk.h"

struct host_kept {
	struct host_kept *before;
	u64 offset, bytes;
	char data[];
};

struct host_undo {
	u64 start, end;
	u64 bytes; /* kept so far */
	struct host_kept *latest;
	int error; /* why it was given up */
};

int host_disk_undo_begin(struct host_disk *disk, u64 start, u64 bytes)
{
	struct host_undo *undo;
	int result = -EBUSY;

	if (disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY))
		return 0;
	undo = malloc(sizeof(*undo));
	if (!undo)
		return -ENOMEM;
	*undo = (struct host_undo){ .start = start, .end = start + bytes };
	pthread_mutex_lock(&disk->undo_lock);
	if (!disk->undo) {
		__atomic_store_n(&disk->undo, undo, __ATOMIC_RELEASE);
		result = 0;
	}
	pthread_mutex_unlock(&disk->undo_lock);
	if (result)
		free(undo);
	return result;
}

/* Of what was kept the latest, which is taken off; or NULL. */
static struct host_kept *host_kept_take(struct host_undo *undo)
{
	struct host_kept *kept = undo->latest;

	if (kept)
		undo->latest = kept->before;
	return kept;
}

static void host_kept_drop(struct host_undo *undo)
{
	struct host_kept *kept;

	while ((kept = host_kept_take(undo)))
		free(kept);
}

static int host_undo_io(struct host_disk *disk, enum ll_io_op op,
			struct host_kept *kept, bool on_host)
{
	struct ll_iovec segment = { .base = kept->data, .bytes = kept->bytes };
	struct ll_io io = { .handle = disk,
			    .op = op,
			    .offset = kept->offset,
			    .bytes = kept->bytes,
			    .segments = &segment,
			    .nr_segments = 1 };

	return host_backing_io(disk, &io, on_host);
}

/* What lies within both; NULL when there is no room for it. */
static struct host_kept *host_kept_new(struct host_undo *undo, u64 offset,
				       u64 end)
{
	struct host_kept *kept;

	if (offset < undo->start)
		offset = undo->start;
	if (end > undo->end)
		end = undo->end;
	if (end - offset > UNDO_MOST_BYTES - undo->bytes)
		return NULL;
	kept = malloc(sizeof(*kept) + (end - offset));
	if (!kept)
		return NULL;
	kept->offset = offset;
	kept->bytes = end - offset;
	return kept;
}

static int host_undo_keep_locked(struct host_disk *disk, struct ll_io *io,
				 bool on_host)
{
	struct host_undo *undo = disk->undo;
	u64 end = io->offset + io->bytes;
	struct host_kept *kept;
	int error;

	if (!undo || undo->error || io->offset >= undo->end ||
	    end <= undo->start)
		return 0;
	/* Not on a fiber: then all of this is done again. */
	if (disk->backing == BACKING_FOREIGN && !on_host)
		return LL_IO_NEEDS_HOST;
	kept = host_kept_new(undo, io->offset, end);
	error = kept ? host_undo_io(disk, LL_IO_READ, kept, on_host) : -ENOMEM;
	if (error) {
		free(kept);
		host_kept_drop(undo);
		undo->error = error;
		return 0;
	}
	kept->before = undo->latest;
	undo->latest = kept;
	undo->bytes += kept->bytes;
	return 0;
}

int host_undo_keep(struct host_disk *disk, struct ll_io *io, bool on_host)
{
	int result;

	if (!__atomic_load_n(&disk->undo, __ATOMIC_ACQUIRE) || !io->bytes ||
	    io->op == LL_IO_READ || io->op == LL_IO_FLUSH)
		return 0;
	pthread_mutex_lock(&disk->undo_lock);
	result = host_undo_keep_locked(disk, io, on_host);
	pthread_mutex_unlock(&disk->undo_lock);
	return result;
}

/* All of it back, as far as it goes, and to where a failure of power leaves it. */
static int host_undo_restore(struct host_disk *disk, struct host_undo *undo)
{
	struct ll_io flush = { .handle = disk, .op = LL_IO_FLUSH };
	int result = undo->error, error;
	struct host_kept *kept;

	if (!undo->latest)
		return result;
	while ((kept = host_kept_take(undo))) {
		error = host_undo_io(disk, LL_IO_WRITE, kept, true);
		if (error && !result)
			result = error;
		free(kept);
	}
	error = host_backing_io(disk, &flush, true);
	return result ? result : error;
}

int host_disk_undo_end(struct host_disk *disk, bool restore)
{
	struct host_undo *undo;
	int result = 0;

	pthread_mutex_lock(&disk->undo_lock);
	undo = disk->undo;
	__atomic_store_n(&disk->undo, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&disk->undo_lock);
	if (!undo)
		return 0;
	if (restore)
		result = host_undo_restore(disk, undo);
	host_kept_drop(undo);
	free(undo);
	return result;
}
