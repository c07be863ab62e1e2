// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks kept by the host: /dev/lda, /dev/ldb, ... with partitions. A bio is
 * one host call for each LIB_SEGMENTS stretches of memory; there is no queue,
 * for the host's answer is there when the call returns. Flush and FUA are
 * passed on as such.
 *
 * A large read may be started instead (ops->disk_start): the caller goes on,
 * and the bio ends in an interrupt after one of the next entries.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <asm/lib.h>

#define LIB_DISKS 702 /* lda to ldzz */
#define LIB_MINORS 16
#define LIB_SEGMENTS 32
#define LIB_DISCARD_BYTES (1UL << 30)
/* Of memory, as a mask. The host copies, and does not care. */
#define LIB_ALIGNMENT 3
/* The smallest read that is worth being started. */
#define LIB_START_BYTES (128UL << 10)

struct lib_disk {
	struct gendisk *disk;
	void *handle;
	bool near; /* LL_DISK_NEAR */
};

static struct lib_disk *lib_disks[LIB_DISKS];
static int lib_major;

static blk_status_t lib_status(int error)
{
	return error ? errno_to_blk_status(error) : BLK_STS_OK;
}

static blk_status_t lib_disk_simple(struct lib_disk *disk, u32 op, u64 offset,
				    u64 bytes)
{
	struct ll_io io = {
		.handle = disk->handle,
		.op = op,
		.offset = offset,
		.bytes = bytes,
	};

	return lib_status(lib_host_io(&io));
}

/*
 * The next LIB_SEGMENTS stretches of memory, as far as they are whole sectors: one
 * that begins at the end of a page and ends in another is not to be cut.
 */
static void lib_disk_gather(struct ll_io *io, struct bio *bio,
			    struct bvec_iter iter)
{
	struct ll_iovec *last;
	struct bio_vec vec;
	u32 half, part;

	io->nr_segments = 0;
	io->bytes = 0;
	while (iter.bi_size && io->nr_segments < LIB_SEGMENTS) {
		vec = mp_bvec_iter_bvec(bio->bi_io_vec, iter);
		io->segments[io->nr_segments++] = (struct ll_iovec){
			page_address(vec.bv_page) + vec.bv_offset, vec.bv_len
		};
		io->bytes += vec.bv_len;
		bio_advance_iter_single(bio, &iter, vec.bv_len);
	}
	half = io->bytes & (bdev_logical_block_size(bio->bi_bdev) - 1);
	for (; half; half -= part) {
		last = &io->segments[io->nr_segments - 1];
		part = min_t(u32, half, last->bytes);
		last->bytes -= part;
		io->bytes -= part;
		if (!last->bytes)
			io->nr_segments--;
	}
}

static blk_status_t lib_disk_data(struct lib_disk *disk, struct bio *bio)
{
	struct ll_iovec segments[LIB_SEGMENTS];
	struct ll_io io = {
		.handle = disk->handle,
		.op = op_is_write(bio_op(bio)) ? LL_IO_WRITE : LL_IO_READ,
		.flags = bio->bi_opf & REQ_FUA ? LL_IO_FUA : 0,
		.offset = bio->bi_iter.bi_sector << SECTOR_SHIFT,
		.segments = segments,
	};
	struct bvec_iter iter = bio->bi_iter;
	int error;

	while (iter.bi_size) {
		lib_disk_gather(&io, bio, iter);
		error = io.bytes ? lib_host_io(&io) : -EIO;
		if (error)
			return lib_status(error);
		io.offset += io.bytes;
		bio_advance_iter(bio, &iter, io.bytes);
	}
	return BLK_STS_OK;
}

static blk_status_t lib_disk_do(struct lib_disk *disk, struct bio *bio)
{
	u64 offset = bio->bi_iter.bi_sector << SECTOR_SHIFT;
	u64 bytes = bio->bi_iter.bi_size;
	blk_status_t status;

	if (bio->bi_opf & REQ_PREFLUSH) {
		status = lib_disk_simple(disk, LL_IO_FLUSH, 0, 0);
		if (status || !bytes)
			return status;
	}
	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return lib_disk_data(disk, bio);
	case REQ_OP_FLUSH:
		return lib_disk_simple(disk, LL_IO_FLUSH, 0, 0);
	case REQ_OP_DISCARD:
		return lib_disk_simple(disk, LL_IO_DISCARD, offset, bytes);
	case REQ_OP_WRITE_ZEROES:
		return lib_disk_simple(disk, LL_IO_ZERO, offset, bytes);
	default:
		return BLK_STS_NOTSUPP;
	}
}

