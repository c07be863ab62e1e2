// SPDX-License-Identifier: GPL-2.0-only
/*
 * From Python objects to the six registers of a system call.
 *
 * Integers of any sign within 64 bits are themselves and None is 0. Everything
 * with a buffer is the address of its memory, str that of its UTF-8 form with a
 * zero behind it (file systems know no locale; surrogates escape bytes). No
 * length is passed by itself, and nobody checks that the kernel's idea of it is
 * Python's: a system call is as sharp as in C. Who knows its prototype can have
 * the numbers checked: with a shape, of two bits for each argument. (What a
 * kernel elsewhere gets of the memory is a copy, of what `spans` says.)
 */
#include "native.h"

const char *native_c_string(PyObject *object, PyObject **owner)
{
	const char *string;
	Py_ssize_t length;

	*owner = NULL;
	if (PyUnicode_Check(object)) {
		/* The object keeps its UTF-8 form, unless it has surrogates. */
		string = PyUnicode_AsUTF8AndSize(object, &length);
		if (!string) {
			if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
				return NULL;
			PyErr_Clear();
			*owner = PyUnicode_AsEncodedString(object, "utf-8",
							   "surrogateescape");
			if (!*owner)
				return NULL;
			string = PyBytes_AS_STRING(*owner);
			length = PyBytes_GET_SIZE(*owner);
		}
	} else {
		string = PyBytes_AS_STRING(object);
		length = PyBytes_GET_SIZE(object);
	}
	if ((size_t)length != strlen(string)) {
		PyErr_SetString(PyExc_ValueError, "embedded null byte");
		Py_CLEAR(*owner);
		return NULL;
	}
	return string;
}

static bool native_integer(PyObject *object, u64 *value)
{
	int overflow;
	long long number = PyLong_AsLongLongAndOverflow(object, &overflow);

	if (!overflow) {
		*value = (u64)number;
		return number != -1 || !PyErr_Occurred();
	}
	if (overflow > 0) {
		*value = PyLong_AsUnsignedLongLong(object);
		if (*value != ~0ULL || !PyErr_Occurred())
			return true;
		PyErr_Clear();
	}
	return false;
}

static void native_add_span(struct native_arguments *arguments, int index,
			    u32 ways, Py_ssize_t bytes)
{
	arguments->spans.span[arguments->spans.count++] = (struct host_span){
		.argument = (u32)index,
		.ways = ways,
		.bytes = (u64)bytes,
	};
}

static void native_add_buffer(struct native_arguments *arguments, void *memory,
			      PyObject *owner)
{
	Py_buffer *buffer = &arguments->buffers[arguments->nr_buffers++];

	/* Only to hold the bytes, which have no release function. */
	memset(buffer, 0, sizeof(*buffer));
	buffer->buf = memory;
	buffer->obj = owner;
}

static bool native_argument(struct native_arguments *arguments, int index,
			    PyObject *object)
{
	u64 *value = &arguments->values[index];
	Py_buffer *buffer;

	if (PyLong_Check(object)) {
		if (native_integer(object, value))
			return true;
		PyErr_Format(
			PyExc_OverflowError,
			"argument %d of the system call does not fit into 64 bits",
			index + 1);
		return false;
	}
	if (object == Py_None) {
		*value = 0;
		return true;
	}
	if (PyBytes_Check(object)) { /* the caller holds it */
		*value = (u64)PyBytes_AS_STRING(object);
		native_add_span(arguments, index, HOST_SPAN_IN,
				PyBytes_GET_SIZE(object));
		return true;
	}
	if (PyUnicode_Check(object)) {
		PyObject *owner;
		const char *string = native_c_string(object, &owner);

		*value = (u64)string;
		if (owner)
			native_add_buffer(arguments, (void *)string, owner);
		if (string)
			native_add_span(arguments, index, HOST_SPAN_IN,
					(Py_ssize_t)strlen(string));
		return string != NULL;
	}
	if (PyObject_CheckBuffer(object)) {
		buffer = &arguments->buffers[arguments->nr_buffers];
		if (PyObject_GetBuffer(object, buffer, PyBUF_WRITABLE) < 0) {
			PyErr_Clear();
			if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) <
			    0)
				return false;
		}
		arguments->nr_buffers++;
		*value = (u64)buffer->buf;
		native_add_span(arguments, index,
				buffer->readonly ? HOST_SPAN_IN :
						   HOST_SPAN_IN | HOST_SPAN_OUT,
				buffer->len);
		return true;
	}
	PyErr_Format(
		PyExc_TypeError,
		"argument %d of the system call must be int, str, a buffer or None, not %.100s",
		index + 1, Py_TYPE(object)->tp_name);
	return false;
}

