// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole tree in one go. What is found goes into two growing arrays, of
 * entries and of the bytes of their paths. The entries are at the same time the
 * queue of directories still to be read, so that the walk goes by breadth,
 * every directory comes before its content, and neither C stack nor descriptors
 * limit the depth.
 *
 * Paths below the top are resolved without following a symbolic link (openat2),
 * and in steps when they are longer than the kernel takes at once. An entry
 * that has vanished between getdents and statx is no error; other failures are
 * collected with the path they belong to, and the walk goes on.
 *
 * A damaged file system may have directories that contain themselves, or each
 * other many times over: a walk without end. So a directory that is the same as
 * one above it is not entered, and on a block device none is entered twice; the
 * answer to both is ELOOP. (Elsewhere directories may share their numbers: those
 * of /proc do.) A file system that is mounted twice has two volumes here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "batch.h"
#include "ends.h"
#include "limits.h"

#define WALK_PATH_BYTES 4096 /* PATH_MAX, with its zero */
#define WALK_TOP SIZE_MAX /* the parent of what is in the top */
#define WALK_QUESTIONS 16 /* some microseconds, between two of `stop` */

/*
 * The system call's result; when the kernel has none, walking must stop.
 * Without a process it is the host's kernel, whose numbers are the same.
 */
static s64 host_walk_call(struct host_walk *walk, s64 nr, u64 first, u64 second,
			  u64 third, u64 fourth, u64 fifth)
{
	const u64 args[6] = { first, second, third, fourth, fifth };

	if (walk->process)
		host_process_call(walk->process, nr, args, &walk->result);
	else
		walk->result.value = host_own_call(nr, args);
	return walk->result.value;
}

static bool host_walk_goes_on(struct host_walk *walk)
{
	if (walk->out_of_memory || walk->code < 0 ||
	    !host_result_is_plain(&walk->result))
		return false;
	if (!walk->stop || ++walk->questions % WALK_QUESTIONS)
		return true;
	return !walk->stop(walk->stop_argument);
}

/* Closing must not hide the result of the call that walking stops for. */
static void host_walk_close(struct host_walk *walk, int fd)
{
	struct host_result result = walk->result;

	if (fd < 0 || result.dead)
		return;
	host_walk_call(walk, SYS_close, (u64)fd, 0, 0, 0, 0);
	if (host_result_is_plain(&walk->result))
		walk->result = result;
}

static void host_walk_error(struct host_walk *walk, size_t path_at,
			    size_t path_bytes, int number)
{
	struct host_walk_error *error =
		host_array_add(&walk->errors, sizeof(*error));

	if (!error) {
		walk->out_of_memory = true;
		return;
	}
	error->path_at = path_at;
	error->path_bytes = path_bytes;
	error->number = number;
}

/* "parent/name" into `paths`; where, or SIZE_MAX. */
static size_t host_walk_path(struct host_walk *walk, size_t parent_at,
			     size_t parent_bytes, const char *name,
			     size_t name_bytes)
{
	size_t start = walk->paths.bytes;
	size_t slash = parent_bytes != 0;
	char *path = host_array_add(&walk->paths,
				    parent_bytes + slash + name_bytes + 1);

	if (!path) {
		walk->out_of_memory = true;
		return SIZE_MAX;
	}
	memcpy(path, walk->paths.data + parent_at, parent_bytes);
	if (slash)
		path[parent_bytes] = '/';
	memcpy(path + parent_bytes + slash, name, name_bytes);
	path[parent_bytes + slash + name_bytes] = 0;
	return start;
}

static struct host_walk_entry *host_walk_at(struct host_walk *walk,
					    size_t index)
{
	return (struct host_walk_entry *)walk->entries.data + index;
}

/*
 * Of an entry, or of the top for its index: what is kept of it, and where it is
 * until the next entry is added.
 */
static const struct host_statx *host_walk_status(struct host_walk *walk,
						 size_t index)
{
	if (index == WALK_TOP)
		return &walk->top;
	return (const void *)host_walk_at(walk, index)->status;
}

static size_t host_walk_volume(struct host_walk *walk, size_t index)
{
	return index == WALK_TOP ? 0 : host_walk_at(walk, index)->volume;
}

static bool host_walk_same(struct host_walk *walk, size_t one, size_t other)
{
	const struct host_statx *first = host_walk_status(walk, one);
	const struct host_statx *second = host_walk_status(walk, other);

	return first->ino == second->ino &&
	       first->dev_major == second->dev_major &&
	       first->dev_minor == second->dev_minor &&
	       host_walk_volume(walk, one) == host_walk_volume(walk, other);
}

