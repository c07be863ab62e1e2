// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving a disk from a Python object, when the kernel asks for it.
 *
 * The object's methods run with the GIL on whatever thread is inside the
 * kernel. They never see the kernel's memory: data goes through a bytearray or
 * bytes of our own, so that an object which keeps its memoryview can do no
 * harm. (The copy is small against the call; and a request of many pages
 * becomes one call instead of one for each.) What they raise becomes the
 * kernel's errno and is kept, for Disk.error() and as the cause of the OSError
 * that follows from it. Whether a write must be stable when it returns (FUA) is
 * told to pwrite(), and not turned into a flush here: that would promise more
 * than the kernel asked for, and hide what it forgot to ask.
 */
#include "backing.h"

#define NATIVE_ZERO_BYTES (1 << 20)

/* The result for the kernel; the exception that is set becomes the disk's. */
static int native_io_failed(struct native_backing *backing, u32 op)
{
	PyObject *type, *value, *trace, *number;
	int error = EIO;

	if (!PyErr_ExceptionMatches(PyExc_Exception)) {
		/* Ctrl-C and the like are for who called the kernel. */
		native_keep_exception();
		native_disks_given_up = true;
		return -EIO;
	}
	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	if (trace)
		PyException_SetTraceback(value, trace);
	if (PyErr_GivenExceptionMatches(value, PyExc_OSError)) {
		number = PyObject_GetAttrString(value, "errno");
		if (number && PyLong_Check(number))
			error = (int)PyLong_AsLong(number);
		PyErr_Clear();
		Py_XDECREF(number);
		if (error <= 0 || error > 4095)
			error = EIO;
	}
	/* An object that cannot discard is none in trouble. */
	if (op == LL_IO_DISCARD && error == EOPNOTSUPP)
		Py_DECREF(value);
	else if (!backing->error)
		backing->error = value; /* the first is nearest to the cause */
	else
		Py_DECREF(value);
	Py_DECREF(type);
	Py_XDECREF(trace);
	return -error;
}

static bool native_object_pread(PyObject *object, u64 offset, PyObject *data)
{
	PyObject *view = PyMemoryView_FromObject(data);
	PyObject *result = NULL;

	if (view)
		result = PyObject_CallMethod(object, "pread", "KO",
					     (unsigned long long)offset, view);
	Py_XDECREF(view);
	Py_XDECREF(result);
	return result != NULL;
}

static bool native_object_pwrite(PyObject *object, u64 offset, PyObject *data,
				 u32 flags)
{
	PyObject *stable = flags & LL_IO_FUA ? Py_True : Py_False;
	PyObject *view = PyMemoryView_FromObject(data);
	PyObject *result = NULL;

	if (view)
		result = PyObject_CallMethod(object, "pwrite", "KOO",
					     (unsigned long long)offset, view,
					     stable);
	Py_XDECREF(view);
	Py_XDECREF(result);
	return result != NULL;
}

static bool native_object_read(PyObject *object, struct ll_io *io)
{
	PyObject *data =
		PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)io->bytes);
	char *from;
	bool worked;

	if (!data)
		return false;
	/* Not what this process has had in its memory before. */
	memset(PyByteArray_AS_STRING(data), 0, io->bytes);
	worked = native_object_pread(object, io->offset, data);
	if (worked && (u64)PyByteArray_GET_SIZE(data) < io->bytes) {
		PyErr_SetString(PyExc_BufferError,
				"pread() made its buffer smaller");
		worked = false;
	}
	from = PyByteArray_AS_STRING(data);
	for (u32 at = 0; worked && at < io->nr_segments; at++) {
		memcpy(io->segments[at].base, from, io->segments[at].bytes);
		from += io->segments[at].bytes;
	}
	Py_DECREF(data);
	return worked;
}

static bool native_object_write(PyObject *object, struct ll_io *io)
{
	PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)io->bytes);
	char *to;
	bool worked;

	if (!data)
		return false;
	to = PyBytes_AS_STRING(data);
	for (u32 at = 0; at < io->nr_segments; at++) {
		memcpy(to, io->segments[at].base, io->segments[at].bytes);
		to += io->segments[at].bytes;
	}
	worked = native_object_pwrite(object, io->offset, data, io->flags);
	Py_DECREF(data);
	return worked;
}

static bool native_object_zero(PyObject *object, struct ll_io *io)
{
	u64 done = 0;

	while (done < io->bytes) {
		u64 part = Py_MIN(io->bytes - done, NATIVE_ZERO_BYTES);
		PyObject *data =
			PyBytes_FromStringAndSize(NULL, (Py_ssize_t)part);
		bool worked;

		if (!data)
			return false;
		memset(PyBytes_AS_STRING(data), 0, part);
		worked = native_object_pwrite(object, io->offset + done, data,
					      io->flags);
		Py_DECREF(data);
		if (!worked)
			return false;
		done += part;
	}
	return true;
}

static bool native_object_flush(PyObject *object)
{
	PyObject *result = PyObject_CallMethod(object, "flush", NULL);

	Py_XDECREF(result);
	return result != NULL;
}

static bool native_object_discard(PyObject *object, struct ll_io *io)
{
	PyObject *result = PyObject_CallMethod(object, "discard", "KK",
					       (unsigned long long)io->offset,
					       (unsigned long long)io->bytes);

	Py_XDECREF(result);
	return result != NULL;
}

static bool native_object_serve(PyObject *object, struct ll_io *io)
{
	switch (io->op) {
	case LL_IO_READ:
		return native_object_read(object, io);
	case LL_IO_WRITE:
		return native_object_write(object, io);
	case LL_IO_ZERO:
		return native_object_zero(object, io);
	case LL_IO_FLUSH:
		return native_object_flush(object);
	case LL_IO_DISCARD:
		return native_object_discard(object, io);
	}
	PyErr_Format(PyExc_SystemError, "unknown disk operation %u", io->op);
	return false;
}

int native_disk_io(void *context, void *handle, struct ll_io *io)
{
	struct native_backing *backing = handle;
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *type, *value, *trace, *object;
	int result = 0;

	(void)context;
	/*
	 * Ctrl-C in a disk's code: the call may have a thousand requests more,
	 * but its caller wants to go. As if the disk had been pulled out.
	 */
	if (native_disks_given_up) {
		PyGILState_Release(state);
		return -EIO;
	}
	/* A fault may have come here from code with an exception set. */
	PyErr_Fetch(&type, &value, &trace);
	object = Py_NewRef(backing->object);
	if (!native_object_serve(object, io))
		result = native_io_failed(backing, io->op);
	Py_DECREF(object);
	PyErr_Restore(type, value, trace);
	PyGILState_Release(state);
	return result;
}
