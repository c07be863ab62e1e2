// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk whose writes stay in memory: blocks that were written are in a sparse
 * mapping of the disk's size, all others are read from the backing, which is
 * never written to. A block is filled from the backing when a part of it is
 * written. Discarded and zeroed blocks are present and have no memory.
 *
 * Only the runner comes here, so nothing is locked. Everything can be begun
 * again from the start, which happens when the backing turns out to need the
 * embedding (LL_IO_NEEDS_HOST).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include "disk.h"

#define WORD_BITS 64

static u64 host_bitmap_bytes(u64 bytes)
{
	u64 blocks = (bytes + OVERLAY_BLOCK_BYTES - 1) / OVERLAY_BLOCK_BYTES;
	u64 words = blocks / WORD_BITS + 1;

	return (words * sizeof(u64) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static u64 host_block_bytes(u64 bytes)
{
	return (bytes + OVERLAY_BLOCK_BYTES - 1) / OVERLAY_BLOCK_BYTES *
	       OVERLAY_BLOCK_BYTES;
}

static void *host_sparse(u64 bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void host_overlay_set(struct host_disk *disk, void *blocks,
			     void *present, u64 bytes)
{
	disk->blocks = blocks;
	disk->present = present;
	disk->overlay_bytes = bytes;
	host_region_forget(&disk->blocks_region);
	host_region_forget(&disk->present_region);
	disk->blocks_region.start = (u64)blocks;
	disk->blocks_region.bytes = host_block_bytes(bytes);
	disk->present_region.start = (u64)present;
	disk->present_region.bytes = host_bitmap_bytes(bytes);
}

static void host_overlay_unmap(struct host_disk *disk)
{
	if (disk->blocks)
		munmap(disk->blocks, host_block_bytes(disk->overlay_bytes));
	if (disk->present)
		munmap(disk->present, host_bitmap_bytes(disk->overlay_bytes));
}

/* Two empty mappings for a disk of that size. */
static int host_overlay_map(u64 bytes, char **blocks, u64 **present)
{
	*blocks = host_sparse(host_block_bytes(bytes));
	*present = host_sparse(host_bitmap_bytes(bytes));
	if (*blocks && *present)
		return 0;
	if (*blocks)
		munmap(*blocks, host_block_bytes(bytes));
	if (*present)
		munmap(*present, host_bitmap_bytes(bytes));
	return -ENOMEM;
}

int host_overlay_init(struct host_disk *disk)
{
	u64 *present;
	char *blocks;

	if (host_overlay_map(disk->bytes, &blocks, &present))
		return -ENOMEM;
	host_overlay_set(disk, blocks, present, disk->bytes);
	return 0;
}

void host_overlay_exit(struct host_disk *disk)
{
	host_overlay_unmap(disk);
	host_overlay_set(disk, NULL, NULL, 0);
}

/*
 * The disk has grown: done here, where nobody else is using the overlay. What
 * is mapped from a snapshot cannot grow with it and is copied.
 */
static int host_overlay_grow(struct host_disk *disk, u64 bytes)
{
	u64 block, blocks_before = disk->overlay_bytes / OVERLAY_BLOCK_BYTES;
	u64 *present;
	char *blocks;

	if (host_overlay_map(bytes, &blocks, &present))
		return -ENOMEM;
	memcpy(present, disk->present, host_bitmap_bytes(disk->overlay_bytes));
	for (block = 0; block <= blocks_before; block++)
		if (block * OVERLAY_BLOCK_BYTES < disk->overlay_bytes &&
		    present[block / WORD_BITS] >> block % WORD_BITS & 1)
			memcpy(blocks + block * OVERLAY_BLOCK_BYTES,
			       disk->blocks + block * OVERLAY_BLOCK_BYTES,
			       OVERLAY_BLOCK_BYTES);
	host_overlay_unmap(disk);
	host_overlay_set(disk, blocks, present, bytes);
	return 0;
}

int host_overlay_save(struct host_disk *disk, struct host_image_file *file,
		      struct host_saved_overlay *saved)
{
	int error;

	saved->bytes = disk->bytes;
	saved->overlay_bytes = disk->overlay_bytes;
	saved->changed_blocks = disk->changed_blocks;
	error = host_region_save(&disk->blocks_region, file,
				 &saved->blocks_offset, NULL, NULL, NULL);
	if (!error)
		error = host_region_save(&disk->present_region, file,
					 &saved->present_offset, NULL, NULL,
					 NULL);
	return error;
}

int host_overlay_restore(struct host_disk *disk, struct host_image_file *file,
			 const struct host_saved_overlay *saved)
{
	u64 *present;
	char *blocks;
	int error;

	if (disk->overlay_bytes != saved->overlay_bytes) {
		if (host_overlay_map(saved->overlay_bytes, &blocks, &present))
			return -ENOMEM;
		host_overlay_unmap(disk);
		host_overlay_set(disk, blocks, present, saved->overlay_bytes);
	}
	error = host_region_restore(&disk->blocks_region, file,
				    saved->blocks_offset);
	if (!error)
		error = host_region_restore(&disk->present_region, file,
					    saved->present_offset);
	disk->bytes = saved->bytes;
	disk->changed_blocks = saved->changed_blocks;
	return error;
}

static bool host_is_present(struct host_disk *disk, u64 block)
{
	return disk->present[block / WORD_BITS] >> block % WORD_BITS & 1;
}

static void host_set_present(struct host_disk *disk, u64 block)
{
	if (host_is_present(disk, block))
		return;
	disk->present[block / WORD_BITS] |= 1ULL << block % WORD_BITS;
	__atomic_add_fetch(&disk->changed_blocks, 1, __ATOMIC_RELAXED);
}

/* A place in the memory of a request. */
struct host_cursor {
	struct ll_iovec *segment;
	u64 done;
};

/* The next `bytes` from the cursor on, as at most DISK_SEGMENTS segments. */
static u32 host_take(struct host_cursor *cursor, u64 bytes,
		     struct ll_iovec *taken)
{
	u32 count = 0;
	u64 part;

	while (bytes) {
		part = cursor->segment->bytes - cursor->done;
		if (part > bytes)
			part = bytes;
		taken[count].base =
			(char *)cursor->segment->base + cursor->done;
		taken[count].bytes = part;
		count += part > 0;
		bytes -= part;
		cursor->done += part;
		if (cursor->done == cursor->segment->bytes) {
			cursor->segment++;
			cursor->done = 0;
		}
	}
	return count;
}

/* From the backing, as far as that goes: beyond its end are zeroes. */
static int host_base_read(struct host_disk *disk, u64 offset, u64 bytes,
			  struct ll_iovec *segments, u32 count, bool on_host)
{
	struct ll_iovec inside[DISK_SEGMENTS];
	struct host_cursor cursor = { segments, 0 };
	struct ll_io io = { .handle = disk,
			    .op = LL_IO_READ,
			    .offset = offset,
			    .bytes = bytes,
			    .segments = segments,
			    .nr_segments = count };
	u64 limit = offset < disk->base_bytes ? disk->base_bytes - offset : 0;
	u32 beyond;

	if (bytes <= limit)
		return host_backing_io(disk, &io, on_host);
	io.bytes = limit;
	io.segments = inside;
	io.nr_segments = host_take(&cursor, limit, inside);
	if (limit) {
		int result = host_backing_io(disk, &io, on_host);

		if (result)
			return result;
	}
	beyond = host_take(&cursor, bytes - limit, inside);
	while (beyond--)
		memset(inside[beyond].base, 0, inside[beyond].bytes);
	return 0;
}

/* How many bytes from `offset` on are alike in being present. */
static u64 host_run(struct host_disk *disk, u64 offset, u64 bytes)
{
	u64 block = offset / OVERLAY_BLOCK_BYTES;
	bool present = host_is_present(disk, block);
	u64 end = offset + bytes;

	do {
		block++;
	} while (block * OVERLAY_BLOCK_BYTES < end &&
		 host_is_present(disk, block) == present);
	if (end > block * OVERLAY_BLOCK_BYTES)
		end = block * OVERLAY_BLOCK_BYTES;
	return end - offset;
}

bool host_overlay_is_bare(struct host_disk *disk, u64 offset, u64 bytes)
{
	u64 end = offset + bytes;

	return end <= disk->base_bytes && end <= disk->overlay_bytes &&
	       !host_is_present(disk, offset / OVERLAY_BLOCK_BYTES) &&
	       host_run(disk, offset, bytes) == bytes;
}

static int host_overlay_read(struct host_disk *disk, struct ll_io *io,
			     bool on_host)
{
	struct host_cursor cursor = { io->segments, 0 };
	struct ll_iovec part[DISK_SEGMENTS];
	u64 offset = io->offset, end = offset + io->bytes, bytes, done;
	u32 count, i;
	int result;

	for (; offset < end; offset += bytes) {
		bytes = host_run(disk, offset, end - offset);
		count = host_take(&cursor, bytes, part);
		if (!host_is_present(disk, offset / OVERLAY_BLOCK_BYTES)) {
			result = host_base_read(disk, offset, bytes, part,
						count, on_host);
			if (result)
				return result;
			continue;
		}
		for (i = 0, done = 0; i < count; done += part[i++].bytes)
			memcpy(part[i].base, disk->blocks + offset + done,
			       part[i].bytes);
	}
	return 0;
}

/* The block at `offset` is about to be written in part. */
static int host_overlay_fill(struct host_disk *disk, u64 offset, bool on_host)
{
	u64 block = offset / OVERLAY_BLOCK_BYTES;
	struct ll_iovec whole = {
		.base = disk->blocks + block * OVERLAY_BLOCK_BYTES,
		.bytes = OVERLAY_BLOCK_BYTES,
	};
	int result;

	if (host_is_present(disk, block))
		return 0;
	if (whole.bytes > disk->bytes - block * OVERLAY_BLOCK_BYTES)
		whole.bytes = disk->bytes - block * OVERLAY_BLOCK_BYTES;
	result = host_base_read(disk, block * OVERLAY_BLOCK_BYTES, whole.bytes,
				&whole, 1, on_host);
	if (!result)
		host_set_present(disk, block);
	return result;
}

/* Make the blocks of a range writable: fill those that are only touched. */
static int host_overlay_open(struct host_disk *disk, struct ll_io *io,
			     bool on_host)
{
	u64 end = io->offset + io->bytes, block;
	int result = 0;

	if (io->offset % OVERLAY_BLOCK_BYTES)
		result = host_overlay_fill(disk, io->offset, on_host);
	if (!result && end % OVERLAY_BLOCK_BYTES && end < disk->bytes)
		result = host_overlay_fill(disk, end, on_host);
	if (result)
		return result;
	for (block = io->offset / OVERLAY_BLOCK_BYTES;
	     block * OVERLAY_BLOCK_BYTES < end; block++)
		host_set_present(disk, block);
	return 0;
}

static void host_overlay_clear(struct host_disk *disk, u64 offset, u64 bytes)
{
	u64 first = (offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	u64 last = (offset + bytes) / PAGE_BYTES * PAGE_BYTES;

	/* What is mapped from a snapshot would come back from there. */
	if (first >= last || disk->blocks_region.from) {
		memset(disk->blocks + offset, 0, bytes);
		return;
	}
	memset(disk->blocks + offset, 0, first - offset);
	madvise(disk->blocks + first, last - first, MADV_DONTNEED);
	memset(disk->blocks + last, 0, offset + bytes - last);
}

static int host_overlay_change(struct host_disk *disk, struct ll_io *io,
			       bool on_host)
{
	char *at = disk->blocks + io->offset;
	int result;
	u32 i;

	result = host_overlay_open(disk, io, on_host);
	if (result)
		return result;
	if (io->op != LL_IO_WRITE) {
		host_overlay_clear(disk, io->offset, io->bytes);
		return 0;
	}
	for (i = 0; i < io->nr_segments; i++) {
		memcpy(at, io->segments[i].base, io->segments[i].bytes);
		at += io->segments[i].bytes;
	}
	return 0;
}

int host_overlay_io(struct host_disk *disk, struct ll_io *io, bool on_host)
{
	u64 bytes = __atomic_load_n(&disk->bytes, __ATOMIC_ACQUIRE);

	if (io->op == LL_IO_FLUSH || !io->bytes)
		return 0;
	if (bytes > disk->overlay_bytes && host_overlay_grow(disk, bytes))
		return -ENOMEM;
	if (io->op == LL_IO_READ)
		return host_overlay_read(disk, io, on_host);
	return host_overlay_change(disk, io, on_host);
}
