// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pump: a thread that carries frames between descriptors, of processes of
 * kernels in this process and of the host; see kernel/host/pump.c.
 *
 * It refers to its processes and so keeps their kernels, but does not count as
 * being inside: who closes a kernel stops its pumps first.
 */
#include "native.h"

struct native_pump {
	PyObject_HEAD struct native_process *processes[3]; /* or NULL */
	struct host_pump *host; /* NULL when it has been stopped */
	struct host_pump_statistics last;
};

/* A process of a kernel in this process, or None. */
static bool native_pump_process(PyObject *pump, PyObject *owner,
				struct native_process **process,
				struct host_process **host)
{
	if (owner == Py_None)
		return true;
	if (!PyObject_TypeCheck(owner, native_module_of(pump)->process_type)) {
		PyErr_Format(PyExc_TypeError,
			     "a process or None is wanted, not %.100s",
			     Py_TYPE(owner)->tp_name);
		return false;
	}
	*process = (struct native_process *)owner;
	*host = (*process)->host;
	if (!native_check_process(*process))
		return false;
	if ((*process)->kernel->side == &host_direct)
		return true;
	PyErr_SetString(PyExc_ValueError,
			"an isolated kernel is in a process of its own, where "
			"no pump comes; take one without isolated=True");
	return false;
}

static bool native_pump_last(PyObject *pump, PyObject *object,
			     struct native_process **process,
			     struct host_pump_last *last)
{
	Py_buffer argument;
	PyObject *owner;
	bool fits;

	if (!PyArg_ParseTuple(object,
			      "OiIy*;(process or None, fd, request, argument)",
			      &owner, &last->fd, &last->request, &argument))
		return false;
	fits = argument.len <= (Py_ssize_t)sizeof(last->argument);
	if (fits)
		memcpy(last->argument, argument.buf, argument.len);
	PyBuffer_Release(&argument);
	if (!fits)
		PyErr_SetString(PyExc_ValueError, "the argument is too long");
	return fits &&
	       native_pump_process(pump, owner, process, &last->process);
}

static bool native_pump_parse(PyObject *pump, PyObject *args,
			      struct native_process **processes,
			      struct host_pump_end ends[2],
			      struct host_pump_last *last)
{
	PyObject *owners[2], *third;
	int at;

	if (!PyArg_ParseTuple(args, "(Oiii)(Oiii)O!:Pump", &owners[0],
			      &ends[0].fd, &ends[0].stop_fd, &ends[0].kind,
			      &owners[1], &ends[1].fd, &ends[1].stop_fd,
			      &ends[1].kind, &PyTuple_Type, &third))
		return false;
	for (at = 0; at < 2; at++)
		if (!native_pump_process(pump, owners[at], &processes[at],
					 &ends[at].process))
			return false;
	return native_pump_last(pump, third, &processes[2], last);
}

static int native_pump_init(PyObject *self, PyObject *args, PyObject *keywords)
{
	struct native_pump *pump = (struct native_pump *)self;
	struct native_process *processes[3] = { 0 };
	struct host_pump_end ends[2] = { 0 };
	struct host_pump_last last = { 0 };
	int code, at;

	if (pump->host || (keywords && PyDict_GET_SIZE(keywords))) {
		PyErr_SetString(PyExc_TypeError,
				"Pump() is one thread, and takes no keywords");
		return -1;
	}
	if (!native_pump_parse(self, args, processes, ends, &last))
		return -1;
	code = host_pump_start(&ends[0], &ends[1], &last, &pump->host);
	if (!native_check_code(NULL, code))
		return -1;
	for (at = 0; at < 3; at++) {
		Py_XINCREF(processes[at]);
		Py_XSETREF(pump->processes[at], processes[at]);
	}
	return 0;
}

static PyObject *native_pump_stop(PyObject *self, PyObject *unused)
{
	struct native_pump *pump = (struct native_pump *)self;
	struct host_pump *host = pump->host;
	struct host_pump_statistics last;
	PyThreadState *thread;

	(void)unused;
	if (host) {
		pump->host = NULL;
		host_pump_statistics(host, &pump->last);
		thread = PyEval_SaveThread();
		host_pump_stop(host, &last);
		PyEval_RestoreThread(thread);
		pump->last = last;
	}
	Py_RETURN_NONE;
}

static PyObject *native_pump_statistics(PyObject *self, PyObject *unused)
{
	struct native_pump *pump = (struct native_pump *)self;
	struct host_pump_statistics *last = &pump->last;

	(void)unused;
	if (pump->host)
		host_pump_statistics(pump->host, last);
	return Py_BuildValue("KKKi", last->frames, last->bytes, last->dropped,
			     -last->error);
}

static void native_pump_free(PyObject *self)
{
	struct native_pump *pump = (struct native_pump *)self;
	int at;

	PyObject_GC_UnTrack(self);
	Py_XDECREF(native_pump_stop(self, NULL));
	for (at = 0; at < 3; at++)
		Py_CLEAR(pump->processes[at]);
	native_free(self);
}

static int native_pump_visit(PyObject *self, visitproc visit, void *arg)
{
	struct native_pump *pump = (struct native_pump *)self;
	int at;

	Py_VISIT(Py_TYPE(self));
	for (at = 0; at < 3; at++)
		Py_VISIT(pump->processes[at]);
	return 0;
}

static PyMethodDef native_pump_methods[] = {
	{ "stop", native_pump_stop, METH_NOARGS,
	  "stop()\n--\n\nEnd it and wait for its end. Twice does nothing." },
	{ "statistics", native_pump_statistics, METH_NOARGS,
	  "statistics()\n--\n\nFrames, bytes, dropped frames, and the errno that it ended by, or 0." },
	{ 0 },
};

static PyType_Slot native_pump_slots[] = {
	{ Py_tp_doc, "Carries frames from one descriptor to another." },
	{ Py_tp_init, native_pump_init },
	{ Py_tp_dealloc, native_pump_free },
	{ Py_tp_traverse, native_pump_visit },
	{ Py_tp_methods, native_pump_methods },
	{ 0 },
};

PyType_Spec native_pump_spec = {
	.name = "liblinux._native.Pump",
	.basicsize = sizeof(struct native_pump),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_pump_slots,
};
