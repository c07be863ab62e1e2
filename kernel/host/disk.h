/* SPDX-License-Identifier: GPL-2.0-only */
/* Between disk.c, overlay.c and backing.c. */
#ifndef LIBLINUX_DISK_H
#define LIBLINUX_DISK_H

#include "internal.h"

enum host_backing {
	BACKING_FD,
	BACKING_MEMORY,
	BACKING_FOREIGN,
};

struct host_disk {
	struct host_kernel *kernel;
	u32 index;
	u32 flags; /* enum host_disk_flags */
	u32 sector_bytes;
	enum host_backing backing;
	int fd;
	void *memory; /* or what the embedding knows it by */
	u64 base_bytes; /* of the backing, when it was attached */
	u64 bytes;
	u64 id; /* never used twice */
	/* What a failed mount has changed; see undo.c. */
	pthread_mutex_t undo_lock;
	struct host_undo *undo;
	/* The overlay; see overlay.c. `bytes` may be ahead of it. */
	char *blocks;
	u64 *present; /* a bit per block */
	u64 overlay_bytes;
	u64 changed_blocks;
	/* The two as memory that can be put back. */
	struct host_region blocks_region, present_region;
};

/* An overlay that is saved in a file of a snapshot. */
struct host_saved_overlay {
	u64 bytes, overlay_bytes, changed_blocks;
	u64 blocks_offset, present_offset;
};

/*
 * All return 0, -errno, or LL_IO_NEEDS_HOST. `on_host`: not on a fiber, so
 * the embedding may be called.
 */
int host_disk_do(struct ll_io *io, bool on_host);
int host_backing_io(struct host_disk *disk, struct ll_io *io, bool on_host);
/* Keep what a request is about to change, if that is wanted: 0 or LL_IO_NEEDS_HOST. */
int host_undo_keep(struct host_disk *disk, struct ll_io *io, bool on_host);
int host_overlay_io(struct host_disk *disk, struct ll_io *io, bool on_host);

/* Is all of that range what the backing has? Asked by the runner. */
bool host_overlay_is_bare(struct host_disk *disk, u64 offset, u64 bytes);
/* All of it, from a descriptor; `vectors` is used up. */
int host_fd_read(int fd, struct ll_iovec *vectors, u32 count, u64 offset);
void host_reader_start(struct host_disk *disk, struct ll_io *io);
bool host_reader_takes(struct host_disk *disk);

int host_overlay_save(struct host_disk *disk, struct host_image_file *file,
		      struct host_saved_overlay *saved);
int host_overlay_restore(struct host_disk *disk, struct host_image_file *file,
			 const struct host_saved_overlay *saved);
int host_overlay_init(struct host_disk *disk);
void host_overlay_exit(struct host_disk *disk);

#endif /* LIBLINUX_DISK_H */
