// SPDX-License-Identifier: GPL-2.0-only
/*
 * One kernel put back to an earlier instant, in place.
 *
 * A kernel is its memory: tasks, clock and random state are in it, and the
 * fiber that left last goes on from its own stack. What belongs to it besides
 * is saved with it: which task serves which thread, the guards of its stacks,
 * the overlays of its disks. Granules that had moved into the memfd become
 * private again, and all mappings of the windows are dropped: they come back
 * with a fault, as after any loss (docs/HOST-BOUNDARY.md).
 *
 * Not saved are files of the host, their content and position, and whatever is
 * behind a disk that writes through: there must be none.
 *
 * A snapshot belongs to its kernel. Nobody may be inside when it is taken or
 * put back, and no call may wait. A dead kernel can be put back; it lives then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "disk.h"
#include "own.h"
#include "sample.h"
#include "saved.h"

struct host_saved_disk {
	struct host_disk *disk;
	u64 id;
	struct host_saved_overlay overlay;
};

struct host_snapshot {
	struct host_image_file *file;
	u64 memory_offset;
	u64 *guards;
	u32 nr_guards;
	struct host_saved_processes *processes;
	u32 nr_disks;
	struct host_saved_disk disks[];
};

/* ---- being alone ----------------------------------------------------- */

/* The kernel is ours, and nothing is under way in it. `dead`: it may be. */
static int host_seize(struct host_kernel *kernel, bool dead)
{
	bool quiet;

	/* The others of a group, and what is under way on its wires, would not go back. */
	if (host_in_callback(kernel) || kernel->group ||
	    host_sampler_is_active(kernel))
		return -EBUSY;
	if (!__atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE)) {
		host_own_revoke(kernel);
		if (!host_own_shared(kernel))
			return -EBUSY;
	} else if (!dead) {
		return -EOWNERDEAD;
	}
	pthread_mutex_lock(&kernel->lock);
	quiet = (!kernel->waits && !kernel->cpu->submitted) || kernel->dead;
	/* Who comes now waits until host_unseize(). */
	kernel->seized = quiet;
	pthread_mutex_unlock(&kernel->lock);
	if (quiet)
		return 0;
	host_give_up(kernel);
	return -EBUSY;
}

static void host_unseize(struct host_kernel *kernel)
{
	pthread_mutex_lock(&kernel->lock);
	kernel->seized = false;
	pthread_mutex_unlock(&kernel->lock);
	if (!kernel->dead)
		host_own_begin(kernel);
}

/* ---- taking ---------------------------------------------------------- */

static bool host_unreadable(void *context, u64 address)
{
	return host_is_guard(context, address);
}

static bool host_is_aliased(void *context, u64 address)
{
	struct host_kernel *kernel = context;

	return host_granule_is_elsewhere(kernel, (address - kernel->memory) /
							 GRANULE_BYTES);
}

static int host_save_disks(struct host_kernel *kernel,
			   struct host_snapshot *snapshot)
{
	struct host_saved_disk *saved = snapshot->disks;
	int error = 0;
	u32 index;

	for (index = 0; index < DISKS && !error; index++) {
		struct host_disk *disk = kernel->disks[index];

		if (!disk)
			continue;
		saved->disk = disk;
		saved->id = disk->id;
		if (disk->flags & HOST_DISK_OVERLAY)
			error = host_overlay_save(disk, snapshot->file,
						  &saved->overlay);
		saved++;
	}
	return error;
}

static int host_save(struct host_kernel *kernel, struct host_snapshot *snapshot)
{
	u64 bytes = host_guard_bytes(kernel);
	int error;

	snapshot->guards = malloc(bytes);
	snapshot->processes = host_processes_save(kernel);
	if (!snapshot->guards || !snapshot->processes)
		return -ENOMEM;
	memcpy(snapshot->guards, kernel->guards, bytes);
	snapshot->nr_guards = kernel->nr_guards;
	error = host_region_save(&kernel->region, snapshot->file,
				 &snapshot->memory_offset, host_unreadable,
				 host_is_aliased, kernel);
	return error ? error : host_save_disks(kernel, snapshot);
}

/* How many disks there are; -EROFS when one writes through. */
static int host_count_disks(struct host_kernel *kernel)
{
	int count = 0;
	u32 index;

	for (index = 0; index < DISKS; index++) {
		struct host_disk *disk = kernel->disks[index];

		if (disk &&
		    !(disk->flags & (HOST_DISK_READONLY | HOST_DISK_OVERLAY)))
			return -EROFS;
		count += disk != NULL;
	}
	return count;
}

/* The kernel is seized. */
static int host_take(struct host_kernel *kernel, struct host_image_file *file,
		     struct host_snapshot **taken)
{
	int disks = host_count_disks(kernel), error;
	struct host_snapshot *snapshot;

	if (disks < 0)
		return disks;
	snapshot = calloc(1, sizeof(*snapshot) +
				     disks * sizeof(*snapshot->disks));
	if (!snapshot)
		return -ENOMEM;
	__atomic_add_fetch(&file->users, 1, __ATOMIC_RELAXED);
	snapshot->file = file;
	snapshot->nr_disks = disks;
	error = host_save(kernel, snapshot);
	if (error)
		host_snapshot_free(snapshot);
	else
		*taken = snapshot;
	return error;
}

