// SPDX-License-Identifier: GPL-2.0-only
/*
 * Methods of Process around descriptors: the hot ones, with as little as
 * possible between Python and the kernel. All raise OSError and none retries:
 * a signal handler that does not raise does not interrupt the kernel's calls.
 */
#include "native.h"
#include <fcntl.h>

/* The kernel's MAX_RW_COUNT: it would not give more anyway. */
#define NATIVE_READ_BYTES_MAX 0x7ffff000

static bool native_count(const char *function, Py_ssize_t count,
			 Py_ssize_t wanted)
{
	if (count == wanted)
		return true;
	PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, not %zd",
		     function, wanted, count);
	return false;
}

/*
 * A call whose failure is an OSError; false then. Its second argument is an
 * address when there are `ways`.
 */
static bool native_file_call(PyObject *self, s64 nr, u64 first, u64 second,
			     u64 third, u64 fourth, u32 ways, u64 bytes,
			     s64 *value)
{
	struct native_process *process = (struct native_process *)self;
	const u64 args[6] = { first, second, third, fourth };
	const struct host_spans spans = { .count = 1,
					  .span = { { 1, ways, bytes } } };

	if (!native_call(process, nr, args, ways ? &spans : NULL, value))
		return false;
	if (*value >= 0)
		return true;
	native_os_error(process->kernel, (int)-*value);
	return false;
}

/* ---- reading --------------------------------------------------------- */

static PyObject *native_read_bytes(PyObject *self, s64 nr, PyObject *fd_object,
				   PyObject *length, s64 offset)
{
	PyObject *bytes;
	Py_ssize_t room;
	s64 done;
	int fd;

	if (!native_int(fd_object, &fd))
		return NULL;
	room = PyLong_AsSsize_t(length);
	if (room == -1 && PyErr_Occurred())
		return NULL;
	if (room < 0)
		return native_os_error(((struct native_process *)self)->kernel,
				       EINVAL);
	if (room > NATIVE_READ_BYTES_MAX)
		room = NATIVE_READ_BYTES_MAX;
	bytes = PyBytes_FromStringAndSize(NULL, room);
	if (!bytes)
		return NULL;
	if (!native_file_call(self, nr, (u64)fd, (u64)PyBytes_AS_STRING(bytes),
			      (u64)room, (u64)offset,
			      HOST_SPAN_OUT | HOST_SPAN_RESULT, (u64)room,
			      &done)) {
		Py_DECREF(bytes);
		return NULL;
	}
	if (done != room)
		_PyBytes_Resize(&bytes, (Py_ssize_t)done);
	return bytes;
}

PyObject *native_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	if (!native_count("read", count, 2))
		return NULL;
	return native_read_bytes(self, NATIVE_NR_read, args[0], args[1], 0);
}

PyObject *native_pread(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	s64 offset;

	if (!native_count("pread", count, 3) || !native_s64(args[2], &offset))
		return NULL;
	return native_read_bytes(self, NATIVE_NR_pread64, args[0], args[1],
				 offset);
}

/* ---- buffers of the caller, both ways -------------------------------- */

static PyObject *native_transfer(PyObject *self, s64 nr, PyObject *fd_object,
				 PyObject *object, int buffer_flags, s64 offset)
{
	Py_buffer buffer;
	bool worked;
	s64 done;
	int fd;

	if (!native_int(fd_object, &fd))
		return NULL;
	if (PyObject_GetBuffer(object, &buffer, buffer_flags) < 0)
		return NULL;
	worked = native_file_call(self, nr, (u64)fd, (u64)buffer.buf,
				  (u64)buffer.len, (u64)offset,
				  buffer_flags == PyBUF_WRITABLE ?
					  HOST_SPAN_OUT | HOST_SPAN_RESULT :
					  HOST_SPAN_IN,
				  (u64)buffer.len, &done);
	PyBuffer_Release(&buffer);
	return worked ? PyLong_FromLongLong(done) : NULL;
}

PyObject *native_readinto(PyObject *self, PyObject *const *args,
			  Py_ssize_t count)
{
	if (!native_count("readinto", count, 2))
		return NULL;
	return native_transfer(self, NATIVE_NR_read, args[0], args[1],
			       PyBUF_WRITABLE, 0);
}

PyObject *native_preadinto(PyObject *self, PyObject *const *args,
			   Py_ssize_t count)
{
	s64 offset;

	if (!native_count("preadinto", count, 3) ||
	    !native_s64(args[2], &offset))
		return NULL;
	return native_transfer(self, NATIVE_NR_pread64, args[0], args[1],
			       PyBUF_WRITABLE, offset);
}

PyObject *native_write(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	if (!native_count("write", count, 2))
		return NULL;
	return native_transfer(self, NATIVE_NR_write, args[0], args[1],
			       PyBUF_SIMPLE, 0);
}

PyObject *native_pwrite(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	s64 offset;

	if (!native_count("pwrite", count, 3) || !native_s64(args[2], &offset))
		return NULL;
	return native_transfer(self, NATIVE_NR_pwrite64, args[0], args[1],
			       PyBUF_SIMPLE, offset);
}

/* ---- open and close -------------------------------------------------- */

PyObject *native_open(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords)
{
	static const char *const names[] = { "path", "flags", "mode",
					     "dir_fd" };
	struct native_path path;
	PyObject *slots[4];
	int flags, mode = 0777, dir_fd = NATIVE_AT_FDCWD;
	bool worked;
	s64 fd;

	if (!native_keywords("open", names, 4, 4, 2, args, count, keywords,
			     slots) ||
	    !native_int(slots[1], &flags) ||
	    (slots[2] && !native_int(slots[2], &mode)) ||
	    (slots[3] && !native_int(slots[3], &dir_fd)) ||
	    !native_path_parse(slots[0], false, &path))
		return NULL;
	flags |= O_CLOEXEC | 0100000; /* O_LARGEFILE, which glibc hides as 0 */
	worked = native_file_call(self, NATIVE_NR_openat, (u64)dir_fd,
				  (u64)path.string, (u64)flags, (u64)mode,
				  HOST_SPAN_IN, strlen(path.string), &fd);
	native_path_release(&path);
	return worked ? PyLong_FromLongLong(fd) : NULL;
}

PyObject *native_close(PyObject *self, PyObject *fd_object)
{
	s64 value;
	int fd;

	if (!native_int(fd_object, &fd) ||
	    !native_file_call(self, NATIVE_NR_close, (u64)fd, 0, 0, 0, 0, 0,
			      &value))
		return NULL;
	Py_RETURN_NONE;
}