static bool host_walk_is_below_itself(struct host_walk *walk, size_t index)
{
	size_t above = index;

	do {
		above = host_walk_at(walk, above)->parent;
		if (host_walk_same(walk, index, above))
			return true;
	} while (above != WALK_TOP);
	return false;
}

/* The place of a directory in the table: of itself, or a free one. */
static size_t *host_walk_slot(struct host_walk *walk, size_t index)
{
	u64 hash = host_walk_status(walk, index)->ino * 0x9e3779b97f4a7c15;
	size_t at = hash >> 20;

	for (;; at++) {
		size_t *slot = &walk->entered[at & (walk->entered_room - 1)];

		if (!*slot || host_walk_same(walk, *slot - 1, index))
			return slot;
	}
}

static bool host_walk_grow_table(struct host_walk *walk)
{
	size_t room = walk->entered_room, *old = walk->entered;

	if (room > 2 * walk->nr_entered)
		return true;
	walk->entered_room = room ? 2 * room : 256;
	walk->entered = calloc(walk->entered_room, sizeof(*old));
	if (!walk->entered) {
		walk->entered = old;
		walk->entered_room = room;
		walk->out_of_memory = true;
		return false;
	}
	for (size_t at = 0; at < room; at++)
		if (old[at])
			*host_walk_slot(walk, old[at] - 1) = old[at];
	free(old);
	return true;
}

/* A directory that is entered for the first time, by all that is known? */
static bool host_walk_is_new(struct host_walk *walk, size_t index)
{
	size_t *slot;

	if (host_walk_is_below_itself(walk, index))
		return false;
	if (!host_walk_status(walk, index)->dev_major)
		return true;
	if (!host_walk_grow_table(walk))
		return false;
	slot = host_walk_slot(walk, index);
	if (*slot)
		return false;
	*slot = index + 1;
	walk->nr_entered++;
	return true;
}

static void host_walk_entry(struct host_walk *walk, int fd, size_t parent,
			    size_t parent_at, size_t parent_bytes,
			    const char *name)
{
	size_t name_bytes = strlen(name);
	size_t bytes = parent_bytes + (parent_bytes != 0) + name_bytes;
	struct host_walk_entry *entry;
	struct host_statx status;
	size_t path_at;
	s64 code =
		host_walk_call(walk, SYS_statx, (u64)fd, (u64)name,
			       HOST_AT_SYMLINK_NOFOLLOW | HOST_AT_NO_AUTOMOUNT,
			       HOST_STATX_MASK, (u64)&status);

	if (!host_walk_goes_on(walk) || code == -ENOENT)
		return;
	path_at =
		host_walk_path(walk, parent_at, parent_bytes, name, name_bytes);
	if (path_at == SIZE_MAX)
		return;
	if (code < 0) {
		host_walk_error(walk, path_at, bytes, (int)-code);
		return;
	}
	if (walk->most && walk->entries.bytes / sizeof(*entry) >= walk->most) {
		walk->code = -E2BIG;
		return;
	}
	entry = host_array_add(&walk->entries, sizeof(*entry));
	if (!entry) {
		walk->out_of_memory = true;
		return;
	}
	entry->path_at = path_at;
	entry->path_bytes = bytes;
	entry->parent = parent;
	memcpy(entry->status, &status, sizeof(entry->status));
	entry->volume = status.attributes & HOST_STATX_MOUNT_ROOT ?
				path_at :
				host_walk_volume(walk, parent);
}

/* All entries of an open directory. */
static void host_walk_directory(struct host_walk *walk, int fd, size_t index,
				size_t path_at, size_t path_bytes)
{
	struct host_circle circle = { 0 };
	s64 bytes;

	do {
		bytes = host_walk_call(walk, SYS_getdents64, (u64)fd,
				       (u64)walk->dents, DENTS_BYTES, 0, 0);
		for (s64 at = 0; at < bytes && host_walk_goes_on(walk);) {
			struct host_dirent *dirent =
				(struct host_dirent *)(walk->dents + at);

			if (host_goes_in_circles(&circle, dirent)) {
				bytes = -EUCLEAN;
				break;
			}
			if (!host_is_dot(dirent->name))
				host_walk_entry(walk, fd, index, path_at,
						path_bytes, dirent->name);
			at += dirent->bytes;
		}
	} while (bytes > 0 && host_walk_goes_on(walk));
	if (bytes < 0 && host_walk_goes_on(walk))
		host_walk_error(walk, path_at, path_bytes, (int)-bytes);
}

/* One step of at most a path's length; -errno, or a descriptor. */
static int host_walk_step(struct host_walk *walk, int top, const char *path,
			  int flags)
{
	struct host_open_how how = {
		.flags = (u64)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.resolve = HOST_RESOLVE_IN_TREE,
	};

	return (int)host_walk_call(walk, SYS_openat2, (u64)top, (u64)path,
				   (u64)&how, sizeof(how), 0);
}

