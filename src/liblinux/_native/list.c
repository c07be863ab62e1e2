// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.listdir(): the entries of one directory. The records of getdents64
 * are gathered as they are, without the GIL, and become tuples at the end.
 *
 * They may come from an isolated kernel, which is not to be believed: what a
 * record says of itself is checked before it is used.
 */
#include "native.h"
#include "batch.h"

static bool native_list_append(PyObject *list, struct host_dirent *dirent)
{
	PyObject *item = Py_BuildValue("yKi", dirent->name,
				       (unsigned long long)dirent->ino,
				       (int)dirent->type);
	bool worked = item && PyList_Append(list, item) == 0;

	Py_XDECREF(item);
	return worked;
}

/* A whole record with its name in it? */
static bool native_list_check(const struct host_listing *listing, size_t at)
{
	const struct host_dirent *dirent = (void *)(listing->dents.data + at);
	size_t left = listing->dents.bytes - at;
	size_t name = offsetof(struct host_dirent, name);

	return left > name && dirent->bytes > name && dirent->bytes <= left &&
	       memchr(dirent->name, 0, dirent->bytes - name);
}

static PyObject *native_list_answer(struct host_listing *listing)
{
	PyObject *list = PyList_New(0);

	for (size_t at = 0; list && at < listing->dents.bytes;) {
		struct host_dirent *dirent =
			(struct host_dirent *)(listing->dents.data + at);

		if (!native_list_check(listing, at)) {
			Py_CLEAR(list);
			native_own_error(
				"KernelPanic",
				"the kernel's answer to getdents64 is no list of names");
			break;
		}
		if (!host_is_dot(dirent->name) &&
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
	struct native_patience patience = { 0 };
	struct host_listing listing = { .stop = native_stop,
					.stop_argument = &patience };
	struct native_crossing crossing;
	PyObject *answer = NULL;
	struct native_path path;

	if (!native_check_process(process) ||
	    !native_path_parse(path_object, true, &path))
		return NULL;
	native_enter(kernel, &crossing);
	kernel->side->list(process->host, path.string, path.fd, &listing);
	native_leave(kernel, &crossing);
	if (native_check(kernel, &listing.result)) {
		if (listing.code < 0)
			native_os_error(kernel, (int)-listing.code);
		else
			answer = native_list_answer(&listing);
	}
	native_path_release(&path);
	host_array_free(&listing.dents);
	return answer;
}