/* ---- reads that are started ----------------------------------------- */

struct lib_read {
	struct ll_io io;
	struct bio *bio;
	struct lib_read *next;
	struct ll_iovec segments[];
};

static struct lib_read *lib_reads;

static u32 lib_disk_stretches(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec vec;
	u32 count = 0;

	bio_for_each_bvec(vec, bio, iter)
		count++;
	return count;
}

static void lib_disk_describe(struct lib_read *read, struct lib_disk *disk,
			      struct bio *bio)
{
	struct ll_io *io = &read->io;
	struct bvec_iter iter;
	struct bio_vec vec;

	*io = (struct ll_io){
		.handle = disk->handle,
		.op = LL_IO_READ,
		.offset = bio->bi_iter.bi_sector << SECTOR_SHIFT,
		.bytes = bio->bi_iter.bi_size,
		.segments = read->segments,
	};
	bio_for_each_bvec(vec, bio, iter)
		read->segments[io->nr_segments++] = (struct ll_iovec){
			page_address(vec.bv_page) + vec.bv_offset, vec.bv_len
		};
	read->bio = bio;
}

/* False when the host, or the memory, wants it to be done at once. */
static bool lib_disk_start(struct lib_disk *disk, struct bio *bio)
{
	struct lib_read *read;

	if (bio_op(bio) != REQ_OP_READ ||
	    bio->bi_iter.bi_size < LIB_START_BYTES ||
	    bio->bi_opf & REQ_PREFLUSH)
		return false;
	read = kmalloc(struct_size(read, segments, lib_disk_stretches(bio)),
		       GFP_NOWAIT | __GFP_NOWARN);
	if (!read)
		return false;
	lib_disk_describe(read, disk, bio);
	if (!lib_cpu.ops->disk_start(lib_cpu.host, &read->io)) {
		kfree(read);
		return false;
	}
	/* It is not over before the next interrupt. */
	read->next = lib_reads;
	lib_reads = read;
	lib_cpu.progress++;
	return true;
}

static bool lib_disk_is_read(struct lib_disk *disk)
{
	struct lib_read *read;

	for (read = lib_reads; read; read = read->next)
		if (read->io.handle == disk->handle)
			return true;
	return false;
}

/* The host's interrupt: what is over ends, the oldest first. */
void lib_disk_finish(void)
{
	struct lib_read **link = &lib_reads, *read, *over = NULL;

	while ((read = *link)) {
		if (!READ_ONCE(read->io.done)) {
			link = &read->next;
			continue;
		}
		*link = read->next;
		read->next = over;
		over = read;
	}
	while ((read = over)) {
		over = read->next;
		read->bio->bi_status = lib_status(read->io.result);
		bio_endio(read->bio);
		kfree(read);
	}
}

static void lib_disk_submit(struct bio *bio)
{
	if (lib_disk_start(bio->bi_bdev->bd_disk->private_data, bio))
		return;
	bio->bi_status = lib_disk_do(bio->bi_bdev->bd_disk->private_data, bio);
	bio_endio(bio);
}

