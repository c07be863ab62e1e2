// SPDX-License-Identifier: GPL-2.0-only
/* Snapshots, in files that the parent has made, and misbehaviour. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>
#include "cell.h"

static struct host_snapshot *cell_snapshots[CHANNEL_SNAPSHOTS];
static pthread_mutex_t cell_snapshots_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- handles --------------------------------------------------------- */

static int cell_keep(struct host_snapshot *snapshot, u64 *handle)
{
	int code = -ENFILE;
	u64 at;

	pthread_mutex_lock(&cell_snapshots_lock);
	for (at = 0; at < CHANNEL_SNAPSHOTS && code; at++)
		if (!cell_snapshots[at]) {
			cell_snapshots[at] = snapshot;
			*handle = at;
			code = 0;
		}
	pthread_mutex_unlock(&cell_snapshots_lock);
	return code;
}

static struct host_snapshot *cell_snapshot_of(u64 handle, bool forget)
{
	struct host_snapshot *snapshot = NULL;

	pthread_mutex_lock(&cell_snapshots_lock);
	if (handle < CHANNEL_SNAPSHOTS) {
		snapshot = cell_snapshots[handle];
		if (forget)
			cell_snapshots[handle] = NULL;
	}
	pthread_mutex_unlock(&cell_snapshots_lock);
	return snapshot;
}

/* ---- requests -------------------------------------------------------- */

/* A dead kernel is said as such, what was refused as what it is. */
static void cell_said(int code)
{
	struct host_result result = { .value = code };

	result.dead = code && code != -EBUSY && code != -ENODEV &&
		      host_kernel_dead(cell_kernel);
	cell_answer(&result);
}

void cell_snapshot(void)
{
	struct host_file file = { .bytes = cell_slot->args[0] };
	struct host_snapshot *snapshot;
	int code;

	file.fd = cell_receive();
	if (file.fd < 0) {
		cell_slot->value = file.fd;
		return;
	}
	code = host_kernel_snapshot(cell_kernel, &file, &snapshot);
	if (!code) {
		code = cell_keep(snapshot, &cell_slot->counts[0]);
		if (code)
			host_snapshot_free(snapshot);
	}
	cell_said(code);
}

void cell_restore(void)
{
	struct host_snapshot *snapshot =
		cell_snapshot_of(cell_slot->args[5], false);

	cell_said(snapshot ? host_kernel_restore(cell_kernel, snapshot) :
			     -EINVAL);
}

void cell_snapshot_drop(void)
{
	struct host_snapshot *snapshot =
		cell_snapshot_of(cell_slot->args[5], true);

	if (snapshot)
		host_snapshot_free(snapshot);
}

void cell_inject(void)
{
	struct host_injection injection;

	memcpy(&injection, cell_area, sizeof(injection));
	cell_slot->value = host_kernel_inject(
		cell_kernel, cell_slot->args[0] ? &injection : NULL);
}

void cell_injected(void)
{
	u64 counts[HOST_INJECTIONS];

	host_kernel_injected(cell_kernel, counts);
	memcpy(cell_area, counts, sizeof(counts));
}
