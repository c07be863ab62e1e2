// SPDX-License-Identifier: GPL-2.0-only
/*
 * What leaves a kernel without being asked for by a system call: its log, the
 * frames it has captured, and the counters of the host side.
 */
#include "native.h"

#define NATIVE_LOG_BYTES 65536

PyObject *native_kernel_log(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;
	PyObject *log, *part;
	size_t bytes;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	log = PyBytes_FromStringAndSize(NULL, 0);
	while (log && kernel->host && kernel->side->log_pending(kernel->host)) {
		part = PyBytes_FromStringAndSize(NULL, NATIVE_LOG_BYTES);
		if (!part) {
			Py_CLEAR(log);
			break;
		}
		native_enter(kernel, &crossing);
		bytes = kernel->side->log(kernel->host, PyBytes_AS_STRING(part),
					  NATIVE_LOG_BYTES);
		native_leave(kernel, &crossing);
		if (!bytes) {
			Py_DECREF(part);
			break;
		}
		if (_PyBytes_Resize(&part, (Py_ssize_t)bytes) < 0)
			Py_CLEAR(log);
		else
			PyBytes_ConcatAndDel(&log, part);
	}
	return log;
}

PyObject *native_kernel_captured(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;
	PyObject *result;
	u64 bytes, lost;
	void *blocks;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	if (kernel->side != &host_direct) {
		PyErr_SetString(PyExc_NotImplementedError,
				"an isolated kernel has no captures");
		return NULL;
	}
	native_enter(kernel, &crossing);
	bytes = host_kernel_captured(kernel->host, &blocks, &lost);
	native_leave(kernel, &crossing);
	result = Py_BuildValue("(y#K)", blocks ? blocks : "", (Py_ssize_t)bytes,
			       (unsigned long long)lost);
	free(blocks);
	return result;
}

PyObject *native_kernel_statistics(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;
	struct host_statistics now = { 0 };

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	native_enter(kernel, &crossing);
	kernel->side->statistics(kernel->host, &now);
	native_leave(kernel, &crossing);
	if (!native_check_code(kernel, 0))
		return NULL;
#define NATIVE_COUNTER(name) #name, (unsigned long long)now.name
	return Py_BuildValue(
		"{sKsKsKsKsKsKsKsKsKsKsKsKsKsKsK}", NATIVE_COUNTER(entries),
		NATIVE_COUNTER(done), NATIVE_COUNTER(host_exits),
		NATIVE_COUNTER(idle_exits), NATIVE_COUNTER(faults_inside),
		NATIVE_COUNTER(faults_outside), NATIVE_COUNTER(aliases),
		NATIVE_COUNTER(unaliases), NATIVE_COUNTER(aliased_bytes),
		NATIVE_COUNTER(reads), NATIVE_COUNTER(writes),
		NATIVE_COUNTER(flushes), NATIVE_COUNTER(frames),
		NATIVE_COUNTER(started_reads), NATIVE_COUNTER(reader_bytes));
#undef NATIVE_COUNTER
}
