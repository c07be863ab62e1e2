// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing: the answer of Process.walk(), as it was found. It is a sequence of
 * (path, status), of which an item is made when it is asked for: twenty thousand
 * Python objects would take longer than the walk. column() is one number of
 * every entry, for those who want no more.
 */
#include "listing.h"

struct native_listing {
	PyObject_HEAD Py_ssize_t count;
	struct host_walk_entry *entries;
	char *paths;
};

PyObject *native_listing_new(struct native_module *state,
			     struct host_walk_entry *entries, size_t count,
			     char *paths)
{
	struct native_listing *listing =
		(struct native_listing *)state->listing_type->tp_alloc(
			state->listing_type, 0);

	if (!listing) {
		free(entries);
		free(paths);
		return NULL;
	}
	listing->count = (Py_ssize_t)count;
	listing->entries = entries;
	listing->paths = paths;
	return (PyObject *)listing;
}

bool native_listing_parts(PyObject *module, PyObject *object,
			  const struct host_walk_entry **entries, size_t *count,
			  const char **paths)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_listing *listing = (struct native_listing *)object;

	if (!Py_IS_TYPE(object, state->listing_type)) {
		PyErr_Format(PyExc_TypeError, "a Listing is wanted, not %.100s",
			     Py_TYPE(object)->tp_name);
		return false;
	}
	*entries = listing->entries;
	*count = (size_t)listing->count;
	*paths = listing->paths;
	return true;
}

static Py_ssize_t native_listing_length(PyObject *self)
{
	return ((struct native_listing *)self)->count;
}

static PyObject *native_listing_item(PyObject *self, Py_ssize_t at)
{
	struct native_listing *listing = (struct native_listing *)self;
	struct host_walk_entry *entry;
	struct host_statx status;
	PyObject *path, *numbers, *item = NULL;

	if (at < 0 || at >= listing->count) {
		PyErr_SetString(PyExc_IndexError, "listing index out of range");
		return NULL;
	}
	entry = &listing->entries[at];
	memcpy(&status, entry->status, sizeof(entry->status));
	path = PyBytes_FromStringAndSize(listing->paths + entry->path_at,
					 (Py_ssize_t)entry->path_bytes);
	numbers = path ? native_stat_tuple(&status) : NULL;
	if (numbers)
		item = PyTuple_Pack(2, path, numbers);
	/* Nothing in it can refer back: let the collector not look at it. */
	if (item)
		PyObject_GC_UnTrack(item);
	Py_XDECREF(numbers);
	Py_XDECREF(path);
	return item;
}

static PyObject *native_listing_column(PyObject *self, PyObject *argument)
{
	struct native_listing *listing = (struct native_listing *)self;
	int index;
	PyObject *column;
	s64 *values;

	if (!native_int(argument, &index))
		return NULL;
	if (index < 0 || index >= NATIVE_STAT_NUMBERS) {
		PyErr_Format(PyExc_IndexError,
			     "a status has %d numbers, there is no %d",
			     NATIVE_STAT_NUMBERS, index);
		return NULL;
	}
	column = PyByteArray_FromStringAndSize(
		NULL, listing->count * (Py_ssize_t)sizeof(*values));
	if (!column)
		return NULL;
	values = (s64 *)PyByteArray_AS_STRING(column);
	for (Py_ssize_t at = 0; at < listing->count; at++) {
		struct host_statx status;

		memcpy(&status, listing->entries[at].status,
		       sizeof(listing->entries[at].status));
		if (native_stat_number(&status, index, &values[at]))
			continue;
		PyErr_SetString(PyExc_OverflowError,
				"a time is beyond 64 bits of nanoseconds");
		Py_DECREF(column);
		return NULL;
	}
	return column;
}

static void native_listing_free(PyObject *self)
{
	struct native_listing *listing = (struct native_listing *)self;

	free(listing->entries);
	free(listing->paths);
	native_free(self);
}

static PyMethodDef native_listing_methods[] = {
	{ "column", native_listing_column, METH_O,
	  "column(index, /)\n--\n\nOne number of the status of every entry, as 64-bit integers." },
	{ 0 },
};

static PyType_Slot native_listing_slots[] = {
	{ Py_tp_doc,
	  "What Process.walk() found: a sequence of (path, status)." },
	{ Py_tp_dealloc, native_listing_free },
	{ Py_tp_methods, native_listing_methods },
	{ Py_sq_length, native_listing_length },
	{ Py_sq_item, native_listing_item },
	{ 0 },
};

PyType_Spec native_listing_spec = {
	.name = "liblinux._native.Listing",
	.basicsize = sizeof(struct native_listing),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = native_listing_slots,
};
