/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private memory that can be put back to what it was.
 *
 * Saving copies what has been written into a sparse memfd, which is never
 * written to again. Putting back maps that file privately over the memory: what
 * was written since is dropped, what is touched comes from the file. The second
 * time from the same file one madvise() does it.
 */
#ifndef LIBLINUX_REGION_H
#define LIBLINUX_REGION_H

#include <stdbool.h>
#include "boundary.h"

/* One file for all the regions of a snapshot. */
struct host_image_file {
	int fd;
	u32 users;
	u64 bytes;
	u64 limit; /* what it was given with; 0: it grows */
};

struct host_region {
	u64 start, bytes; /* whole pages */
	u64 solid; /* so many bytes are of a file that `from` does not name */
	struct host_image_file *from; /* what it is mapped from, or NULL */
	u64 from_offset;
};

/* Around `given`, which is taken over in any case; with NULL a new one. */
struct host_file;
struct host_image_file *host_image_file_new(const struct host_file *given);
void host_image_file_release(struct host_image_file *file);

/*
 * Copy the region to the end of `file`; *offset says where. `skip` tells pages
 * that cannot be read and `shared` those that other mappings show as well; both
 * may be NULL. 0 or -errno.
 */
typedef bool (*host_page_test)(void *context, u64 address);
int host_region_save(const struct host_region *region,
		     struct host_image_file *file, u64 *offset,
		     host_page_test skip, host_page_test shared, void *context);
/* 0, or -errno with the region in an unknown state. */
int host_region_restore(struct host_region *region,
			struct host_image_file *file, u64 offset);
/*
 * From now on this is /proc/self/pagemap, opened before the process could open
 * nothing any more; -1: there is none.
 */
void host_region_pagemap(int fd);
/* The region is unmapped, or forgotten. */
void host_region_forget(struct host_region *region);

#endif /* LIBLINUX_REGION_H */
