// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions of a kernel that died or waits for nothing. What the kernel said
 * is handed to liblinux._report, which has the symbols, as a tuple:
 *
 *	(kind, ip, address, base, tasks, more_tasks, log)
 *	task: (call, pid, uninterruptible, name, trace)
 */
#include "native.h"

static PyObject *native_trace(const struct ll_task *task)
{
	u32 count = task->nr_trace <= LL_TRACE_ENTRIES ? task->nr_trace : 0;
	PyObject *trace = PyTuple_New(count), *address;

	for (u32 at = 0; trace && at < count; at++) {
		address = PyLong_FromUnsignedLongLong(task->trace[at]);
		if (address)
			PyTuple_SET_ITEM(trace, at, address);
		else
			Py_CLEAR(trace);
	}
	return trace;
}

static PyObject *native_task(const struct ll_task *task)
{
	return Py_BuildValue("LINy#N", (long long)task->call, task->pid,
			     PyBool_FromLong(task->uninterruptible), task->name,
			     (Py_ssize_t)strnlen(task->name,
						 sizeof(task->name)),
			     native_trace(task));
}

static PyObject *native_tasks(const struct ll_report *report)
{
	u32 count = report->nr_tasks <= LL_REPORT_TASKS ? report->nr_tasks : 0;
	PyObject *tasks = PyTuple_New(count), *task;

	for (u32 at = 0; tasks && at < count; at++) {
		task = native_task(&report->tasks[at]);
		if (task)
			PyTuple_SET_ITEM(tasks, at, task);
		else
			Py_CLEAR(tasks);
	}
	return tasks;
}

PyObject *native_report_error(const char *name, const char *text,
			      PyObject *image, PyObject *numbers,
			      const struct host_report *host)
{
	const struct ll_report *report = &host->report;
	PyObject *module = PyImport_ImportModule("liblinux._report");
	PyObject *error = NULL;

	if (module)
		error = PyObject_CallMethod(module, name, "sOO(IKKKNIy#)", text,
					    image, numbers ? numbers : Py_None,
					    report->kind,
					    (unsigned long long)report->ip,
					    (unsigned long long)report->address,
					    (unsigned long long)host->base,
					    native_tasks(report),
					    report->more_tasks, host->log,
					    (Py_ssize_t)host->log_bytes);
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(error);
	Py_XDECREF(module);
	return NULL;
}

bool native_raise_report(struct native_kernel *kernel, const char *name)
{
	struct host_report *report;
	const char *text;

	/* It may have been closed since, by a signal's handler. */
	if (!native_check_open(kernel))
		return false;
	report = PyMem_Calloc(1, sizeof(*report));
	if (!report) {
		PyErr_NoMemory();
		return false;
	}
	text = kernel->side->dead(kernel->host);
	if (text && kernel->side->gone(kernel->host)) {
		native_own_error("KernelDied", text);
		PyMem_Free(report);
		return false;
	}
	kernel->side->report(kernel->host, report);
	native_report_error(name, text ? text : "", kernel->image,
			    kernel->syscalls, report);
	PyMem_Free(report);
	return false;
}
