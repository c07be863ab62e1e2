// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making one entry.
 *
 * A directory that this copy has created has no names but those that it makes;
 * there an entry is created under its own name, and one that is there already
 * is a second of that name (an image may list one twice, FAT thinks that README
 * and readme are the same). Elsewhere it is made under a temporary name and
 * renamed when it is complete.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "copy_inside.h"

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
	if ((copy->keep & HOST_COPY_FSYNC) &&
	    copy_to_failed(copy, index, HOST_COPY_WRITE,
			   end_fsync(&copy->to.end, to)))
		return false;
	return copy_goes_on(copy);
}

static bool copy_make_file(struct host_copy *copy, size_t index,
			   const struct copy_name *name, const char *to_name)
{
	s64 to, code,
		from = end_open(&copy->from.end, copy->from.parent, name->from,
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

void copy_make(struct host_copy *copy, size_t index, s64 of)
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
		copy->notes[index].made = copy_make_entry(
			copy, index, of, &name, parent && parent->fresh);
}
