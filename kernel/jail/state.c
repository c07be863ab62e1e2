// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots, and a host that misbehaves: what both do is done by the cell, with
 * the host side that it is linked with.
 *
 * The file of a snapshot is made here, with a size that it keeps, so that the
 * cell needs no right to make files and fills no more of the host's memory than
 * its own comes to. A kernel that died in a living cell is put back like any
 * other; what went with its process cannot be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper.h"

struct jail_snapshot {
	u64 handle; /* the cell's */
	int fd;
	struct jail_snapshot *next; /* dropped */
	u64 disk_bytes[DISKS]; /* by name; 0: was not there */
};

/* ---- the file -------------------------------------------------------- */

/* The most that the cell can have to save. */
static u64 jail_state_bytes(struct jail *jail)
{
	u64 bytes = CHANNEL_ARENA_BYTES(jail->memory_bytes);
	u32 name;

	pthread_mutex_lock(&jail->lock);
	for (name = 0; name < DISKS; name++)
		if (jail->disks[name] &&
		    (jail->disks[name]->flags & HOST_DISK_OVERLAY))
			bytes += jail_overlay_bytes(jail->disks[name]->bytes);
	pthread_mutex_unlock(&jail->lock);
	return bytes;
}

/* ---- what has gone --------------------------------------------------- */

static void jail_snapshot_free(struct jail_snapshot *snapshot)
{
	close(snapshot->fd);
	free(snapshot);
}

/* Tell the cell of all that was dropped since somebody could. */
static void jail_tell_dropped(struct jail *jail, struct jail_slot *slot)
{
	struct jail_snapshot *snapshot, *next;
	struct host_result result;

	pthread_mutex_lock(&jail->lock);
	snapshot = jail->dropped;
	jail->dropped = NULL;
	pthread_mutex_unlock(&jail->lock);
	for (; snapshot; snapshot = next) {
		u64 args[6] = { [5] = snapshot->handle };

		next = snapshot->next;
		jail_request(jail, slot, CHANNEL_SNAPSHOT_DROP, 0, 0, args,
			     &result);
		jail_snapshot_free(snapshot);
	}
}

/* From whatever thread, which may be in a callback: then it is told later. */
void jail_drop(struct host_kernel *kernel, struct host_snapshot *host)
{
	struct jail_snapshot *snapshot = (struct jail_snapshot *)host;
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot;

	if (!jail || !jail_is_ours(jail)) {
		jail_snapshot_free(snapshot);
		return;
	}
	pthread_mutex_lock(&jail->lock);
	snapshot->next = jail->dropped;
	jail->dropped = snapshot;
	pthread_mutex_unlock(&jail->lock);
	slot = jail_enter_dead(jail, &result);
	if (slot)
		jail_tell_dropped(jail, slot);
}

void jail_snapshots_exit(struct jail *jail)
{
	struct jail_snapshot *snapshot;

	while ((snapshot = jail->dropped)) {
		jail->dropped = snapshot->next;
		jail_snapshot_free(snapshot);
	}
}

u64 jail_snapshot_bytes(struct host_snapshot *snapshot)
{
	struct stat status;

	return fstat(((struct jail_snapshot *)snapshot)->fd, &status) ?
		       0 :
		       (u64)status.st_blocks * 512;
}

/* ---- taking ---------------------------------------------------------- */

static void jail_note_disks(struct jail *jail, struct jail_snapshot *snapshot)
{
	u32 name;

	pthread_mutex_lock(&jail->lock);
	for (name = 0; name < DISKS; name++)
		snapshot->disk_bytes[name] =
			jail->disks[name] ? jail->disks[name]->bytes : 0;
	pthread_mutex_unlock(&jail->lock);
}

static int jail_code(const struct host_result *result)
{
	if (result->reentered)
		return -EBUSY;
	return result->value > 0 ? -EPROTO : (int)result->value;
}

static int jail_take(struct jail *jail, struct jail_slot *slot,
		     struct jail_snapshot *snapshot)
{
	u64 args[6] = { jail_state_bytes(jail) };
	struct host_result result;

	jail_tell_dropped(jail, slot);
	snapshot->fd = jail_file("liblinux-snapshot", args[0]);
	if (snapshot->fd < 0)
		return snapshot->fd;
	jail_allow_file(jail, args[0]);
	jail_note_disks(jail, snapshot);
	jail_request_with(jail, slot, snapshot->fd, CHANNEL_SNAPSHOT, args,
			  &result);
	snapshot->handle = channel_once(slot->shared->counts[0]);
	return jail_code(&result);
}

int jail_snapshot(struct host_kernel *kernel, struct host_snapshot **taken)
{
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter(jail, &result);
	struct jail_snapshot *snapshot;
	int code;

	if (!slot)
		return jail_code(&result);
	snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return -ENOMEM;
	code = jail_take(jail, slot, snapshot);
	if (!code) {
		*taken = (struct host_snapshot *)snapshot;
		return 0;
	}
	if (snapshot->fd >= 0)
		close(snapshot->fd);
	free(snapshot);
	return code;
}

/* ---- putting back ---------------------------------------------------- */

/* The cell has the disks of then, with the sizes of then. */
static void jail_restored(struct jail *jail,
			  const struct jail_snapshot *snapshot)
{
	u32 name;

	pthread_mutex_lock(&jail->lock);
	for (name = 0; name < DISKS; name++)
		if (jail->disks[name] && snapshot->disk_bytes[name])
			jail->disks[name]->bytes = snapshot->disk_bytes[name];
	__atomic_store_n(&jail->dead, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&jail->lock);
}

int jail_restore(struct host_kernel *kernel, struct host_snapshot *host)
{
	struct jail_snapshot *snapshot = (struct jail_snapshot *)host;
	const u64 args[6] = { [5] = snapshot->handle };
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter_dead(jail, &result);

	if (slot && jail_request(jail, slot, CHANNEL_RESTORE, 0, 0, args,
				 &result) &&
	    !result.value)
		jail_restored(jail, snapshot);
	return jail_code(&result);
}

/* ---- misbehaviour ---------------------------------------------------- */

int jail_inject(struct host_kernel *kernel,
		const struct host_injection *injection)
{
	const u64 args[6] = { injection != NULL };
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter_dead(jail, &result);

	if (slot) {
		if (injection)
			memcpy(slot->area, injection, sizeof(*injection));
		if (injection && injection->chance[HOST_INJECT_CLOCK])
			__atomic_store_n(&jail->clock_jumps, true,
					 __ATOMIC_RELAXED);
		jail_request(jail, slot, CHANNEL_INJECT, 0, 0, args, &result);
	}
	return jail_code(&result);
}

int jail_injected(struct host_kernel *kernel, u64 counts[HOST_INJECTIONS])
{
	struct jail *jail = jail_of(kernel);
	struct host_result result;
	struct jail_slot *slot = jail_enter_dead(jail, &result);

	if (slot && jail_request(jail, slot, CHANNEL_INJECTED, 0, 0, NULL,
				 &result))
		memcpy(counts, slot->area, HOST_INJECTIONS * sizeof(*counts));
	return jail_code(&result);
}
