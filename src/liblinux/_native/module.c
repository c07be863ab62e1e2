// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module liblinux._native: types, a few functions, and what all types
 * share. One interpreter per process may use it, since the host side's threads
 * find the interpreter by PyGILState.
 */
#include "native.h"
#include <time.h>

static struct PyModuleDef native_definition;

struct native_module *native_module_of(PyObject *self)
{
	return PyType_GetModuleState(Py_TYPE(self));
}

struct native_module *native_module_above(PyTypeObject *type)
{
	PyObject *module = PyType_GetModuleByDef(type, &native_definition);

	return module ? PyModule_GetState(module) : NULL;
}

void native_free(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *native_become_thread(PyObject *module, PyObject *id)
{
	unsigned long long wanted = PyLong_AsUnsignedLongLong(id);

	(void)module;
	if (wanted == (unsigned long long)-1 && PyErr_Occurred())
		return NULL;
	return PyLong_FromUnsignedLongLong(host_thread_become(wanted));
}

static PyObject *native_leave_tasks(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	host_thread_leave_tasks();
	Py_RETURN_NONE;
}

static PyObject *native_reclaim_fault_handler(PyObject *module,
					      PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyBool_FromLong(host_fault_reclaim());
}

static u64 native_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static PyObject *native_null_call(PyObject *module, PyObject *args)
{
	static const u64 none[6];
	struct native_module *state = PyModule_GetState(module);
	struct native_process *process;
	struct native_crossing crossing;
	struct host_result result = { 0 };
	const struct host_side *side;
	long long count;
	u64 started, ended;

	if (!PyArg_ParseTuple(args, "O!L:null_call_nanoseconds",
			      state->process_type, &process, &count))
		return NULL;
	if (count < 1) {
		PyErr_SetString(PyExc_ValueError, "count must be at least 1");
		return NULL;
	}
	if (!native_check_process(process))
		return NULL;
	side = process->kernel->side;
	native_enter(process->kernel, &crossing);
	started = native_monotonic();
	for (long long at = 0; at < count; at++) {
		if (side == &host_direct)
			host_process_call(process->host, NATIVE_NR_getpid, none,
					  &result);
		else
			side->call(process->host, NATIVE_NR_getpid, none, NULL,
				   &result);
		if (result.value < 0)
			break;
	}
	ended = native_monotonic();
	native_leave(process->kernel, &crossing);
	if (!native_check(process->kernel, &result) ||
	    !native_check_code(process->kernel, result.value))
		return NULL;
	return PyFloat_FromDouble((double)(ended - started) / (double)count);
}

static PyObject *native_switches(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_process *process;
	struct native_crossing crossing;
	struct host_result result = { 0 };
	u64 nanoseconds = 0;
	long long count;
	int error;

	if (!PyArg_ParseTuple(args, "O!L:switch_nanoseconds",
			      state->process_type, &process, &count))
		return NULL;
	if (count < 1) {
		PyErr_SetString(PyExc_ValueError, "count must be at least 1");
		return NULL;
	}
	if (!native_check_process(process))
		return NULL;
	native_enter(process->kernel, &crossing);
	error = process->kernel->side->switches(process->host, (u64)count,
						&nanoseconds, &result);
	native_leave(process->kernel, &crossing);
	if (!native_check(process->kernel, &result) ||
	    !native_check_code(process->kernel, error))
		return NULL;
	return PyFloat_FromDouble((double)nanoseconds / (double)count);
}

static PyObject *native_group_join(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_kernel *kernels[2];
	struct native_crossing crossing;
	int error;

	if (!PyArg_ParseTuple(args, "O!O!:group_join", state->kernel_type,
			      &kernels[0], state->kernel_type, &kernels[1]) ||
	    !native_check_open(kernels[0]) || !native_check_open(kernels[1]))
		return NULL;
	if (kernels[0]->side != &host_direct ||
	    kernels[1]->side != &host_direct) {
		errno = EINVAL;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	native_enter(kernels[0], &crossing);
	error = host_group_join(kernels[0]->host, kernels[1]->host);
	native_leave(kernels[0], &crossing);
	if (!native_check_code(kernels[0], error))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *native_group_wire(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_process *from, *to;
	struct native_crossing crossing;
	int from_fd, to_fd, news, error;

	if (!PyArg_ParseTuple(args, "O!ipO!i:group_wire", state->process_type,
			      &from, &from_fd, &news, state->process_type, &to,
			      &to_fd) ||
	    !native_check_process(from) || !native_check_process(to))
		return NULL;
	native_enter(from->kernel, &crossing);
	error = host_group_wire(from->host, from_fd, news, to->host, to_fd);
	native_leave(from->kernel, &crossing);
	if (!native_check_code(from->kernel, error))
		return NULL;
	Py_RETURN_NONE;
}

static bool native_is_here(struct native_kernel *kernel)
{
	if (kernel->side == &host_direct)
		return true;
	PyErr_SetString(PyExc_ValueError,
			"an isolated kernel cannot be measured like this");
	return false;
}

/* exchange_nanoseconds(process, count, fd, fd2, tasks) */
static PyObject *native_exchange(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_process *process;
	struct native_crossing crossing;
	struct host_result result = { 0 };
	u64 nanoseconds = 0;
	int sockets[2], tasks = 2, error;
	long long count;

	if (!PyArg_ParseTuple(args, "O!Lii|i:exchange_nanoseconds",
			      state->process_type, &process, &count,
			      &sockets[0], &sockets[1], &tasks))
		return NULL;
	if (count < 1 || tasks < 1 || tasks > 2) {
		PyErr_SetString(PyExc_ValueError,
				"count must be at least 1, tasks 1 or 2");
		return NULL;
	}
	if (!native_check_process(process) || !native_is_here(process->kernel))
		return NULL;
	native_enter(process->kernel, &crossing);
	error = host_measure_exchange(process->host, sockets, tasks,
				      (u64)count, &nanoseconds, &result);
	native_leave(process->kernel, &crossing);
	if (!native_check(process->kernel, &result) ||
	    !native_check_code(process->kernel, error))
		return NULL;
	return PyFloat_FromDouble((double)nanoseconds / (double)count);
}

/* stream_nanoseconds(process, block, bytes, fd, fd) */
static PyObject *native_stream(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_process *process;
	struct native_crossing crossing;
	struct host_result result = { 0 };
	u64 nanoseconds = 0;
	int sockets[2], error;
	long long block, bytes;

	if (!PyArg_ParseTuple(args, "O!LLii:stream_nanoseconds",
			      state->process_type, &process, &block, &bytes,
			      &sockets[0], &sockets[1]))
		return NULL;
	if (block < 1 || block > 1 << 30 || bytes < 1) {
		PyErr_SetString(PyExc_ValueError,
				"block and bytes must be at least 1");
		return NULL;
	}
	if (!native_check_process(process) || !native_is_here(process->kernel))
		return NULL;
	native_enter(process->kernel, &crossing);
	error = host_measure_stream(process->host, sockets, (u64)block,
				    (u64)bytes, &nanoseconds, &result);
	native_leave(process->kernel, &crossing);
	if (!native_check(process->kernel, &result) ||
	    !native_check_code(process->kernel, error))
		return NULL;
	return PyFloat_FromDouble((double)nanoseconds);
}

static PyMethodDef native_functions[] = {
	{ "map_view", native_map_view, METH_VARARGS,
	  "map_view(process, address, length, readonly, /)\n--\n\nMapped memory as a buffer." },
	{ "become_thread", native_become_thread, METH_O,
	  "become_thread(id, /)\n--\n\nTo kernels, be the thread of this id or a new one (0); the id before." },
	{ "leave_tasks", native_leave_tasks, METH_NOARGS,
	  "leave_tasks()\n--\n\nThe tasks that this thread has in kernels are free." },
	{ "reclaim_fault_handler", native_reclaim_fault_handler, METH_NOARGS,
	  "reclaim_fault_handler()\n--\n\nPut the fault handler in front again; whether that was needed." },
	{ "survey", native_survey, METH_VARARGS,
	  "survey(process, path, follow_mounts, most, /)\n--\n\nA whole tree with its top, of a Process or of the host (None), and what could not be read." },
	{ "copy", native_copy, METH_VARARGS,
	  "copy(listing, source, target, notes, indices, links, counter, options, /)\n--\n\nCopy entries; how many were done, errno or 0 of what ended it, problems, their texts." },
	{ "null_call_nanoseconds", native_null_call, METH_VARARGS,
	  "null_call_nanoseconds(process, count, /)\n--\n\nWhat getpid takes from C." },
	{ "group_join", native_group_join, METH_VARARGS,
	  "group_join(kernel, other, /)\n--\n\nLet two kernels have one virtual clock." },
	{ "group_wire", native_group_wire, METH_VARARGS,
	  "group_wire(process, fd, news, other, other_fd, /)\n--\n\nCarry frames from one kernel of a group to another." },
	{ "switch_nanoseconds", native_switches, METH_VARARGS,
	  "switch_nanoseconds(process, count, /)\n--\n\nWhat a switch between tasks over a pipe takes." },
	{ "exchange_nanoseconds", native_exchange, METH_VARARGS,
	  "exchange_nanoseconds(process, count, fd, fd2, tasks=2, /)\n--\n\nThe same over two connected sockets, or by one task at both ends." },
	{ "stream_nanoseconds", native_stream, METH_VARARGS,
	  "stream_nanoseconds(process, block, bytes, fd, fd2, /)\n--\n\nWhat so many bytes from one socket to the other take." },
	{ 0 },
};

static bool native_add_type(PyObject *module, PyType_Spec *spec,
			    PyTypeObject **type)
{
	*type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	return *type && PyModule_AddType(module, *type) == 0;
}

static int native_execute(PyObject *module)
{
	struct native_module *state = PyModule_GetState(module);

	if (!native_add_type(module, &native_kernel_spec,
			     &state->kernel_type) ||
	    !native_add_type(module, &native_process_spec,
			     &state->process_type) ||
	    !native_add_type(module, &native_disk_spec, &state->disk_type) ||
	    !native_add_type(module, &native_view_spec, &state->view_type) ||
	    !native_add_type(module, &native_listing_spec,
			     &state->listing_type) ||
	    !native_add_type(module, &native_snapshot_spec,
			     &state->snapshot_type) ||
	    !native_add_type(module, &native_socket_spec, &state->socket_type) ||
	    !native_add_type(module, &native_pump_spec, &state->pump_type) ||
	    !native_add_type(module, &native_poller_spec,
			     &state->poller_type) ||
	    !native_add_type(module, &native_clock_spec, &state->clock_type))
		return -1;
	return PyModule_AddIntConstant(module, "BOUNDARY_VERSION",
				       LL_BOUNDARY_VERSION);
}

static int native_visit(PyObject *module, visitproc visit, void *arg)
{
	struct native_module *state = PyModule_GetState(module);

	Py_VISIT(state->kernel_type);
	Py_VISIT(state->process_type);
	Py_VISIT(state->disk_type);
	Py_VISIT(state->view_type);
	Py_VISIT(state->listing_type);
	Py_VISIT(state->snapshot_type);
	Py_VISIT(state->socket_type);
	Py_VISIT(state->pump_type);
	Py_VISIT(state->poller_type);
	Py_VISIT(state->clock_type);
	return 0;
}

static int native_clear(PyObject *module)
{
	struct native_module *state = PyModule_GetState(module);

	Py_CLEAR(state->kernel_type);
	Py_CLEAR(state->process_type);
	Py_CLEAR(state->disk_type);
	Py_CLEAR(state->view_type);
	Py_CLEAR(state->listing_type);
	Py_CLEAR(state->snapshot_type);
	Py_CLEAR(state->socket_type);
	Py_CLEAR(state->pump_type);
	Py_CLEAR(state->poller_type);
	Py_CLEAR(state->clock_type);
	return 0;
}

static PyModuleDef_Slot native_slots[] = {
	{ Py_mod_exec, native_execute },
#ifdef Py_mod_multiple_interpreters
	{ Py_mod_multiple_interpreters,
	  Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED },
#endif
	{ 0 },
};

static struct PyModuleDef native_definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "liblinux._native",
	.m_doc =
		"The Linux kernel in this process, as the Python layer needs it.",
	.m_size = sizeof(struct native_module),
	.m_methods = native_functions,
	.m_slots = native_slots,
	.m_traverse = native_visit,
	.m_clear = native_clear,
};

PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&native_definition);
}
