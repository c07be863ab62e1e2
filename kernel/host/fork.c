// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(2) of the process: parent and child each have all kernels, and share
 * none of them.
 *
 * Private memory is copied by the host as it is written to. Only what lives in
 * the memfd would be shared: the parent writes those granules into a file of
 * their own before the fork, and the child maps that privately in their place.
 * Its windows are empty then and fill again with faults. (Copying into private
 * memory took twice as long: a fault for each page.)
 *
 * An image file that the parent writes must not be written by both: in the
 * child such a disk becomes an overlay. What the parent writes to the file
 * later may show through there.
 *
 * Only the thread that forks goes on in the child. Kernel tasks of the others
 * are free there; a kernel that one of them was inside of is dead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "disk.h"
#include "own.h"

/* What can be read of this, into the file at the same place. */
static int host_copy_readable(struct host_kernel *kernel, u64 offset, u64 end)
{
	u64 at, run = offset;

	for (at = offset; at <= end; at += PAGE_BYTES) {
		ssize_t length = at - run;

		if (at < end && !host_is_guard(kernel, kernel->memory + at))
			continue;
		if (length &&
		    pwrite(kernel->fork_fd, (void *)(kernel->memory + run),
			   length, run) != length)
			return -ENOMEM;
		run = at + PAGE_BYTES;
	}
	return 0;
}

