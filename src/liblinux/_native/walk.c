// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.walk(): a whole tree in one crossing.
 *
 * While the tree is read the GIL is released and no Python object is touched:
 * what is found goes into two growing arrays, of entries and of the bytes of
 * their paths. The entries are at the same time the queue of directories still
 * to be read, so that the walk goes by breadth, every directory comes before
 * its content, and neither C stack nor descriptors limit the depth.
 *
 * Paths below the top are resolved without following a symbolic link (openat2),
 * and in steps when they are longer than the kernel takes at once. An entry
 * that has vanished between getdents and statx is no error; other failures are
 * collected with the path they belong to, and the walk goes on.
 */
#include "listing.h"
#include <fcntl.h>
#include <sys/stat.h>

#define NATIVE_PATH_BYTES 4096 /* PATH_MAX, with its zero */
#define NATIVE_RESOLVE_IN_TREE 0x0e /* no magic link, no symlink, beneath */

struct native_open_how {
	u64 flags, mode, resolve;
};

struct native_walk_error {
	size_t path_at;
	size_t path_bytes;
	int number;
};

struct native_array {
	char *data;
	size_t bytes, room;
};

struct native_walker {
	struct host_process *process;
	struct host_result result; /* of the last call */
	struct native_array paths;
	struct native_array entries; /* struct native_listing_entry */
	struct native_array errors; /* struct native_walk_error */
	char *dents;
	bool follow_mounts;
	bool out_of_memory;
};

/* ---- without the GIL ------------------------------------------------- */

static void *native_array_add(struct native_array *array, size_t bytes)
{
	if (array->room - array->bytes < bytes) {
		size_t room = array->room + array->room / 2 + bytes + 4096;
		char *data = PyMem_RawRealloc(array->data, room);

		if (!data)
			return NULL;
		array->data = data;
		array->room = room;
	}
	array->bytes += bytes;
	return array->data + array->bytes - bytes;
}

/* The system call's result; when the kernel has none, walking must stop. */
static s64 native_walk_call(struct native_walker *walker, s64 nr, u64 first,
			    u64 second, u64 third, u64 fourth, u64 fifth)
{
	const u64 args[6] = { first, second, third, fourth, fifth };

	host_process_call(walker->process, nr, args, &walker->result);
	return walker->result.value;
}

static bool native_walk_goes_on(struct native_walker *walker)
{
	return !walker->out_of_memory && native_plain(&walker->result);
}

/* Closing must not hide the result of the call that walking stops for. */
static void native_walk_close(struct native_walker *walker, int fd)
{
	struct host_result result = walker->result;

	if (fd < 0 || result.dead)
		return;
	native_walk_call(walker, NATIVE_NR_close, (u64)fd, 0, 0, 0, 0);
	if (native_plain(&walker->result))
		walker->result = result;
}

static void native_walk_error(struct native_walker *walker, size_t path_at,
			      size_t path_bytes, int number)
{
	struct native_walk_error *error =
		native_array_add(&walker->errors, sizeof(*error));

	if (!error) {
		walker->out_of_memory = true;
		return;
	}
	error->path_at = path_at;
	error->path_bytes = path_bytes;
	error->number = number;
}

/* "parent/name" into `paths`; where, or SIZE_MAX. */
static size_t native_walk_path(struct native_walker *walker, size_t parent_at,
			       size_t parent_bytes, const char *name,
			       size_t name_bytes)
{
	size_t start = walker->paths.bytes;
	size_t slash = parent_bytes != 0;
	char *path = native_array_add(&walker->paths,
				      parent_bytes + slash + name_bytes + 1);

	if (!path) {
		walker->out_of_memory = true;
		return SIZE_MAX;
	}
	memcpy(path, walker->paths.data + parent_at, parent_bytes);
	if (slash)
		path[parent_bytes] = '/';
	memcpy(path + parent_bytes + slash, name, name_bytes);
	path[parent_bytes + slash + name_bytes] = 0;
	return start;
}

