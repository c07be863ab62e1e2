// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the bytes of a disk are: a file descriptor, memory, or something that
 * only the embedding program can read. The first two are served on a fiber:
 * one preadv() or some memcpy(), no allocation, little stack. A transfer is
 * whole or an error; what lies beyond the end of a file is an I/O error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>
#include "disk.h"

static ssize_t host_transfer(int fd, bool write, struct iovec *vectors,
			     int count, off_t offset, int flags)
{
	if (!write)
		return preadv(fd, vectors, count, offset);
	if (flags)
		return pwritev2(fd, vectors, count, offset, flags);
	return pwritev(fd, vectors, count, offset);
}

/* All of it. `vectors` is used up. */
static int host_transfer_all(int fd, bool write, struct iovec *vectors,
			     int count, off_t offset, int flags)
{
	ssize_t done;

	while (count) {
		if (!vectors->iov_len) {
			vectors++;
			count--;
			continue;
		}
		done = host_transfer(fd, write, vectors, count, offset, flags);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		offset += done;
		while (count && (size_t)done >= vectors->iov_len) {
			done -= vectors->iov_len;
			vectors++;
			count--;
		}
		if (count) {
			vectors->iov_base = (char *)vectors->iov_base + done;
			vectors->iov_len -= done;
		}
	}
	return 0;
}

int host_fd_read(int fd, struct ll_iovec *vectors, u32 count, u64 offset)
{
	return host_transfer_all(fd, false, (struct iovec *)vectors, count,
				 offset, 0);
}

static int host_fd_data(int fd, struct ll_io *io)
{
	struct iovec vectors[DISK_SEGMENTS];
	bool write = io->op == LL_IO_WRITE;
	int flags = write && (io->flags & LL_IO_FUA) ? RWF_DSYNC : 0;
	int result;

	_Static_assert(sizeof(struct iovec) == sizeof(struct ll_iovec),
		       "struct ll_iovec is a struct iovec");
	memcpy(vectors, io->segments, io->nr_segments * sizeof(*vectors));
	result = host_transfer_all(fd, write, vectors, io->nr_segments,
				   io->offset, flags);
	if (!flags ||
	    (result != -EOPNOTSUPP && result != -ENOSYS && result != -EINVAL))
		return result;
	memcpy(vectors, io->segments, io->nr_segments * sizeof(*vectors));
	result = host_transfer_all(fd, write, vectors, io->nr_segments,
				   io->offset, 0);
	if (!result && fdatasync(fd))
		result = -errno;
	return result;
}

static int host_fd_write_zeroes(int fd, u64 offset, u64 bytes)
{
	static const char zeroes[DISK_ZERO_BYTES];
	struct iovec vector;
	int result;
	u64 part;

	for (; bytes; offset += part, bytes -= part) {
		part = bytes < sizeof(zeroes) ? bytes : sizeof(zeroes);
		vector = (struct iovec){ (void *)zeroes, part };
		result = host_transfer_all(fd, true, &vector, 1, offset, 0);
		if (result)
			return result;
	}
	return 0;
}

static int host_fd_clear(int fd, struct ll_io *io)
{
	int mode = FALLOC_FL_KEEP_SIZE;

	mode |= io->op == LL_IO_DISCARD ? FALLOC_FL_PUNCH_HOLE :
					  FALLOC_FL_ZERO_RANGE;
	while (fallocate(fd, mode, io->offset, io->bytes)) {
		if (errno == EINTR)
			continue;
		if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL &&
		    errno != ENODEV)
			return -errno;
		return host_fd_write_zeroes(fd, io->offset, io->bytes);
	}
	return 0;
}

static int host_fd_io(int fd, struct ll_io *io)
{
	switch (io->op) {
	case LL_IO_READ:
	case LL_IO_WRITE:
		return host_fd_data(fd, io);
	case LL_IO_FLUSH:
		/* A file that cannot be synchronised has nothing to lose. */
		return fdatasync(fd) && errno != EINVAL && errno != EROFS ?
			       -errno :
			       0;
	case LL_IO_DISCARD:
	case LL_IO_ZERO:
		return host_fd_clear(fd, io);
	}
	return -EOPNOTSUPP;
}

static int host_memory_io(char *memory, struct ll_io *io)
{
	char *at = memory + io->offset;
	u32 i;

	switch (io->op) {
	case LL_IO_READ:
	case LL_IO_WRITE:
		for (i = 0; i < io->nr_segments; i++) {
			if (io->op == LL_IO_READ)
				memcpy(io->segments[i].base, at,
				       io->segments[i].bytes);
			else
				memcpy(at, io->segments[i].base,
				       io->segments[i].bytes);
			at += io->segments[i].bytes;
		}
		return 0;
	case LL_IO_FLUSH:
		return 0;
	case LL_IO_DISCARD:
	case LL_IO_ZERO:
		memset(at, 0, io->bytes);
		return 0;
	}
	return -EOPNOTSUPP;
}

int host_backing_io(struct host_disk *disk, struct ll_io *io, bool on_host)
{
	struct host_embedding *embedding = &disk->kernel->embedding;

	switch (disk->backing) {
	case BACKING_FD:
		return host_fd_io(disk->fd, io);
	case BACKING_MEMORY:
		return host_memory_io(disk->memory, io);
	case BACKING_FOREIGN:
		if (!on_host)
			return LL_IO_NEEDS_HOST;
		if (!embedding->disk_io)
			return -EIO;
		return embedding->disk_io(embedding->context, disk->memory, io);
	}
	return -EIO;
}
