// SPDX-License-Identifier: GPL-2.0-only
/*
 * The passes of copy.h: from entry to entry, and making each.
 *
 * A directory that this copy has created has no names but those that it makes;
 * there an entry is created under its own name, and one that is there already
 * is a second of that name (an image may list one twice, FAT thinks that README
 * and readme are the same). Elsewhere it is made under a temporary name and
 * renamed when it is complete.
 *
 * Paths may come from an isolated kernel, which is not to be believed: they are
 * taken by their length, and the last part must be a name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "copy.h"

#define COPY_NONE SIZE_MAX
#define COPY_NAME_BYTES 256 /* NAME_MAX, with its zero */

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

/* ---- names and directories ------------------------------------------- */

static bool copy_name(struct host_copy *copy, size_t index,
		      struct copy_name *name)
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
static int copy_open_below(struct host_copy_end *side, const char *path,
			   size_t bytes)
{
	char part[COPY_PATH_BYTES];
	int fd = side->top, next;

	while (bytes) {
		size_t step = bytes;

		if (step >= sizeof(part))
			for (step = sizeof(part) - 1; step && path[step] != '/';)
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

static void copy_leave_parent(struct host_copy_end *side)
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

static bool copy_to_failed(struct host_copy *copy, size_t index,
			   enum host_copy_trouble trouble, s64 code)
{
	if (code < 0 && host_result_is_plain(&copy->to.end.result))
		copy_problem(copy, index, trouble, code, NULL);
	return code < 0;
}

/*
 * The parents of an entry; false, and noted, when one cannot be entered. What
 * only changes the target must not need a source, which may have died.
 */
static bool copy_enter(struct host_copy *copy, size_t index,
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
static const struct host_copy_note *copy_parent_note(struct host_copy *copy,
						     size_t index)
{
	const struct host_walk_entry *entry = &copy->entries[index];

	if (!entry->path_bytes)
		return NULL;
	/* What is in the top has no number there; a lie is refused by mkdir. */
	return &copy->notes[entry->parent < copy->nr_entries ? entry->parent :
							       0];
}

/* ---- making one entry ------------------------------------------------ */

static void copy_remove(struct host_copy *copy, const char *name)
{
	struct host_result before = copy->to.end.result;

	if (before.dead)
		return;
	end_unlink(&copy->to.end, copy->to.parent, name, false);
	if (host_result_is_plain(&copy->to.end.result))
		copy->to.end.result = before;
}

static bool copy_file_between(struct host_copy *copy, size_t index,
			      const struct copy_name *name, int from, int to,
			      const char *to_name)
{
	struct host_statx status;

	copy_status(copy, index, &status);
	/* Btrfs takes "no copy on write" of empty files only. */
	if (copy_chattr(copy, index, from) & HOST_CHATTR_NOCOW)
		end_set_flags(&copy->to.end, to, HOST_CHATTR_NOCOW);
	if (!(copy->keep & HOST_COPY_EMPTY) &&
	    !copy_data(copy, index, status.size, status.blocks, from, to))
		return false;
	copy_belongings(copy, index, name, from, to, to_name);
	return copy_goes_on(copy);
}

static bool copy_make_file(struct host_copy *copy, size_t index,
			   const struct copy_name *name, const char *to_name)
{
	s64 to, code, from = end_open(&copy->from.end, copy->from.parent,
				      name->from,
				      O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	bool made = false;

	if (!copy_goes_on(copy))
		return false;
	if (from < 0) {
		copy_problem(copy, index, HOST_COPY_OPEN, from, NULL);
		return false;
	}
	to = end_open(&copy->to.end, copy->to.parent, to_name,
		      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (!copy_to_failed(copy, index, HOST_COPY_CREATE, to)) {
		made = copy_file_between(copy, index, name, (int)from, (int)to,
					 to_name);
		code = end_close(&copy->to.end, (int)to);
		if (made && copy_to_failed(copy, index, HOST_COPY_WRITE, code))
			made = false;
		if (!made)
			copy_remove(copy, to_name);
	}
	end_close(&copy->from.end, (int)from);
	return made;
}

static s64 copy_create_link(struct host_copy *copy, size_t index,
			    const struct copy_name *name, const char *to_name)
{
	char *says = copy->full;
	s64 bytes = end_readlink(&copy->from.end, copy->from.parent, name->from,
				 says, COPY_PATH_BYTES);

	if (!copy_goes_on(copy))
		return -EINTR;
	if (bytes < 0 || bytes == COPY_PATH_BYTES) {
		copy_problem(copy, index, HOST_COPY_READ,
			     bytes < 0 ? bytes : -ENAMETOOLONG, NULL);
		return -EINTR;
	}
	says[bytes] = 0;
	return end_symlink(&copy->to.end, says, copy->to.parent, to_name);
}

/* Links, devices, pipes, sockets. */
static bool copy_make_other(struct host_copy *copy, size_t index,
			    const struct copy_name *name, const char *to_name)
{
	struct host_statx status;
	s64 code;

	copy_status(copy, index, &status);
	if (S_ISLNK(status.mode)) {
		code = copy_create_link(copy, index, name, to_name);
		if (code == -EINTR)
			return false; /* noted, or to be stopped */
	} else {
		code = end_mknod(&copy->to.end, copy->to.parent, to_name,
				 (status.mode & S_IFMT) | 0600,
				 makedev(status.rdev_major, status.rdev_minor));
	}
	if (copy_to_failed(copy, index, HOST_COPY_CREATE, code))
		return false;
	copy_belongings(copy, index, name, -1, -1, to_name);
	if (copy_goes_on(copy))
		return true;
	copy_remove(copy, to_name);
	return false;
}

/* A further name of a file that was copied; false: it is a file of its own. */
static bool copy_make_name(struct host_copy *copy, size_t index, s64 of,
			   const char *to_name)
{
	const struct host_walk_entry *entry;
	struct copy_name name;
	s64 dir, code = -ENOENT;

	if (of < 0 || (u64)of >= copy->nr_entries || !copy->notes[of].made ||
	    !copy_name(copy, (size_t)of, &name))
		return false;
	entry = &copy->entries[of];
	dir = entry->path_bytes ?
		      copy_open_below(&copy->to, copy->paths + entry->path_at,
				      name.parent_bytes) :
		      copy->to.dir;
	if (dir < 0) {
		copy_to_failed(copy, index, HOST_COPY_LOST_LINK, dir);
		return false;
	}
	code = end_link(&copy->to.end, (int)dir, name.to, copy->to.parent,
			to_name);
	if (dir != copy->to.dir && dir != copy->to.top)
		end_close(&copy->to.end, (int)dir);
	if (code != -EEXIST)
		copy_to_failed(copy, index, HOST_COPY_LOST_LINK, code);
	return code >= 0;
}

static bool copy_make_under(struct host_copy *copy, size_t index, s64 of,
			    const struct copy_name *name, const char *to_name)
{
	struct host_statx status;

	copy_status(copy, index, &status);
	if (copy_make_name(copy, index, of, to_name))
		return true;
	if (!copy_goes_on(copy))
		return false;
	return S_ISREG(status.mode) ?
		       copy_make_file(copy, index, name, to_name) :
		       copy_make_other(copy, index, name, to_name);
}

/* May the name be taken? */
static bool copy_may_take(struct host_copy *copy, size_t index,
			  const struct copy_name *name)
{
	struct host_statx status;
	s64 code;

	if (copy->existing == HOST_COPY_REPLACE)
		return true;
	code = end_statx(&copy->to.end, copy->to.parent, name->to, &status);
	if (code < 0)
		return copy_goes_on(copy);
	if (copy->existing == HOST_COPY_REFUSE)
		copy_problem(copy, index, HOST_COPY_CREATE, -EEXIST, NULL);
	return false;
}

static bool copy_make_entry(struct host_copy *copy, size_t index, s64 of,
			    const struct copy_name *name, bool fresh)
{
	s64 code;

	if (fresh)
		return copy_make_under(copy, index, of, name, name->to);
	if (!copy_may_take(copy, index, name) ||
	    !copy_make_under(copy, index, of, name, copy->temporary))
		return false;
	code = end_rename(&copy->to.end, copy->to.parent, copy->temporary,
			  name->to);
	/* Two names of one file are not renamed (rename(2)), but both stay. */
	if (code < 0 || of >= 0)
		copy_remove(copy, copy->temporary);
	return !copy_to_failed(copy, index, HOST_COPY_RENAME, code);
}

static void copy_make_directory(struct host_copy *copy, size_t index,
				const struct copy_name *name, bool fresh)
{
	struct host_copy_note *note = &copy->notes[index];
	struct host_statx status;
	s64 code = end_mkdir(&copy->to.end, copy->to.parent, name->to, 0700);

	if (code == -EEXIST && !fresh &&
	    end_statx(&copy->to.end, copy->to.parent, name->to, &status) >= 0 &&
	    S_ISDIR(status.mode)) {
		note->made = 1;
	} else if (!copy_to_failed(copy, index, HOST_COPY_CREATE, code)) {
		note->made = 1;
		note->fresh = 1;
	}
}

static void copy_make(struct host_copy *copy, size_t index, s64 of)
{
	const struct host_copy_note *parent = copy_parent_note(copy, index);
	struct host_statx status;
	struct copy_name name;

	if (parent && !parent->made)
		return; /* noted with the directory */
	if (!copy_name(copy, index, &name)) {
		copy_problem(copy, index, HOST_COPY_NAME, -EINVAL, NULL);
		return;
	}
	if (!copy_enter(copy, index, &name))
		return;
	copy_status(copy, index, &status);
	if (S_ISDIR(status.mode))
		copy_make_directory(copy, index, &name,
				    parent && parent->fresh);
	else
		copy->notes[index].made =
			copy_make_entry(copy, index, of, &name,
					parent && parent->fresh);
}

/* ---- the other passes ------------------------------------------------ */

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
	if (parent && parent->fresh) /* FINISH may have made it read-only */
		end_chmod(&copy->to.end, -1, copy->to.parent, ".", 0700);
	if (S_ISDIR(status.mode) ? !note->fresh : !(parent && parent->fresh))
		return;
	code = end_unlink(&copy->to.end, copy->to.parent, name.to,
			  S_ISDIR(status.mode));
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