static const struct block_device_operations lib_disk_operations = {
	.submit_bio = lib_disk_submit,
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static struct gendisk *lib_disk_alloc(const struct ll_disk *wanted)
{
	struct queue_limits limits = {
		.logical_block_size = wanted->sector_bytes,
		.physical_block_size =
			max_t(u32, wanted->sector_bytes, PAGE_SIZE),
		.max_hw_sectors = UINT_MAX >> SECTOR_SHIFT,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
		.dma_alignment = LIB_ALIGNMENT,
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
	};

	if (wanted->flags & LL_DISK_ROTATING)
		limits.features |= BLK_FEAT_ROTATIONAL;
	if (wanted->flags & LL_DISK_DISCARD) {
		limits.max_hw_discard_sectors = LIB_DISCARD_BYTES >>
						SECTOR_SHIFT;
		limits.max_write_zeroes_sectors = LIB_DISCARD_BYTES >>
						  SECTOR_SHIFT;
		limits.discard_granularity = wanted->sector_bytes;
	}
	return blk_alloc_disk(&limits, NUMA_NO_NODE);
}
#else
static struct gendisk *lib_disk_alloc(const struct ll_disk *wanted)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);
	struct request_queue *queue;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	queue = disk->queue;
	blk_queue_logical_block_size(queue, wanted->sector_bytes);
	blk_queue_physical_block_size(queue, max_t(u32, wanted->sector_bytes,
						   PAGE_SIZE));
	blk_queue_max_hw_sectors(queue, UINT_MAX >> SECTOR_SHIFT);
	blk_queue_max_segments(queue, USHRT_MAX);
	blk_queue_max_segment_size(queue, UINT_MAX);
	blk_queue_dma_alignment(queue, LIB_ALIGNMENT);
	blk_queue_write_cache(queue, true, true);
	if (!(wanted->flags & LL_DISK_ROTATING))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
	if (wanted->flags & LL_DISK_DISCARD) {
		blk_queue_max_discard_sectors(queue, LIB_DISCARD_BYTES >>
							     SECTOR_SHIFT);
		blk_queue_max_write_zeroes_sectors(queue, LIB_DISCARD_BYTES >>
								  SECTOR_SHIFT);
		queue->limits.discard_granularity = wanted->sector_bytes;
	}
	return disk;
}
#endif

bool lib_disk_is_near(struct block_device *device)
{
	struct gendisk *disk = device->bd_disk;
	struct lib_disk *ours = disk->private_data;

	return disk->fops == &lib_disk_operations && ours->near;
}

static void lib_disk_name(char *name, size_t bytes, u32 index)
{
	if (index < 26)
		snprintf(name, bytes, "ld%c", 'a' + index);
	else
		snprintf(name, bytes, "ld%c%c", 'a' + index / 26 - 1,
			 'a' + index % 26);
}

/* The device number of the new disk, or -errno. */
long lib_disk_add(const struct ll_disk *wanted)
{
	struct gendisk *disk;
	struct lib_disk *made;
	int error;

	if (wanted->index >= LIB_DISKS || lib_disks[wanted->index])
		return -EEXIST;
	made = kzalloc(sizeof(*made), GFP_KERNEL);
	if (!made)
		return -ENOMEM;
	disk = lib_disk_alloc(wanted);
	if (IS_ERR(disk)) {
		kfree(made);
		return PTR_ERR(disk);
	}
	made->disk = disk;
	made->handle = wanted->handle;
	made->near = wanted->flags & LL_DISK_NEAR;
	disk->private_data = made;
	disk->fops = &lib_disk_operations;
	disk->major = lib_major;
	disk->first_minor = wanted->index * LIB_MINORS;
	disk->minors = LIB_MINORS;
	lib_disk_name(disk->disk_name, sizeof(disk->disk_name), wanted->index);
	set_capacity(disk, wanted->size_bytes >> SECTOR_SHIFT);
	set_disk_ro(disk, wanted->flags & LL_DISK_READONLY);
	error = add_disk(disk);
	if (error) {
		put_disk(disk);
		kfree(made);
		return error;
	}
	lib_disks[wanted->index] = made;
	return disk_devt(disk);
}

static struct lib_disk *lib_disk_find(u32 index)
{
	return index < LIB_DISKS ? lib_disks[index] : NULL;
}

long lib_disk_remove(u32 index)
{
	struct lib_disk *disk = lib_disk_find(index);

	if (!disk)
		return -ENODEV;
	/* Whoever reads has it open, but what is over may wait to be told. */
	lib_irq_poll();
	if (disk_openers(disk->disk) || lib_disk_is_read(disk))
		return -EBUSY;
	lib_disks[index] = NULL;
	del_gendisk(disk->disk);
	put_disk(disk->disk);
	kfree(disk);
	return 0;
}

long lib_disk_resize(u32 index, u64 bytes)
{
	struct lib_disk *disk = lib_disk_find(index);

	if (!disk)
		return -ENODEV;
	set_capacity_and_notify(disk->disk, bytes >> SECTOR_SHIFT);
	return 0;
}

static int __init lib_disk_init(void)
{
	lib_major = register_blkdev(0, "ld");
	return lib_major < 0 ? lib_major : 0;
}
device_initcall(lib_disk_init);