int host_kernel_snapshot(struct host_kernel *kernel,
			 const struct host_file *given,
			 struct host_snapshot **taken)
{
	struct host_image_file *file = host_image_file_new(given);
	int error;

	if (!file)
		return -ENOMEM;
	error = host_seize(kernel, false);
	if (!error) {
		error = host_take(kernel, file, taken);
		host_unseize(kernel);
	}
	host_image_file_release(file);
	return error;
}

void host_snapshot_free(struct host_snapshot *snapshot)
{
	host_image_file_release(snapshot->file);
	host_processes_free(snapshot->processes);
	free(snapshot->guards);
	free(snapshot);
}

u64 host_snapshot_bytes(struct host_snapshot *snapshot)
{
	struct stat status;

	return fstat(snapshot->file->fd, &status) ? 0 : status.st_blocks * 512;
}

/* ---- putting back ---------------------------------------------------- */

/* Is every disk of the snapshot still attached? */
static bool host_has_disks(struct host_kernel *kernel,
			   struct host_snapshot *snapshot)
{
	struct host_saved_disk *saved = snapshot->disks;
	u32 at, index;

	for (at = 0; at < snapshot->nr_disks; at++, saved++) {
		for (index = 0; index < DISKS; index++)
			if (kernel->disks[index] == saved->disk &&
			    saved->disk->id == saved->id)
				break;
		if (index == DISKS)
			return false;
	}
	return true;
}

/* What moved into the memfd shows the snapshot's file as all the rest does. */
static int host_take_back_granules(struct host_kernel *kernel,
				   struct host_snapshot *snapshot)
{
	u64 offset, bytes = GRANULE_BYTES;

	for (offset = 0; offset < kernel->memory_bytes; offset += bytes) {
		if (!host_granule_is_elsewhere(kernel, offset / GRANULE_BYTES))
			continue;
		if (bytes > kernel->memory_bytes - offset)
			bytes = kernel->memory_bytes - offset;
		if (mmap((void *)(kernel->memory + offset), bytes,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
			 snapshot->file->fd,
			 snapshot->memory_offset + offset) == MAP_FAILED)
			return -errno;
		host_guard_renew(kernel, kernel->memory + offset, bytes);
	}
	return 0;
}

static int host_restore_memory(struct host_kernel *kernel,
			       struct host_snapshot *snapshot)
{
	bool anew = kernel->region.from != snapshot->file;
	int error;

	error = host_region_restore(&kernel->region, snapshot->file,
				    snapshot->memory_offset);
	if (!error && !anew)
		error = host_take_back_granules(kernel, snapshot);
	if (!error)
		host_granules_own(kernel);
	if (!error && kernel->memfd >= 0)
		error = host_memory_forget_aliases(kernel);
	if (!error)
		host_guard_restore(kernel, snapshot->guards, anew);
	return error;
}

static int host_restore_disks(struct host_kernel *kernel,
			      struct host_snapshot *snapshot)
{
	struct host_saved_disk *saved = snapshot->disks;
	int error = 0;
	u32 at;

	(void)kernel;
	for (at = 0; at < snapshot->nr_disks && !error; at++, saved++)
		if (saved->disk->flags & HOST_DISK_OVERLAY)
			error = host_overlay_restore(
				saved->disk, snapshot->file, &saved->overlay);
	return error;
}

static void host_revive(struct host_kernel *kernel)
{
	kernel->stuck = false;
	host_abort_end(kernel);
	kernel->sleeper = NULL;
	memset(&kernel->report, 0, sizeof(kernel->report));
	/* Its progress is that of then again, and yet it gets on: see wait.c. */
	kernel->progress = ~0ULL;
	/* Of a dead one nobody touches the word. */
	if (kernel->dead)
		__atomic_store_n(&kernel->owner, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&kernel->dead, false, __ATOMIC_RELEASE);
	host_unseize(kernel);
}

int host_kernel_restore(struct host_kernel *kernel,
			struct host_snapshot *snapshot)
{
	int error = host_seize(kernel, true);

	if (error)
		return error;
	if (!host_has_disks(kernel, snapshot)) {
		host_unseize(kernel);
		return -ENODEV;
	}
	error = host_restore_memory(kernel, snapshot);
	if (!error)
		error = host_restore_disks(kernel, snapshot);
	if (!error)
		error = host_processes_restore(kernel, snapshot->processes);
	if (!error) {
		host_sampler_restored(kernel);
		host_revive(kernel);
		return 0;
	}
	/* Neither what it was nor what it is. It stays owned. */
	pthread_mutex_lock(&kernel->lock);
	strcpy(kernel->dead_text, "a snapshot could not be put back");
	__atomic_store_n(&kernel->dead, true, __ATOMIC_RELEASE);
	kernel->seized = false;
	pthread_mutex_unlock(&kernel->lock);
	return error;
}
