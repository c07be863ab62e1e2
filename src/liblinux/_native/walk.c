// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.walk(): a whole tree in one crossing. While it is read (by host_walk)
 * the GIL is released and no Python object is touched.
 *
 * What is found may come from an isolated kernel, which is not to be believed:
 * places in the array of paths are checked before they are used.
 */
#include "listing.h"

/* Are all paths inside of what there is of paths? */
static bool native_walk_check(const struct host_walk *walk)
{
	const struct host_walk_entry *entry = (void *)walk->entries.data;
	const struct host_walk_error *error = (void *)walk->errors.data;
	size_t entries = walk->entries.bytes / sizeof(*entry);
	size_t errors = walk->errors.bytes / sizeof(*error);
	u64 bytes = walk->paths.bytes;

	for (; entries--; entry++)
		if (entry->path_at > bytes ||
		    entry->path_bytes > bytes - entry->path_at)
			return false;
	for (; errors--; error++)
		if (error->path_at > bytes ||
		    error->path_bytes > bytes - error->path_at)
			return false;
	return true;
}

static PyObject *native_walk_errors(struct host_walk *walk)
{
	struct host_walk_error *error = (void *)walk->errors.data;
	size_t count = walk->errors.bytes / sizeof(*error);
	PyObject *list = PyList_New((Py_ssize_t)count);

	for (size_t at = 0; list && at < count; at++, error++) {
		PyObject *item = Py_BuildValue(
			"y#i", walk->paths.data + error->path_at,
			(Py_ssize_t)error->path_bytes, (int)error->number);

		if (item)
			PyList_SET_ITEM(list, (Py_ssize_t)at, item);
		else
			Py_CLEAR(list);
	}
	return list;
}

PyObject *native_walk_answer(struct native_module *state, struct host_walk *walk)
{
	PyObject *listing, *errors, *answer = NULL;

	if (!native_walk_check(walk))
		return native_own_error(
			"KernelPanic",
			"the kernel's answer to a walk is no tree");
	errors = native_walk_errors(walk);
	if (!errors)
		return NULL;
	listing = native_listing_new(state, (void *)walk->entries.data,
				     walk->entries.bytes /
					     sizeof(struct host_walk_entry),
				     walk->paths.data);
	/* They are the listing's now. */
	walk->entries.data = walk->paths.data = NULL;
	if (listing)
		answer = PyTuple_Pack(2, listing, errors);
	Py_XDECREF(listing);
	Py_DECREF(errors);
	return answer;
}

bool native_walk_came(struct native_kernel *kernel, struct host_walk *walk)
{
	if (!native_check(kernel, &walk->result))
		return false;
	if (walk->out_of_memory) {
		PyErr_NoMemory();
		return false;
	}
	if (walk->code < 0)
		native_os_error(kernel, (int)-walk->code);
	return walk->code >= 0;
}

/* False with an exception. */
static bool native_walk_run(struct native_process *process,
			    struct host_walk *walk, const char *path)
{
	struct native_kernel *kernel = process->kernel;
	struct native_crossing crossing;

	if (!native_check_process(process))
		return false;
	native_enter(kernel, &crossing);
	kernel->side->walk(process->host, path, walk);
	native_leave(kernel, &crossing);
	return native_walk_came(kernel, walk);
}

PyObject *native_walk(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords)
{
	static const char *const names[] = { "path", "follow_mounts" };
	struct native_patience patience = { 0 };
	struct host_walk walk = { .stop = native_stop,
				  .stop_argument = &patience };
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
	walk.follow_mounts = follow_mounts;
	if (native_walk_run((struct native_process *)self, &walk, path.string))
		answer = native_walk_answer(native_module_of(self), &walk);
	native_path_release(&path);
	host_walk_free(&walk);
	return answer;
}
