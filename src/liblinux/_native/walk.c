// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.walk(): a whole tree in one crossing. While it is read (by host_walk)
 * the GIL is released and no Python object is touched.
 *
 * What is found may come from an isolated kernel, which is not to be believed:
 * places in the array of paths are checked before they are used.
 */
#include "stat.h"
#include "batch.h"

static PyObject *native_walk_item(struct host_walk *walk, size_t path_at,
				  size_t path_bytes, PyObject *second)
{
	PyObject *path, *item = NULL;

	if (!second)
		return NULL;
	if (path_at > walk->paths.bytes ||
	    path_bytes > walk->paths.bytes - path_at) {
		Py_DECREF(second);
		return native_own_error("KernelPanic",
					"the kernel's answer to a walk is no tree");
	}
	path = PyBytes_FromStringAndSize(walk->paths.data + path_at,
					 (Py_ssize_t)path_bytes);
	if (path)
		item = PyTuple_Pack(2, path, second);
	/* Nothing in it can refer back: let the collector not look at it. */
	if (item)
		PyObject_GC_UnTrack(item);
	Py_XDECREF(path);
	Py_DECREF(second);
	return item;
}

static PyObject *native_walk_entries(struct host_walk *walk)
{
	struct host_walk_entry *entry = (void *)walk->entries.data;
	size_t count = walk->entries.bytes / sizeof(*entry);
	PyObject *list = PyList_New((Py_ssize_t)count);

	for (size_t at = 0; list && at < count; at++, entry++) {
		struct host_statx status;
		PyObject *item;

		memcpy(&status, entry->status, sizeof(entry->status));
		item = native_walk_item(walk, entry->path_at,
					entry->path_bytes,
					native_stat_tuple(&status));
		if (item)
			PyList_SET_ITEM(list, (Py_ssize_t)at, item);
		else
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *native_walk_errors(struct host_walk *walk)
{
	struct host_walk_error *error = (void *)walk->errors.data;
	size_t count = walk->errors.bytes / sizeof(*error);
	PyObject *list = PyList_New((Py_ssize_t)count);

	for (size_t at = 0; list && at < count; at++, error++) {
		PyObject *item = native_walk_item(
			walk, error->path_at, error->path_bytes,
			PyLong_FromLong(error->number));

		if (item)
			PyList_SET_ITEM(list, (Py_ssize_t)at, item);
		else
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *native_walk_answer(struct host_walk *walk)
{
	PyObject *entries = native_walk_entries(walk);
	PyObject *errors = entries ? native_walk_errors(walk) : NULL;
	PyObject *answer = errors ? PyTuple_Pack(2, entries, errors) : NULL;

	Py_XDECREF(entries);
	Py_XDECREF(errors);
	return answer;
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

PyObject *native_walk(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords)
{
	static const char *const names[] = { "path", "follow_mounts" };
	struct host_walk walk = { .stop = native_has_pending };
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
		answer = native_walk_answer(&walk);
	native_path_release(&path);
	host_walk_free(&walk);
	return answer;
}
