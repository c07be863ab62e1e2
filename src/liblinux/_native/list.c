// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.listdir(): the entries of one directory. The records of getdents64
 * are gathered as they are, without the GIL, and become tuples at the end.
 *
 * Of a descriptor the position is at the beginning afterwards, as os.listdir()
 * leaves it.
 */
#include "native.h"
#include <fcntl.h>

struct native_listing {
	struct host_process *process;
	struct host_result result;
	char *data;
	size_t bytes, room;
	struct native_patience patience;
	struct native_circle circle;
};

bool native_goes_in_circles(struct native_circle *circle,
			    const struct native_dirent *dirent)
{
	if (circle->seen++ == circle->next) {
		circle->next = 2 * circle->next + 1;
		circle->offset = dirent->offset;
		circle->ino = dirent->ino;
		strncpy(circle->name, dirent->name, sizeof(circle->name) - 1);
		return false;
	}
	return dirent->offset == circle->offset &&
	       dirent->ino == circle->ino &&
	       !strncmp(dirent->name, circle->name, sizeof(circle->name) - 1);
}

static s64 native_list_call(struct native_listing *listing, s64 nr, u64 first,
			    u64 second, u64 third, u64 fourth)
{
	const u64 args[6] = { first, second, third, fourth };

	host_process_call(listing->process, nr, args, &listing->result);
	return listing->result.value;
}

static bool native_list_grow(struct native_listing *listing)
{
	size_t room = listing->room + listing->room / 2 + NATIVE_DENTS_BYTES;
	char *data;

	if (listing->room - listing->bytes >= NATIVE_DENTS_BYTES)
		return true;
	data = PyMem_RawRealloc(listing->data, room);
	if (!data)
		return false;
	listing->data = data;
	listing->room = room;
	return true;
}

static bool native_list_ends(struct native_listing *listing, s64 bytes)
{
	const char *data = listing->data + listing->bytes;

	for (s64 at = 0; at < bytes;) {
		const struct native_dirent *dirent = (const void *)(data + at);

		if (native_goes_in_circles(&listing->circle, dirent))
			return false;
		at += dirent->bytes;
	}
	return true;
}

/* Without the GIL. 0 or -errno; what is wrong besides is in the result. */
static s64 native_list_read(struct native_listing *listing, int fd)
{
	s64 bytes;

	do {
		if (!native_list_grow(listing))
			return -ENOMEM;
		bytes = native_list_call(
			listing, NATIVE_NR_getdents64, (u64)fd,
			(u64)(listing->data + listing->bytes),
			NATIVE_DENTS_BYTES, 0);
		if (!native_list_ends(listing, bytes))
			return -EUCLEAN;
		if (bytes > 0)
			listing->bytes += (size_t)bytes;
		/* A damaged directory may have no end. */
	} while (bytes > 0 && native_plain(&listing->result) &&
		 !native_interrupted_by_now(&listing->patience));
	return bytes;
}

static s64 native_list_path(struct native_listing *listing, const char *path)
{
	struct host_result result;
	s64 fd, code;

	fd = native_list_call(listing, NATIVE_NR_openat, (u64)NATIVE_AT_FDCWD,
			      (u64)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	code = native_list_read(listing, (int)fd);
	if (listing->result.dead)
		return code;
	result = listing->result;
	native_list_call(listing, NATIVE_NR_close, (u64)fd, 0, 0, 0);
	if (native_plain(&listing->result))
		listing->result = result;
	return code;
}

static s64 native_list_fd(struct native_listing *listing, int fd)
{
	s64 code;

	code = native_list_call(listing, NATIVE_NR_lseek, (u64)fd, 0, SEEK_SET,
				0);
	if (code < 0)
		return code == -ESPIPE ? -ENOTDIR : code;
	code = native_list_read(listing, fd);
	if (code >= 0 && native_plain(&listing->result))
		native_list_call(listing, NATIVE_NR_lseek, (u64)fd, 0, SEEK_SET,
				 0);
	return code;
}

static bool native_list_append(PyObject *list, struct native_dirent *dirent)
{
	PyObject *item = Py_BuildValue("yKi", dirent->name,
				       (unsigned long long)dirent->ino,
				       (int)dirent->type);
	bool worked = item && PyList_Append(list, item) == 0;

	Py_XDECREF(item);
	return worked;
}

static PyObject *native_list_answer(struct native_listing *listing)
{
	PyObject *list = PyList_New(0);

	for (size_t at = 0; list && at < listing->bytes;) {
		struct native_dirent *dirent =
			(struct native_dirent *)(listing->data + at);

		if (!native_is_dot(dirent->name) &&
		    !native_list_append(list, dirent))
			Py_CLEAR(list);
		at += dirent->bytes;
	}
	return list;
}

PyObject *native_listdir(PyObject *self, PyObject *path_object)
{
	struct native_process *process = (struct native_process *)self;
	struct native_kernel *kernel = process->kernel;
	struct native_listing listing = { .process = process->host };
	struct native_crossing crossing;
	PyObject *answer = NULL;
	struct native_path path;
	s64 code;

	if (!native_check_process(process) ||
	    !native_path_parse(path_object, true, &path))
		return NULL;
	native_enter(kernel, &crossing);
	code = path.string ? native_list_path(&listing, path.string) :
			     native_list_fd(&listing, path.fd);
	native_leave(kernel, &crossing);
	if (native_check(kernel, &listing.result)) {
		if (code < 0)
			native_os_error(kernel, (int)-code);
		else
			answer = native_list_answer(&listing);
	}
	native_path_release(&path);
	PyMem_RawFree(listing.data);
	return answer;
}