static void native_walk_entry(struct native_walker *walker, int fd,
			      size_t parent_at, size_t parent_bytes,
			      const char *name)
{
	size_t name_bytes = strlen(name);
	size_t bytes = parent_bytes + (parent_bytes != 0) + name_bytes;
	struct native_listing_entry *entry;
	struct native_statx status;
	size_t path_at;
	s64 code = native_walk_call(
		walker, NATIVE_NR_statx, (u64)fd, (u64)name,
		NATIVE_AT_SYMLINK_NOFOLLOW | NATIVE_AT_NO_AUTOMOUNT,
		NATIVE_STATX_MASK, (u64)&status);

	if (!native_walk_goes_on(walker) || code == -ENOENT)
		return;
	path_at = native_walk_path(walker, parent_at, parent_bytes, name,
				   name_bytes);
	if (path_at == SIZE_MAX)
		return;
	if (code < 0) {
		native_walk_error(walker, path_at, bytes, (int)-code);
		return;
	}
	entry = native_array_add(&walker->entries, sizeof(*entry));
	if (!entry) {
		walker->out_of_memory = true;
		return;
	}
	entry->path_at = path_at;
	entry->path_bytes = bytes;
	memcpy(entry->status, &status, sizeof(entry->status));
}

/* All entries of an open directory. */
static void native_walk_directory(struct native_walker *walker, int fd,
				  size_t path_at, size_t path_bytes)
{
	s64 bytes;

	do {
		bytes = native_walk_call(walker, NATIVE_NR_getdents64, (u64)fd,
					 (u64)walker->dents, NATIVE_DENTS_BYTES,
					 0, 0);
		for (s64 at = 0; at < bytes && native_walk_goes_on(walker);) {
			struct native_dirent *dirent =
				(struct native_dirent *)(walker->dents + at);

			if (!native_is_dot(dirent->name))
				native_walk_entry(walker, fd, path_at,
						  path_bytes, dirent->name);
			at += dirent->bytes;
		}
	} while (bytes > 0 && native_walk_goes_on(walker));
	if (bytes < 0 && native_walk_goes_on(walker))
		native_walk_error(walker, path_at, path_bytes, (int)-bytes);
}

/* One step of at most a path's length; -errno, or a descriptor. */
static int native_walk_step(struct native_walker *walker, int top,
			    const char *path, int flags)
{
	struct native_open_how how = {
		.flags = (u64)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.resolve = NATIVE_RESOLVE_IN_TREE,
	};

	return (int)native_walk_call(walker, NATIVE_NR_openat2, (u64)top,
				     (u64)path, (u64)&how, sizeof(how), 0);
}

/* A directory by its path below `top`. */
static int native_walk_open(struct native_walker *walker, int top,
			    const char *path)
{
	char part[NATIVE_PATH_BYTES];
	int fd = top;

	while (strlen(path) >= NATIVE_PATH_BYTES) {
		const char *slash = path + NATIVE_PATH_BYTES - 1;
		int next;

		while (*slash != '/') /* names have at most 255 bytes */
			slash--;
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = 0;
		next = native_walk_step(walker, fd, part, O_PATH);
		if (fd != top)
			native_walk_close(walker, fd);
		if (next < 0)
			return next;
		fd = next;
		path = slash + 1;
	}
	if (fd == top)
		return native_walk_step(walker, top, path, O_RDONLY);
	top = fd;
	fd = native_walk_step(walker, top, path, O_RDONLY);
	native_walk_close(walker, top);
	return fd;
}

static void native_walk_below(struct native_walker *walker, int top,
			      size_t index)
{
	struct native_listing_entry *entry =
		(struct native_listing_entry *)walker->entries.data + index;
	size_t path_at = entry->path_at, path_bytes = entry->path_bytes;
	struct native_statx status;
	int fd;

	memcpy(&status, entry->status, sizeof(entry->status));
	if (!S_ISDIR(status.mode))
		return;
	if (!walker->follow_mounts &&
	    (status.attributes & NATIVE_STATX_MOUNT_ROOT))
		return;
	fd = native_walk_open(walker, top, walker->paths.data + path_at);
	if (fd < 0) {
		if (native_walk_goes_on(walker))
			native_walk_error(walker, path_at, path_bytes, -fd);
		return;
	}
	native_walk_directory(walker, fd, path_at, path_bytes);
	native_walk_close(walker, fd);
}

