// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process.stat(): one statx, and its answer as a plain tuple, which the Python
 * layer makes an os.stat_result of when somebody wants one.
 */
#include "stat.h"
#include <sys/sysmacros.h>

#define NATIVE_SECOND_NS 1000000000LL

/* File systems may have times beyond the 292 years of 64-bit nanoseconds. */
static PyObject *native_long_time(const struct host_statx_time *time)
{
	PyObject *seconds = PyLong_FromLongLong(time->seconds);
	PyObject *scale = PyLong_FromLongLong(NATIVE_SECOND_NS);
	PyObject *rest = PyLong_FromLong((long)time->nanoseconds);
	PyObject *product = NULL, *sum = NULL;

	if (seconds && scale)
		product = PyNumber_Multiply(seconds, scale);
	if (product && rest)
		sum = PyNumber_Add(product, rest);
	Py_XDECREF(product);
	Py_XDECREF(rest);
	Py_XDECREF(scale);
	Py_XDECREF(seconds);
	return sum;
}

static bool native_nanoseconds(const struct host_statx_time *time, s64 *value)
{
	return !__builtin_mul_overflow(time->seconds, NATIVE_SECOND_NS,
				       value) &&
	       !__builtin_add_overflow(*value, time->nanoseconds, value);
}

static PyObject *native_time(const struct host_statx_time *time)
{
	s64 value;

	return native_nanoseconds(time, &value) ? PyLong_FromLongLong(value) :
						  native_long_time(time);
}

/* Item `index` of the tuple below; false when 64 bits do not hold it. */
bool native_stat_number(const struct host_statx *status, int index, s64 *value)
{
	switch (index) {
	case 0:
		*value = status->mode;
		return true;
	case 1:
		*value = (s64)status->ino;
		return true;
	case 2:
		*value = (s64)makedev(status->dev_major, status->dev_minor);
		return true;
	case 3:
		*value = status->nlink;
		return true;
	case 4:
		*value = status->uid;
		return true;
	case 5:
		*value = status->gid;
		return true;
	case 6:
		*value = (s64)status->size;
		return true;
	case 7:
		return native_nanoseconds(&status->atime, value);
	case 8:
		return native_nanoseconds(&status->mtime, value);
	case 9:
		return native_nanoseconds(&status->ctime, value);
	case 10:
		*value = status->blksize;
		return true;
	case 11:
		*value = (s64)status->blocks;
		return true;
	case 12:
		*value = (s64)makedev(status->rdev_major, status->rdev_minor);
		return true;
	case 13:
		*value = -1;
		return !(status->mask & HOST_STATX_BTIME) ||
		       native_nanoseconds(&status->btime, value);
	default:
		*value = (s64)status->attributes;
		return true;
	}
}

PyObject *native_stat_tuple(const struct host_statx *status)
{
	PyObject *tuple = PyTuple_New(NATIVE_STAT_NUMBERS);
	bool born = status->mask & HOST_STATX_BTIME;
	Py_ssize_t at = 0;

	if (!tuple)
		return NULL;
#define NATIVE_ITEM(expression)                      \
	do {                                         \
		PyObject *item = (expression);       \
		if (!item) {                         \
			Py_DECREF(tuple);            \
			return NULL;                 \
		}                                    \
		PyTuple_SET_ITEM(tuple, at++, item); \
	} while (0)
	NATIVE_ITEM(PyLong_FromLong(status->mode));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(status->ino));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(
		makedev(status->dev_major, status->dev_minor)));
	NATIVE_ITEM(PyLong_FromUnsignedLong(status->nlink));
	NATIVE_ITEM(PyLong_FromUnsignedLong(status->uid));
	NATIVE_ITEM(PyLong_FromUnsignedLong(status->gid));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(status->size));
	NATIVE_ITEM(native_time(&status->atime));
	NATIVE_ITEM(native_time(&status->mtime));
	NATIVE_ITEM(native_time(&status->ctime));
	NATIVE_ITEM(PyLong_FromUnsignedLong(status->blksize));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(status->blocks));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(
		makedev(status->rdev_major, status->rdev_minor)));
	NATIVE_ITEM(born ? native_time(&status->btime) : PyLong_FromLong(-1));
	NATIVE_ITEM(PyLong_FromUnsignedLongLong(status->attributes));
#undef NATIVE_ITEM
	/* Numbers refer to nothing: the collector would find that out each time. */
	PyObject_GC_UnTrack(tuple);
	return tuple;
}

PyObject *native_stat(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords)
{
	static const char *const names[] = { "path", "dir_fd",
					     "follow_symlinks" };
	struct native_process *process = (struct native_process *)self;
	struct host_statx status;
	struct native_path path;
	PyObject *slots[3];
	u64 call[6] = { 0 };
	struct host_spans spans;
	int dir_fd = NATIVE_AT_FDCWD, follow = 1;
	bool worked;
	s64 value;

	if (!native_keywords("stat", names, 3, 1, 1, args, count, keywords,
			     slots) ||
	    (slots[1] && !native_int(slots[1], &dir_fd)))
		return NULL;
	if (slots[2] && (follow = PyObject_IsTrue(slots[2])) < 0)
		return NULL;
	if (!native_path_parse(slots[0], true, &path))
		return NULL;
	call[0] = (u64)(path.string ? dir_fd : path.fd);
	call[1] = (u64)(path.string ? path.string : "");
	call[2] = HOST_AT_NO_AUTOMOUNT;
	if (!path.string)
		call[2] |= HOST_AT_EMPTY_PATH;
	else if (!follow)
		call[2] |= HOST_AT_SYMLINK_NOFOLLOW;
	call[3] = HOST_STATX_MASK;
	call[4] = (u64)&status;
	spans = (struct host_spans){
		.count = 2,
		.span = { { 1, HOST_SPAN_IN, strlen((char *)call[1]) },
			  { 4, HOST_SPAN_OUT, sizeof(status) } },
	};
	if (!path.string && path.fd < 0) {
		/* AT_FDCWD is no descriptor here. */
		value = -EBADF;
		worked = native_check_process(process);
	} else {
		worked = native_call(process, NATIVE_NR_statx, call, &spans,
				     &value);
	}
	native_path_release(&path);
	if (!worked)
		return NULL;
	if (value < 0)
		return native_os_error(process->kernel, (int)-value);
	return native_stat_tuple(&status);
}
