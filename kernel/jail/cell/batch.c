// SPDX-License-Identifier: GPL-2.0-only
/*
 * Directories and trees. What a batch has gathered is one long string of bytes,
 * its arrays one after the other: the beginning is in the answer, the parent
 * fetches the rest.
 */
#define _GNU_SOURCE
#include "cell.h"

#define ARRAYS 3

/* Kept until all of it is fetched. */
static __thread struct host_array cell_kept[ARRAYS];

void cell_drop(void)
{
	int at;

	for (at = 0; at < ARRAYS; at++)
		host_array_free(&cell_kept[at]);
}

/* Bytes of all arrays from `offset` on, into the area. */
static void cell_copy(u64 offset, u64 bytes)
{
	char *to = cell_area;
	u64 part;
	int at;

	for (at = 0; at < ARRAYS && bytes; at++) {
		if (offset >= cell_kept[at].bytes) {
			offset -= cell_kept[at].bytes;
			continue;
		}
		part = cell_kept[at].bytes - offset;
		if (part > bytes)
			part = bytes;
		memcpy(to, cell_kept[at].data + offset, part);
		to += part;
		bytes -= part;
		offset = 0;
	}
}

static void cell_gathered(const struct host_result *result, s64 code)
{
	u64 bytes = 0;
	int at;

	cell_answer(result);
	if (host_result_is_plain(result))
		cell_slot->value = code;
	for (at = 0; at < ARRAYS; at++) {
		cell_slot->counts[at] = cell_kept[at].bytes;
		bytes += cell_kept[at].bytes;
	}
	cell_copy(0, bytes < CHANNEL_CALL_BYTES ? bytes : CHANNEL_CALL_BYTES);
	if (bytes <= CHANNEL_CALL_BYTES)
		cell_drop();
}

static bool cell_stop(void *argument)
{
	(void)argument;
	return channel_load(&cell_slot->interrupt);
}

void cell_list(void)
{
	struct host_listing listing = { .stop = cell_stop };

	host_list(cell_process(cell_slot->handle),
		  cell_slot->args[0] ? cell_area : NULL,
		  (int)cell_slot->args[1], &listing);
	cell_kept[0] = listing.dents;
	cell_gathered(&listing.result, listing.code);
}

void cell_walk(void)
{
	struct host_walk walk = { .stop = cell_stop,
				  .follow_mounts = cell_slot->args[1] & 1,
				  .with_top = cell_slot->args[1] & 2,
				  .most = cell_slot->args[1] >> 2 };

	host_walk(cell_process(cell_slot->handle), cell_area, &walk);
	cell_kept[0] = walk.paths;
	cell_kept[1] = walk.entries;
	cell_kept[2] = walk.errors;
	walk.paths = walk.entries = walk.errors = (struct host_array){ 0 };
	host_walk_free(&walk);
	cell_gathered(&walk.result, walk.code);
	if (walk.out_of_memory)
		cell_slot->flags |= CHANNEL_OUT_OF_MEMORY;
}

void cell_fetch(void)
{
	u64 bytes = cell_slot->args[1];

	cell_copy(cell_slot->args[0],
		  bytes < CHANNEL_CALL_BYTES ? bytes : CHANNEL_CALL_BYTES);
}