static void native_walk_tree(struct native_walker *walker, int top)
{
	native_walk_directory(walker, top, 0, 0);
	for (size_t index = 0;
	     native_walk_goes_on(walker) &&
	     index < walker->entries.bytes / sizeof(struct native_listing_entry);
	     index++)
		native_walk_below(walker, top, index);
}

/* ---- with the GIL again ---------------------------------------------- */

static PyObject *native_walk_errors(struct native_walker *walker)
{
	struct native_walk_error *error = (void *)walker->errors.data;
	size_t count = walker->errors.bytes / sizeof(*error);
	PyObject *list = PyList_New((Py_ssize_t)count);

	for (size_t at = 0; list && at < count; at++, error++) {
		PyObject *item = Py_BuildValue(
			"y#i", walker->paths.data + error->path_at,
			(Py_ssize_t)error->path_bytes, error->number);

		if (item)
			PyList_SET_ITEM(list, (Py_ssize_t)at, item);
		else
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *native_walk_answer(PyObject *process,
				    struct native_walker *walker)
{
	PyObject *errors = native_walk_errors(walker);
	PyObject *listing, *answer = NULL;

	if (!errors)
		return NULL;
	listing = native_listing_new(process, (void *)walker->entries.data,
				     walker->entries.bytes /
					     sizeof(struct native_listing_entry),
				     walker->paths.data);
	/* They are the listing's now. */
	walker->entries.data = walker->paths.data = NULL;
	if (listing)
		answer = PyTuple_Pack(2, listing, errors);
	Py_XDECREF(listing);
	Py_DECREF(errors);
	return answer;
}

/* Open, walk, close, all in one crossing; false with an exception. */
static bool native_walk_run(struct native_process *process,
			    struct native_walker *walker, const char *path)
{
	struct native_kernel *kernel = process->kernel;
	struct native_crossing crossing;
	s64 top;

	if (!native_check_process(process))
		return false;
	walker->process = process->host;
	walker->dents = PyMem_RawMalloc(NATIVE_DENTS_BYTES);
	/* Offset 0 of the paths is that of the top: empty. */
	if (!walker->dents || !native_array_add(&walker->paths, 1)) {
		PyErr_NoMemory();
		return false;
	}
	walker->paths.data[0] = 0;
	native_enter(kernel, &crossing);
	top = native_walk_call(walker, NATIVE_NR_openat,
			       (u64)NATIVE_AT_FDCWD, (u64)path,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
	if (top >= 0) {
		native_walk_tree(walker, (int)top);
		native_walk_close(walker, (int)top);
	}
	native_leave(kernel, &crossing);
	if (!native_check(kernel, &walker->result))
		return false;
	if (walker->out_of_memory) {
		PyErr_NoMemory();
		return false;
	}
	if (top < 0)
		native_os_error(kernel, (int)-top);
	return top >= 0;
}

static void native_walker_free(struct native_walker *walker)
{
	PyMem_RawFree(walker->dents);
	PyMem_RawFree(walker->paths.data);
	PyMem_RawFree(walker->entries.data);
	PyMem_RawFree(walker->errors.data);
}

PyObject *native_walk(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords)
{
	static const char *const names[] = { "path", "follow_mounts" };
	struct native_walker walker = { 0 };
	struct native_path path;
	PyObject *slots[2];
	PyObject *answer = NULL;
	int follow_mounts = 1;

	if (!native_keywords("walk", names, 2, 1, 1, args, count, keywords,
			     slots))
		return NULL;
	if (slots[1] && (follow_mounts = PyObject_IsTrue(slots[1])) < 0)
		return NULL;
	if (!native_path_parse(slots[0], false, &path))
		return NULL;
	walker.follow_mounts = follow_mounts;
	if (native_walk_run((struct native_process *)self, &walker, path.string))
		answer = native_walk_answer(self, &walker);
	native_path_release(&path);
	native_walker_free(&walker);
	return answer;
}