/* A directory by its path below `top`. */
static int host_walk_open(struct host_walk *walk, int top, const char *path)
{
	char part[WALK_PATH_BYTES];
	int fd = top;

	while (strlen(path) >= WALK_PATH_BYTES) {
		const char *slash = path + WALK_PATH_BYTES - 1;
		int next;

		while (*slash != '/') /* names have at most 255 bytes */
			slash--;
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = 0;
		next = host_walk_step(walk, fd, part, O_PATH);
		if (fd != top)
			host_walk_close(walk, fd);
		if (next < 0)
			return next;
		fd = next;
		path = slash + 1;
	}
	if (fd == top)
		return host_walk_step(walk, top, path, O_RDONLY);
	top = fd;
	fd = host_walk_step(walk, top, path, O_RDONLY);
	host_walk_close(walk, top);
	return fd;
}

static void host_walk_below(struct host_walk *walk, int top, size_t index)
{
	struct host_walk_entry *entry = host_walk_at(walk, index);
	size_t path_at = entry->path_at, path_bytes = entry->path_bytes;
	const struct host_statx *status = host_walk_status(walk, index);
	int fd;

	if (!S_ISDIR(status->mode))
		return;
	if (!walk->follow_mounts &&
	    (status->attributes & HOST_STATX_MOUNT_ROOT))
		return;
	if (!host_walk_is_new(walk, index)) {
		host_walk_error(walk, path_at, path_bytes, ELOOP);
		return;
	}
	fd = host_walk_open(walk, top, walk->paths.data + path_at);
	if (fd < 0) {
		if (host_walk_goes_on(walk))
			host_walk_error(walk, path_at, path_bytes, -fd);
		return;
	}
	host_walk_directory(walk, fd, index, path_at, path_bytes);
	host_walk_close(walk, fd);
}

static void host_walk_tree(struct host_walk *walk, int top)
{
	s64 code = host_walk_call(walk, SYS_statx, (u64)top, (u64) "",
				  HOST_AT_EMPTY_PATH, HOST_STATX_MASK,
				  (u64)&walk->top);

	if (!host_walk_goes_on(walk))
		return;
	if (code < 0)
		host_walk_error(walk, 0, 0, (int)-code);
	host_walk_directory(walk, top, WALK_TOP, 0, 0);
	for (size_t index = walk->with_top;
	     host_walk_goes_on(walk) &&
	     index < walk->entries.bytes / sizeof(struct host_walk_entry);
	     index++)
		host_walk_below(walk, top, index);
}

/* The top itself, whatever it is, as the first entry; is it a directory? */
static bool host_walk_first(struct host_walk *walk, const char *path)
{
	struct host_walk_entry *entry;
	struct host_statx status;

	walk->code =
		host_walk_call(walk, SYS_statx, (u64)AT_FDCWD, (u64)path,
			       HOST_AT_SYMLINK_NOFOLLOW | HOST_AT_NO_AUTOMOUNT,
			       HOST_STATX_MASK, (u64)&status);
	if (walk->code < 0 || !host_walk_goes_on(walk))
		return false;
	entry = host_array_add(&walk->entries, sizeof(*entry));
	if (!entry) {
		walk->out_of_memory = true;
		return false;
	}
	*entry = (struct host_walk_entry){ .parent = WALK_TOP };
	memcpy(entry->status, &status, sizeof(entry->status));
	return S_ISDIR(status.mode);
}

/* Open, walk, close. */
void host_walk(struct host_process *process, const char *path,
	       struct host_walk *walk)
{
	s64 top;

	walk->process = process;
	walk->dents = malloc(DENTS_BYTES);
	/* Offset 0 of the paths is that of the top: empty. */
	if (!walk->dents || !host_array_add(&walk->paths, 1)) {
		walk->out_of_memory = true;
		return;
	}
	walk->paths.data[0] = 0;
	if (walk->with_top && !host_walk_first(walk, path))
		return;
	top = host_walk_call(walk, SYS_openat, (u64)AT_FDCWD, (u64)path,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				     (walk->with_top ? O_NOFOLLOW : 0),
			     0, 0);
	walk->code = top < 0 ? top : 0;
	if (top < 0)
		return;
	host_walk_tree(walk, (int)top);
	host_walk_close(walk, (int)top);
}

void host_walk_free(struct host_walk *walk)
{
	free(walk->dents);
	walk->dents = NULL;
	free(walk->entered);
	walk->entered = NULL;
	host_array_free(&walk->paths);
	host_array_free(&walk->entries);
	host_array_free(&walk->errors);
}
