// SPDX-License-Identifier: GPL-2.0-only
/*
 * Directories and trees: what the cell has gathered, in memory of this process.
 * It is fetched as one row of bytes; what the bytes say is for their user to
 * check (see _native/list.c and walk.c), once they cannot change any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include "keeper.h"

#define ARRAYS 3

struct jail_row {
	struct jail *jail;
	struct jail_slot *slot;
	u64 at; /* of the row, of what comes next */
	struct host_result result;
};

static u64 jail_row_left(const u64 counts[ARRAYS])
{
	u64 bytes = 0;
	int at;

	for (at = 0; at < ARRAYS; at++) {
		if (counts[at] > JAIL_ANSWER_BYTES)
			return JAIL_ANSWER_BYTES + 1;
		bytes += counts[at];
	}
	return bytes;
}

/* The next `bytes` of the row; what was in the answer, else by asking. */
static bool jail_row_take(struct jail_row *row, char *to, u64 bytes)
{
	u64 part, in_area;

	for (; bytes; bytes -= part, to += part, row->at += part) {
		u64 args[6] = { row->at, bytes };

		if (row->at < CHANNEL_CALL_BYTES) {
			in_area = CHANNEL_CALL_BYTES - row->at;
			part = bytes < in_area ? bytes : in_area;
			memcpy(to, row->slot->area + row->at, part);
			continue;
		}
		part = bytes < CHANNEL_CALL_BYTES ? bytes : CHANNEL_CALL_BYTES;
		if (!jail_request(row->jail, row->slot, CHANNEL_FETCH, 0, 0,
				  args, &row->result))
			return false;
		memcpy(to, row->slot->area, part);
	}
	return true;
}

/* Request and answer; 0, -errno, or with the result not plain anything. */
static s64 jail_gather_row(struct host_process *process, u32 op,
			   const char *path, u64 other,
			   struct host_array *arrays[ARRAYS],
			   struct host_result *result, bool *out_of_memory)
{
	struct jail_process *caller = (struct jail_process *)process;
	struct jail_row row = { .jail = caller->jail };
	const u64 args[6] = { path != NULL, other };
	u64 counts[ARRAYS];
	s64 code;
	int at;

	row.slot = jail_enter(row.jail, result);
	if (!row.slot)
		return result->value;
	if (path && strlen(path) >= CHANNEL_CALL_BYTES)
		return -ENAMETOOLONG;
	if (path)
		strcpy(row.slot->area, path);
	if (!jail_request(row.jail, row.slot, op, caller->handle, 0, args,
			  result))
		return result->value;
	code = result->value;
	*out_of_memory = channel_once(row.slot->shared->flags) &
			 CHANNEL_OUT_OF_MEMORY;
	for (at = 0; at < ARRAYS; at++)
		counts[at] = channel_once(row.slot->shared->counts[at]);
	if (jail_row_left(counts) > JAIL_ANSWER_BYTES) {
		jail_liar(row.jail, "its answer is longer than any");
		jail_result_dead(result);
		return result->value;
	}
	for (at = 0; at < ARRAYS; at++) {
		char *to = NULL;

		if (counts[at] && arrays[at])
			to = host_array_add(arrays[at], counts[at]);
		if (!to && counts[at])
			*out_of_memory = true;
		if (to && !*out_of_memory &&
		    !jail_row_take(&row, to, counts[at])) {
			jail_result_dead(result);
			return result->value;
		}
	}
	if (jail_row_left(counts) > CHANNEL_CALL_BYTES)
		jail_request(row.jail, row.slot, CHANNEL_DROP, 0, 0, NULL,
			     &row.result);
	return code;
}

void jail_list(struct host_process *process, const char *path, int fd,
	       struct host_listing *listing)
{
	struct host_array *arrays[ARRAYS] = { &listing->dents };
	bool out_of_memory = false;

	listing->code = jail_gather_row(process, CHANNEL_LIST, path, (u64)fd,
					arrays, &listing->result,
					&out_of_memory);
	if (out_of_memory)
		listing->code = -ENOMEM;
}

void jail_walk(struct host_process *process, const char *path,
	       struct host_walk *walk)
{
	struct host_array *arrays[ARRAYS] = { &walk->paths, &walk->entries,
					      &walk->errors };

	walk->code = jail_gather_row(process, CHANNEL_WALK, path,
				     (u64)walk->follow_mounts |
					     (u64)walk->with_top << 1 |
					     walk->most << 2,
				     arrays, &walk->result,
				     &walk->out_of_memory);
}
