// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names, and the directories that they are in. Nobody gets out of the tree: an
 * entry's directory is opened below the top without following any link, in
 * steps when its path is longer than the kernel takes at once, and from there
 * on only the last part of the path is used.
 *
 * Paths may come from an isolated kernel, which is not to be believed: they are
 * taken by their length, and the last part must be a name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "copy_inside.h"

#define COPY_NAME_BYTES 256 /* NAME_MAX, with its zero */

bool copy_name(struct host_copy *copy, size_t index, struct copy_name *name)
{
	const struct host_walk_entry *entry = &copy->entries[index];
	const char *path = copy->paths + entry->path_at;
	size_t at = entry->path_bytes, bytes;

	name->parent_bytes = 0;
	if (!at) {
		strncpy(name->from, copy->from.name, sizeof(name->from) - 1);
		strncpy(name->to, copy->to.name, sizeof(name->to) - 1);
		name->from[255] = name->to[255] = 0;
		return true;
	}
	while (at && path[at - 1] != '/')
		at--;
	bytes = entry->path_bytes - at;
	if (!bytes || bytes >= COPY_NAME_BYTES || memchr(path + at, 0, bytes))
		return false;
	memcpy(name->from, path + at, bytes);
	name->from[bytes] = 0;
	memcpy(name->to, name->from, bytes + 1);
	name->parent_bytes = at ? at - 1 : 0;
	return !host_is_dot(name->to);
}

/* A directory below the top by so many bytes of a path, in steps. */
int copy_open_below(struct host_copy_end *side, const char *path, size_t bytes)
{
	char part[COPY_PATH_BYTES];
	int fd = side->top, next;

	while (bytes) {
		size_t step = bytes;

		if (step >= sizeof(part))
			for (step = sizeof(part) - 1;
			     step && path[step] != '/';)
				step--;
		if (!step || memchr(path, 0, step))
			return -ENAMETOOLONG;
		memcpy(part, path, step);
		part[step] = 0;
		next = (int)end_open_in_tree(&side->end, fd, part,
					     O_RDONLY | O_DIRECTORY);
		if (fd != side->top)
			end_close(&side->end, fd);
		if (next < 0)
			return next;
		fd = next;
		step += step < bytes; /* the slash */
		path += step;
		bytes -= step;
	}
	return fd;
}

void copy_leave_parent(struct host_copy_end *side)
{
	if (side->parent >= 0 && side->parent != side->top &&
	    side->parent != side->dir)
		end_close(&side->end, side->parent);
	side->parent = -1;
}

static int copy_enter_parent(struct host_copy_end *side, const char *path,
			     size_t path_bytes, size_t parent_bytes)
{
	side->parent = path_bytes ? copy_open_below(side, path, parent_bytes) :
				    side->dir;
	return side->parent;
}

static bool copy_same_parent(struct host_copy *copy, size_t one, size_t other)
{
	const struct host_walk_entry *first = &copy->entries[one];
	const struct host_walk_entry *second = &copy->entries[other];
	const char *path = copy->paths + first->path_at;
	const char *path2 = copy->paths + second->path_at;
	size_t at = first->path_bytes, at2 = second->path_bytes;

	if (!at || !at2)
		return at == at2;
	while (at && path[at - 1] != '/')
		at--;
	while (at2 && path2[at2 - 1] != '/')
		at2--;
	return at == at2 && !memcmp(path, path2, at);
}

/*
 * The parents of an entry; false, and noted, when one cannot be entered. What
 * only changes the target must not need a source, which may have died.
 */
bool copy_enter(struct host_copy *copy, size_t index,
		const struct copy_name *name)
{
	const struct host_walk_entry *entry = &copy->entries[index];
	const char *path = copy->paths + entry->path_at;
	int fd;

	if (copy->parent_of != COPY_NONE &&
	    copy_same_parent(copy, copy->parent_of, index))
		return true;
	copy_leave_parent(&copy->from);
	copy_leave_parent(&copy->to);
	copy->parent_of = COPY_NONE;
	if (copy->pass != HOST_COPY_FLAGS && copy->pass != HOST_COPY_REMOVE) {
		fd = copy_enter_parent(&copy->from, path, entry->path_bytes,
				       name->parent_bytes);
		if (fd < 0 && host_result_is_plain(&copy->from.end.result))
			copy_problem(copy, index, HOST_COPY_OPEN, fd, NULL);
		if (fd < 0)
			return false;
	}
	fd = copy_enter_parent(&copy->to, path, entry->path_bytes,
			       name->parent_bytes);
	if (fd < 0) {
		copy_to_failed(copy, index, HOST_COPY_CREATE, fd);
		return false;
	}
	copy->parent_of = index;
	return true;
}

/* The note of an entry's directory; NULL of the top's. */
const struct host_copy_note *copy_parent_note(struct host_copy *copy,
					      size_t index)
{
	const struct host_walk_entry *entry = &copy->entries[index];

	if (!entry->path_bytes)
		return NULL;
	/* What is in the top has no number there; a lie is refused by mkdir. */
	return &copy->notes[entry->parent < copy->nr_entries ? entry->parent :
							       0];
}
