// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(2) of the process: parent and child each have all kernels, and share
 * none of them.
 *
 * Private memory is copied by the host as it is written to. Only what lives in
 * a memfd would be shared: those granules are copied before the fork, by the
 * parent, and the child puts the copy in their place, as private memory. Its
 * windows are empty then and fill again with faults.
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

/* For each page of a granule: copy it, but for guards and for zeroes. */
static void host_copy_granule(struct host_kernel *kernel, char *to,
			      const char *from, u64 address, u64 bytes)
{
	u64 done;

	for (done = 0; done < bytes; done += PAGE_BYTES)
		if (!host_is_guard(kernel, address + done) &&
		    !host_page_is_zero((const u64 *)(from + done)))
			memcpy(to + done, from + done, PAGE_BYTES);
}

static u64 host_shared_granules(struct host_kernel *kernel)
{
	u64 granules = kernel->memory_bytes / GRANULE_BYTES + 1, at, count = 0;

	for (at = 0; at < granules; at++)
		count += host_granule_is_shared(kernel, at);
	return count;
}

typedef void (*host_granule_work)(struct host_kernel *kernel, char *copy,
				  u64 address, u64 bytes);

static void host_each_shared(struct host_kernel *kernel, host_granule_work work)
{
	u64 offset, bytes = GRANULE_BYTES;
	char *copy = kernel->fork_copy;

	for (offset = 0; offset < kernel->memory_bytes; offset += bytes) {
		if (!host_granule_is_shared(kernel, offset / GRANULE_BYTES))
			continue;
		if (bytes > kernel->memory_bytes - offset)
			bytes = kernel->memory_bytes - offset;
		work(kernel, copy, kernel->memory + offset, bytes);
		copy += GRANULE_BYTES;
	}
}

static void host_copy_out(struct host_kernel *kernel, char *copy, u64 address,
			  u64 bytes)
{
	host_copy_granule(kernel, copy, (char *)address, address, bytes);
}

static void host_copy_in(struct host_kernel *kernel, char *copy, u64 address,
			 u64 bytes)
{
	/* The copy takes the place: no page of it is copied again. */
	if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)address) == MAP_FAILED)
		kernel->fork_failed = true;
	else
		host_guard_renew(kernel, address, bytes);
}

/* ---- before ---------------------------------------------------------- */

static bool host_somebody_is_inside(struct host_kernel *kernel)
{
	bool inside = kernel->bias != NOBODY ? kernel->busy : kernel->owner;

	return inside && !kernel->dead && !host_in_callback(kernel);
}

static void host_before(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	pthread_mutex_lock(&kernel->lock);
	pthread_mutex_lock(&kernel->log.lock);
	kernel->fork_failed = host_somebody_is_inside(kernel);
	kernel->fork_copy = NULL;
	kernel->fork_copy_bytes = 0;
	if (kernel->memfd < 0 || kernel->fork_failed)
		return;
	kernel->fork_copy_bytes = host_shared_granules(kernel) * GRANULE_BYTES;
	kernel->fork_copy =
		mmap(NULL, kernel->fork_copy_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (kernel->fork_copy == MAP_FAILED) {
		kernel->fork_copy = NULL;
		kernel->fork_failed = true;
		return;
	}
	host_each_shared(kernel, host_copy_out);
}

/* ---- after, in both -------------------------------------------------- */

static void host_in_parent(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	if (kernel->fork_copy)
		munmap(kernel->fork_copy, kernel->fork_copy_bytes);
	kernel->fork_copy = NULL;
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
	if (kernel->fork_copy)
		host_each_shared(kernel, host_copy_in);
	kernel->fork_copy = NULL;
	if (kernel->memfd >= 0 && host_memory_forget_aliases(kernel))
		kernel->fork_failed = true;
	host_free_tasks(kernel);
	host_keep_writes(kernel);
}

static void host_in_child(struct host_kernel *kernel, u64 unused)
{
	(void)unused;
	if (!kernel->fork_failed)
		host_separate(kernel);
	if (kernel->fork_failed && !kernel->dead) {
		snprintf(kernel->dead_text, sizeof(kernel->dead_text),
			 "the process was forked while another thread was "
			 "inside, or had no memory for a copy");
		kernel->bias = NOBODY;
		kernel->owner = 1;
		kernel->waits = NULL;
		kernel->last_wait = &kernel->waits;
		__atomic_store_n(&kernel->dead, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kernel->log.lock);
	pthread_mutex_unlock(&kernel->lock);
}

/* ---- for all kernels ------------------------------------------------- */

static void host_fork_prepare(void)
{
	host_registry_hold(host_before);
}

static void host_fork_parent(void)
{
	host_registry_release(host_in_parent);
}

static void host_fork_child(void)
{
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