/* What a C prototype would have: an int (of either sign), or a long. */
static bool native_shaped(struct native_arguments *arguments, int index,
			  PyObject *object, bool wide)
{
	PyObject *number = PyNumber_Index(object);
	u64 *value = &arguments->values[index];
	bool fits;

	if (!number)
		return false;
	fits = native_integer(number, value);
	Py_DECREF(number);
	if (fits &&
	    (wide || *value <= UINT32_MAX || (s64)*value == (int32_t)*value))
		return true;
	PyErr_Format(PyExc_OverflowError,
		     "argument %d of the system call does not fit into %d bits",
		     index + 1, wide ? 64 : 32);
	return false;
}

bool native_arguments_parse(struct native_arguments *arguments, u32 shape,
			    PyObject *const *args, Py_ssize_t count)
{
	arguments->nr_buffers = 0;
	arguments->spans.count = 0;
	if (count > 6) {
		PyErr_Format(PyExc_TypeError,
			     "a system call takes at most 6 arguments, not %zd",
			     count);
		return false;
	}
	for (int index = 0; index < (int)count; index++, shape >>= 2) {
		PyObject *object = args[index];

		if ((shape & 3) == NATIVE_SHAPE_ANY) {
			if (!native_argument(arguments, index, object))
				return false;
		} else if (!native_shaped(arguments, index, object,
					  (shape & 3) == NATIVE_SHAPE_LONG)) {
			return false;
		}
	}
	for (int index = (int)count; index < 6; index++)
		arguments->values[index] = 0;
	return true;
}

void native_arguments_release(struct native_arguments *arguments)
{
	while (arguments->nr_buffers)
		PyBuffer_Release(&arguments->buffers[--arguments->nr_buffers]);
}

bool native_int(PyObject *object, int *value)
{
	long number = PyLong_AsLong(object);

	if (number == -1 && PyErr_Occurred())
		return false;
	if (number != (int)number) {
		PyErr_SetString(PyExc_OverflowError,
				"the integer does not fit into 32 bits");
		return false;
	}
	*value = (int)number;
	return true;
}

bool native_s64(PyObject *object, s64 *value)
{
	*value = PyLong_AsLongLong(object);
	return *value != -1 || !PyErr_Occurred();
}

bool native_path_parse(PyObject *object, bool fd_allowed,
		       struct native_path *path)
{
	path->string = NULL;
	path->owner = NULL;
	path->fd = NATIVE_AT_FDCWD;
	if (PyUnicode_Check(object) || PyBytes_Check(object)) {
		path->string = native_c_string(object, &path->owner);
		return path->string != NULL;
	}
	if (fd_allowed && PyLong_Check(object))
		return native_int(object, &path->fd);
	PyErr_Format(PyExc_TypeError, "path must be str or bytes%s, not %.100s",
		     fd_allowed ? " or int" : "", Py_TYPE(object)->tp_name);
	return false;
}

void native_path_release(struct native_path *path)
{
	Py_CLEAR(path->owner);
}

static int native_keyword_index(const char *const *names, int nr_names,
				PyObject *name)
{
	for (int index = 0; index < nr_names; index++)
		if (!PyUnicode_CompareWithASCIIString(name, names[index]))
			return index;
	return -1;
}

bool native_keywords(const char *function, const char *const *names,
		     int nr_names, int positional, int required,
		     PyObject *const *args, Py_ssize_t count,
		     PyObject *keywords, PyObject **slots)
{
	Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;

	for (int index = 0; index < nr_names; index++)
		slots[index] = index < count ? args[index] : NULL;
	if (count > positional) {
		PyErr_Format(
			PyExc_TypeError,
			"%s() takes at most %d positional arguments, not %zd",
			function, positional, count);
		return false;
	}
	for (Py_ssize_t at = 0; at < named; at++) {
		PyObject *name = PyTuple_GET_ITEM(keywords, at);
		int index = native_keyword_index(names, nr_names, name);

		if (index < 0 || slots[index]) {
			PyErr_Format(
				PyExc_TypeError,
				index < 0 ?
					"%s() got an unexpected argument %R" :
					"%s() got two values for argument %R",
				function, name);
			return false;
		}
		slots[index] = args[count + at];
	}
	for (int index = 0; index < required; index++)
		if (!slots[index]) {
			PyErr_Format(PyExc_TypeError,
				     "%s() misses its argument '%s'", function,
				     names[index]);
			return false;
		}
	return true;
}