/* Granules, without the pages that the memfd does not have: those are zero. */
static int host_copy_granules(struct host_kernel *kernel, u64 offset, u64 bytes)
{
	off_t end = offset + bytes, data, hole = offset;
	int error = 0;

	while (!error) {
		data = lseek(kernel->memfd, hole, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if (data >= end)
			break;
		hole = lseek(kernel->memfd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		error = host_copy_readable(kernel, data,
					   hole < end ? hole : end);
	}
	return error;
}

/* In the child: its own content, which the file keeps, in the place of ours. */
static int host_take_granules(struct host_kernel *kernel, u64 offset, u64 bytes)
{
	u64 granule = offset / GRANULE_BYTES;

	if (mmap((void *)(kernel->memory + offset), bytes,
		 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		 kernel->fork_fd, offset) == MAP_FAILED)
		return -errno;
	host_guard_renew(kernel, kernel->memory + offset, bytes);
	for (; granule * GRANULE_BYTES < offset + bytes; granule++)
		host_granule_set(kernel->copied, granule);
	return 0;
}

typedef int (*host_granule_work)(struct host_kernel *kernel, u64 offset,
				 u64 bytes);

/* Neighbours at once. */
static int host_each_shared(struct host_kernel *kernel, host_granule_work work)
{
	u64 count = (kernel->memory_bytes + GRANULE_BYTES - 1) / GRANULE_BYTES;
	u64 first, next, end;
	int error = 0;

	for (first = 0; first < count && !error; first = next + 1) {
		next = first;
		while (next < count && host_granule_is_shared(kernel, next))
			next++;
		end = next * GRANULE_BYTES;
		if (end > kernel->memory_bytes)
			end = kernel->memory_bytes;
		if (next > first)
			error = work(kernel, first * GRANULE_BYTES,
				     end - first * GRANULE_BYTES);
	}
	return error;
}

/* ---- before ---------------------------------------------------------- */

/*
 * Is somebody else inside? If not, nobody comes in until after the fork: this
 * thread owns the kernel then, by its bias or until host_let_in().
 */
static bool host_somebody_is_inside(struct host_kernel *kernel)
{
	kernel->fork_owned = false;
	if (kernel->dead || host_in_callback(kernel))
		return false;
	if (kernel->bias == host_self.id)
		return kernel->busy;
	host_own_revoke_locked(kernel);
	kernel->fork_owned = host_own_shared(kernel);
	return !kernel->fork_owned;
}

/* Nobody is queued: for that `lock` is needed, which this thread has. */
static void host_let_in(struct host_kernel *kernel)
{
	if (kernel->fork_owned)
		__atomic_store_n(&kernel->owner, 0, __ATOMIC_RELEASE);
}

static void host_before(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	pthread_mutex_lock(&kernel->lock);
	pthread_mutex_lock(&kernel->log.lock);
	pthread_mutex_lock(&kernel->capture.lock);
	kernel->fork_failed = host_somebody_is_inside(kernel);
	kernel->fork_fd = -1;
	if (kernel->memfd < 0 || kernel->fork_failed)
		return;
	kernel->fork_fd = memfd_create("liblinux-fork", MFD_CLOEXEC);
	kernel->fork_failed =
		kernel->fork_fd < 0 ||
		ftruncate(kernel->fork_fd, kernel->memory_bytes) ||
		host_each_shared(kernel, host_copy_granules);
}

/* ---- after, in both -------------------------------------------------- */

static void host_fork_close(struct host_kernel *kernel)
{
	if (kernel->fork_fd >= 0)
		close(kernel->fork_fd);
	kernel->fork_fd = -1;
}

static void host_in_parent(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	host_fork_close(kernel);
	host_let_in(kernel);
	pthread_mutex_unlock(&kernel->capture.lock);
	pthread_mutex_unlock(&kernel->log.lock);
	pthread_mutex_unlock(&kernel->lock);
}

/* Tasks of threads that are not in the child are free, and so are locks. */
static void host_free_tasks(struct host_kernel *kernel)
{
	struct host_process *process;
	struct host_task *task;
	int bucket;

	pthread_mutex_init(&kernel->fault_lock, NULL);
	for (process = kernel->processes; process; process = process->next)
		pthread_mutex_init(&process->spawn_lock, NULL);

	for (bucket = 0; bucket < TASK_BUCKETS; bucket++)
		for (task = kernel->buckets[bucket]; task;
		     task = task->next_hash)
			if (task->thread != host_self.id)
				task->thread = 0;
}

static void host_keep_writes(struct host_kernel *kernel)
{
	u32 index;

	for (index = 0; index < DISKS; index++) {
		struct host_disk *disk = kernel->disks[index];

		if (!disk || disk->backing != BACKING_FD ||
		    (disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY)))
			continue;
		if (host_overlay_init(disk))
			disk->flags |= HOST_DISK_READONLY;
		else
			disk->flags |= HOST_DISK_OVERLAY;
	}
}

static void host_separate(struct host_kernel *kernel)
{
	if (kernel->memfd >= 0 &&
	    (host_each_shared(kernel, host_take_granules) ||
	     host_memory_forget_aliases(kernel)))
		kernel->fork_failed = true;
	host_fork_close(kernel);
	host_free_tasks(kernel);
	host_keep_writes(kernel);
}

/* Also of a kernel that is dead here, which will be closed. */
static void host_free_disks(struct host_kernel *kernel)
{
	u32 index;

	for (index = 0; index < DISKS; index++)
		if (kernel->disks[index])
			pthread_mutex_init(&kernel->disks[index]->undo_lock,
					   NULL);
}

static void host_in_child(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	host_free_disks(kernel);
	/* If any were under way somebody was inside, and it is dead here. */
	kernel->nr_reads = 0;
	if (!kernel->fork_failed)
		host_separate(kernel);
	if (kernel->fork_failed && !kernel->dead) {
		snprintf(kernel->dead_text, sizeof(kernel->dead_text),
			 "the process was forked while another thread was "
			 "inside, or had no memory for a copy");
		kernel->bias = NOBODY;
		kernel->owner = 1;
		kernel->waits = NULL;
		kernel->sleeper = NULL;
		kernel->last_wait = &kernel->waits;
		__atomic_store_n(&kernel->dead, true, __ATOMIC_RELEASE);
	} else if (!kernel->dead) {
		host_let_in(kernel);
	}
	pthread_mutex_unlock(&kernel->capture.lock);
	pthread_mutex_unlock(&kernel->log.lock);
	pthread_mutex_unlock(&kernel->lock);
}

/* ---- for all kernels ------------------------------------------------- */

static void host_fork_prepare(void)
{
	host_registry_hold(host_before);
	host_reader_before_fork();
}

static void host_fork_parent(void)
{
	host_reader_in_parent();
	host_registry_release(host_in_parent);
}

static void host_fork_child(void)
{
	host_reader_in_child();
	host_registry_release(host_in_child);
}

static void host_fork_register(void)
{
	pthread_atfork(host_fork_prepare, host_fork_parent, host_fork_child);
}

void host_fork_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, host_fork_register);
}
