// SPDX-License-Identifier: GPL-2.0-only
/*
 * The passes of copy.h, from entry to entry, and what is noted on the way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "copy_inside.h"

bool copy_goes_on(struct host_copy *copy)
{
	return !copy->out_of_memory &&
	       host_result_is_plain(&copy->from.end.result) &&
	       host_result_is_plain(&copy->to.end.result) &&
	       !(copy->stop && copy->stop(copy->stop_argument));
}

void copy_status(const struct host_copy *copy, size_t index,
		 struct host_statx *status)
{
	memcpy(status, copy->entries[index].status, HOST_STATX_KEPT_BYTES);
}

/* No more of its kind can be written, or shall be. */
static bool copy_is_fatal(const struct host_copy *copy,
			  enum host_copy_trouble trouble, s64 code)
{
	if (trouble == HOST_COPY_READ && *copy->counter > copy->most)
		return true;
	return trouble >= HOST_COPY_CREATE && trouble <= HOST_COPY_RENAME &&
	       (code == -ENOSPC || code == -EDQUOT || code == -EROFS);
}

void copy_problem(struct host_copy *copy, size_t index,
		  enum host_copy_trouble trouble, s64 code, const char *text)
{
	size_t bytes = text ? strlen(text) : 0;
	char *place = host_array_add(&copy->texts, bytes);
	struct host_copy_problem *problem =
		host_array_add(&copy->problems, sizeof(*problem));

	if (!problem || (bytes && !place)) {
		copy->out_of_memory = true;
		return;
	}
	if (bytes)
		memcpy(place, text, bytes);
	*problem = (struct host_copy_problem){
		.index = index,
		.trouble = trouble,
		.error = (int32_t)-code,
		.text_at = copy->texts.bytes - bytes,
		.text_bytes = bytes,
	};
	if (copy_is_fatal(copy, trouble, code))
		copy->fatal = (int)-code;
}

bool copy_to_failed(struct host_copy *copy, size_t index,
		    enum host_copy_trouble trouble, s64 code)
{
	if (code < 0 && host_result_is_plain(&copy->to.end.result))
		copy_problem(copy, index, trouble, code, NULL);
	return code < 0;
}

/* ---- the passes ------------------------------------------------------ */

static void copy_finish(struct host_copy *copy, size_t index)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	struct copy_name name;
	s64 from = -1, to;

	if (!copy->notes[index].made || !copy_name(copy, index, &name) ||
	    !copy_enter(copy, index, &name))
		return;
	if (copy->keep & (HOST_COPY_XATTRS | HOST_COPY_CHATTR))
		from = end_open(&copy->from.end, copy->from.parent, name.from,
				flags, 0);
	to = end_open(&copy->to.end, copy->to.parent, name.to, flags, 0);
	if (!copy_to_failed(copy, index, HOST_COPY_LOST_MODE, to)) {
		copy_chattr(copy, index, (int)from);
		copy_belongings(copy, index, &name, from < 0 ? -1 : (int)from,
				(int)to, name.to);
		end_close(&copy->to.end, (int)to);
	}
	end_close(&copy->from.end, (int)from);
}

static void copy_flags(struct host_copy *copy, size_t index)
{
	struct copy_name name;
	s64 to;

	if (!copy->notes[index].made || !copy->notes[index].chattr ||
	    !copy_name(copy, index, &name) || !copy_enter(copy, index, &name))
		return;
	to = end_open(&copy->to.end, copy->to.parent, name.to,
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (copy_to_failed(copy, index, HOST_COPY_LOST_CHATTR, to))
		return;
	copy_set_chattr(copy, index, (int)to);
	end_close(&copy->to.end, (int)to);
}

/* Only what is new: what was replaced is not to be had again. */
static void copy_undo(struct host_copy *copy, size_t index)
{
	struct host_copy_note *note = &copy->notes[index];
	const struct host_copy_note *parent = copy_parent_note(copy, index);
	struct host_statx status;
	struct copy_name name;
	s64 code;

	if (!note->made || !copy_name(copy, index, &name) ||
	    !copy_enter(copy, index, &name))
		return;
	copy_status(copy, index, &status);
	if (S_ISDIR(status.mode) ? !note->fresh : !(parent && parent->fresh))
		return;
	code = end_unlink(&copy->to.end, copy->to.parent, name.to,
			  S_ISDIR(status.mode));
	if (code == -EACCES) { /* FINISH may have made it read-only */
		end_chmod(&copy->to.end, -1, copy->to.parent, ".", 0700);
		code = end_unlink(&copy->to.end, copy->to.parent, name.to,
				  S_ISDIR(status.mode));
	}
	if (!copy_to_failed(copy, index, HOST_COPY_WRITE, code))
		note->made = 0;
}

static void copy_compare(struct host_copy *copy, size_t index)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
	struct copy_name name;
	s64 from, to;

	if (!copy_name(copy, index, &name) || !copy_enter(copy, index, &name))
		return;
	from = end_open(&copy->from.end, copy->from.parent, name.from, flags,
			0);
	if (from < 0) {
		if (host_result_is_plain(&copy->from.end.result))
			copy_problem(copy, index, HOST_COPY_OPEN, from, NULL);
		return;
	}
	to = end_open(&copy->to.end, copy->to.parent, name.to, flags, 0);
	if (!copy_to_failed(copy, index, HOST_COPY_OPEN, to))
		copy_compare_data(copy, index, (int)from, (int)to);
	end_close(&copy->to.end, (int)to);
	end_close(&copy->from.end, (int)from);
}

static void copy_entry(struct host_copy *copy, size_t at)
{
	size_t index = (size_t)copy->indices[at];

	if (copy->pass == HOST_COPY_MAKE)
		copy_make(copy, index, copy->links ? copy->links[at] : -1);
	else if (copy->pass == HOST_COPY_FINISH)
		copy_finish(copy, index);
	else if (copy->pass == HOST_COPY_FLAGS)
		copy_flags(copy, index);
	else if (copy->pass == HOST_COPY_REMOVE)
		copy_undo(copy, index);
	else
		copy_compare(copy, index);
}

static bool copy_begin(struct host_copy *copy)
{
	copy->from.parent = copy->to.parent = -1;
	copy->parent_of = COPY_NONE;
	copy->buffer = malloc(COPY_BUFFER_BYTES);
	copy->names = malloc(COPY_LIST_BYTES + 1);
	copy->value = malloc(COPY_LIST_BYTES);
	copy->full = malloc(2 * COPY_PATH_BYTES);
	copy->out_of_memory = !copy->buffer || !copy->names || !copy->value ||
			      !copy->full;
	return !copy->out_of_memory;
}

void host_copy_run(struct host_copy *copy)
{
	if (!copy_begin(copy))
		return;
	while (copy->done < copy->count && !copy->fatal && copy_goes_on(copy)) {
		copy_entry(copy, copy->done);
		if (!copy->fatal && copy_goes_on(copy))
			copy->done++;
	}
	copy_leave_parent(&copy->from);
	copy_leave_parent(&copy->to);
}

void host_copy_free(struct host_copy *copy)
{
	free(copy->buffer);
	free(copy->names);
	free(copy->value);
	free(copy->full);
	host_array_free(&copy->problems);
	host_array_free(&copy->texts);
}
