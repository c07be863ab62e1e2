// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving and putting back private memory; see region.h.
 *
 * What has been written is told by /proc/self/pagemap (the host's document
 * admin-guide/mm/pagemap): a page that is present or swapped out and not of a
 * file is the process's own. Where that file cannot be read, every page counts
 * as written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include "internal.h"

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_FILE (1ULL << 61)
/* Entries that are looked at together. */
#define PAGEMAP_ENTRIES 512

#define PAGEMAP_UNOPENED (-2)

static int host_pagemap = PAGEMAP_UNOPENED;

void host_region_pagemap(int fd)
{
	host_pagemap = fd;
}

struct host_image_file *host_image_file_new(const struct host_file *given)
{
	struct host_image_file *file = calloc(1, sizeof(*file));

	if (!file) {
		if (given)
			close(given->fd);
		return NULL;
	}
	file->users = 1;
	file->limit = given ? given->bytes : 0;
	file->fd = given ? given->fd :
			   memfd_create("liblinux-snapshot", MFD_CLOEXEC);
	if (file->fd >= 0)
		return file;
	free(file);
	return NULL;
}

void host_image_file_release(struct host_image_file *file)
{
	if (!file || __atomic_sub_fetch(&file->users, 1, __ATOMIC_ACQ_REL))
		return;
	close(file->fd);
	free(file);
}

/* ---- saving ---------------------------------------------------------- */

struct host_saving {
	const struct host_region *region;
	int fd, pagemap; /* -1: no pagemap to be had */
	u64 offset;
	host_page_test skip, shared;
	void *context;
};

/* What the region is mapped from, where that has data. */
static int host_save_origin(struct host_saving *saving)
{
	const struct host_region *region = saving->region;
	off_t at = region->from_offset, end = at + region->bytes, hole, from;

	while ((at = lseek(region->from->fd, at, SEEK_DATA)) >= 0 && at < end) {
		hole = lseek(region->from->fd, at, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (hole > end)
			hole = end;
		if (lseek(saving->fd, saving->offset + at - region->from_offset,
			  SEEK_SET) < 0)
			return -errno;
		for (from = at; from < hole;)
			if (sendfile(saving->fd, region->from->fd, &from,
				     hole - from) <= 0)
				return errno ? -errno : -EIO;
		at = hole;
	}
	/* ENXIO: no data behind `at`. */
	return at < 0 && errno != ENXIO ? -errno : 0;
}

static bool host_page_is_written(struct host_saving *saving, u64 address,
				 u64 entry)
{
	const struct host_region *region = saving->region;

	if (saving->skip && saving->skip(saving->context, address))
		return false;
	if (saving->pagemap < 0 ||
	    (!region->from && address - region->start < region->solid))
		return true;
	if (saving->shared && saving->shared(saving->context, address))
		return true;
	return (entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) &&
	       !(entry & PAGEMAP_FILE);
}

static int host_save_run(struct host_saving *saving, u64 start, u64 end)
{
	u64 done = start;
	ssize_t part;

	while (done < end) {
		part = pwrite(saving->fd, (void *)done, end - done,
			      saving->offset + done - saving->region->start);
		if (part <= 0)
			return part ? -errno : -EIO;
		done += part;
	}
	return 0;
}

static int host_save_pages(struct host_saving *saving, u64 start, u64 pages)
{
	u64 entries[PAGEMAP_ENTRIES], address = start, run = start, page;
	ssize_t bytes = pages * sizeof(*entries);
	int error = 0;

	if (saving->pagemap >= 0 &&
	    pread(saving->pagemap, entries, bytes,
		  start / PAGE_BYTES * sizeof(*entries)) != bytes)
		return -EIO;
	for (page = 0; page < pages && !error; page++, address += PAGE_BYTES) {
		if (host_page_is_written(saving, address, entries[page]))
			continue;
		if (run < address)
			error = host_save_run(saving, run, address);
		run = address + PAGE_BYTES;
	}
	if (!error && run < address)
		error = host_save_run(saving, run, address);
	return error;
}

int host_region_save(const struct host_region *region,
		     struct host_image_file *file, u64 *offset,
		     host_page_test skip, host_page_test shared, void *context)
{
	struct host_saving saving = {
		.region = region,
		.fd = file->fd,
		.offset = file->bytes,
		.skip = skip,
		.shared = shared,
		.context = context,
	};
	u64 done, pages;
	int error = 0;

	*offset = file->bytes;
	file->bytes += region->bytes;
	if (file->limit && file->bytes > file->limit)
		return -ENOSPC;
	if (!file->limit && ftruncate(file->fd, file->bytes))
		return -errno;
	if (region->from)
		error = host_save_origin(&saving);
	saving.pagemap = host_pagemap;
	if (host_pagemap == PAGEMAP_UNOPENED)
		saving.pagemap =
			open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	for (done = 0; done < region->bytes && !error;
	     done += pages * PAGE_BYTES) {
		pages = (region->bytes - done) / PAGE_BYTES;
		if (pages > PAGEMAP_ENTRIES)
			pages = PAGEMAP_ENTRIES;
		error = host_save_pages(&saving, region->start + done, pages);
	}
	if (host_pagemap == PAGEMAP_UNOPENED && saving.pagemap >= 0)
		close(saving.pagemap);
	return error;
}

/* ---- putting back ---------------------------------------------------- */

int host_region_restore(struct host_region *region,
			struct host_image_file *file, u64 offset)
{
	if (region->from == file && region->from_offset == offset)
		return madvise((void *)region->start, region->bytes,
			       MADV_DONTNEED) ?
			       -errno :
			       0;
	if (mmap((void *)region->start, region->bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file->fd,
		 offset) == MAP_FAILED)
		return -errno;
	__atomic_add_fetch(&file->users, 1, __ATOMIC_RELAXED);
	host_image_file_release(region->from);
	region->from = file;
	region->from_offset = offset;
	return 0;
}

void host_region_forget(struct host_region *region)
{
	host_image_file_release(region->from);
	region->from = NULL;
}
