// SPDX-License-Identifier: GPL-2.0-only
/*
 * read(2) and pread(2) of much at once.
 *
 * What is read of a disk whose data is in the host's memory already is better
 * not kept once more: finding pages for it, filling them and copying out of them
 * takes twice as long as reading it again would. So the larger part of a read
 * that finds hardly anything in the page cache goes straight into the caller's
 * buffer, as with O_DIRECT. All that cannot (the end of a file, buffers that are
 * not aligned, file systems that have no such way, errors) is Linux's own read.
 */
#include <linux/bvec.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/uio.h>
#include <asm/lib.h>

#ifndef fd_file /* of Linux 6.1 */
#define fd_file(f) ((f).file)
#endif

/* The smallest read that goes past the page cache. */
#define LIB_PAST_LEAST (256UL << 10)

/* Memory that the kernel gave away has pages, which may come and go. */
static bool lib_is_outside(const void *buffer, size_t bytes)
{
	unsigned long start = (unsigned long)buffer;

	return start + bytes <= lib_cpu.user ||
	       start >= lib_cpu.user + lib_cpu.user_bytes;
}

static bool lib_reads_past(struct file *file, char __user *to, size_t count)
{
	struct inode *inode = file_inode(file);

	return S_ISREG(inode->i_mode) && inode->i_sb->s_bdev &&
	       lib_disk_is_near(inode->i_sb->s_bdev) &&
	       (file->f_mode & FMODE_CAN_ODIRECT) &&
	       (file->f_mode & FMODE_READ) && !(file->f_flags & O_DIRECT) &&
	       lib_is_outside((__force void *)to, count) &&
	       file->f_mapping->nrpages < count / 2 >> PAGE_SHIFT;
}

/* How much of it can be read at once, or 0. */
static size_t lib_piece(struct file *file, size_t count, loff_t position)
{
	loff_t left = i_size_read(file_inode(file)) - position;

	if (position & ~PAGE_MASK || left < (loff_t)LIB_PAST_LEAST ||
	    count < LIB_PAST_LEAST)
		return 0;
	return min3(count, (size_t)left, (size_t)LIB_OUTSIDE_BYTES) & PAGE_MASK;
}

static ssize_t lib_read_piece(struct file *file, char __user *to, size_t bytes,
			      loff_t position)
{
	struct bio_vec pages = {
		.bv_page = lib_outside_borrow((__force void *)to),
		.bv_offset = offset_in_page(to),
		.bv_len = bytes,
	};
	struct iov_iter iter;
	struct kiocb kiocb;
	ssize_t result;

	if (!pages.bv_page)
		return 0;
	/* From here on it is written to as if it were the kernel's own. */
	if (fault_in_writeable(to, bytes)) {
		lib_outside_return();
		return 0;
	}
	init_sync_kiocb(&kiocb, file);
	kiocb.ki_flags |= IOCB_DIRECT;
	kiocb.ki_pos = position;
	iov_iter_bvec(&iter, ITER_DEST, &pages, 1, bytes);
	result = vfs_iocb_iter_read(file, &kiocb, &iter);
	lib_outside_return();
	return result;
}

/* As much as can be read past the page cache. */
static size_t lib_read_past(struct file *file, char __user *to, size_t count,
			    loff_t *position)
{
	size_t done = 0, bytes;
	ssize_t result;

	while ((bytes = lib_piece(file, count - done, *position))) {
		result = lib_read_piece(file, to + done, bytes, *position);
		if (result <= 0)
			break;
		done += result;
		*position += result;
		if (result < bytes || signal_pending(current))
			break;
		cond_resched();
	}
	return done;
}

static ssize_t lib_read_all(struct file *file, char __user *to, size_t count,
			    loff_t *position)
{
	size_t done;
	ssize_t rest;

	count = min_t(size_t, count, MAX_RW_COUNT);
	done = lib_read_past(file, to, count, position);
	if (done == count || (done && signal_pending(current)))
		return done;
	rest = vfs_read(file, to + done, count - done, position);
	return done && rest < 0 ? done : done + rest;
}

long lib_read(unsigned long fd, unsigned long buffer, unsigned long count)
{
	char __user *to = (char __user *)buffer;
	struct fd f;
	struct file *file;
	ssize_t result;

	if (likely(count < LIB_PAST_LEAST))
		return sys_read(fd, to, count);
	f = fdget_pos(fd);
	file = fd_file(f);
	if (!file || !lib_reads_past(file, to, count)) {
		if (file)
			fdput_pos(f);
		return sys_read(fd, to, count);
	}
	result = lib_read_all(file, to, count, &file->f_pos);
	fdput_pos(f);
	return result;
}

long lib_pread64(unsigned long fd, unsigned long buffer, unsigned long count,
		 unsigned long position)
{
	char __user *to = (char __user *)buffer;
	loff_t at = position;
	struct fd f;
	struct file *file;
	ssize_t result;

	if (likely(count < LIB_PAST_LEAST) || at < 0)
		return sys_pread64(fd, to, count, at);
	f = fdget(fd);
	file = fd_file(f);
	if (!file || !(file->f_mode & FMODE_PREAD) ||
	    !lib_reads_past(file, to, count)) {
		if (file)
			fdput(f);
		return sys_pread64(fd, to, count, at);
	}
	result = lib_read_all(file, to, count, &at);
	fdput(f);
	return result;
}
