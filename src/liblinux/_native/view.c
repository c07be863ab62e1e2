// SPDX-License-Identifier: GPL-2.0-only
/*
 * View: a range of mmap(2)ed memory as an exporter of buffers.
 *
 * The memory is the kernel's own; a first touch of a page goes through the
 * host's fault handler. The kernel cannot be closed while a buffer is exported,
 * which is what keeps the address valid; unmapping it in between is as wrong as
 * in C, and answered by a bus error.
 */
#include "native.h"

struct native_view {
	PyObject_HEAD PyObject *weak_references;
	struct native_kernel *kernel;
	u64 address;
	Py_ssize_t bytes;
	bool readonly;
};

static bool native_view_check_range(struct native_kernel *kernel, u64 address,
				    Py_ssize_t bytes)
{
	u64 start, window;

	if (bytes <= 0) {
		PyErr_SetString(PyExc_ValueError,
				"a view has at least one byte");
		return false;
	}
	kernel->side->window(kernel->host, &start, &window);
	if (address >= start && address - start < window &&
	    (u64)bytes <= window - (address - start))
		return true;
	PyErr_SetString(PyExc_ValueError,
			"the range is not in the memory that this kernel maps; "
			"take the address from its mmap");
	return false;
}

PyObject *native_map_view(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_process *process;
	struct native_view *view;
	unsigned long long address;
	PyObject *number;
	Py_ssize_t bytes;
	int readonly;

	if (!PyArg_ParseTuple(args, "O!O!np:map_view", state->process_type,
			      &process, &PyLong_Type, &number, &bytes,
			      &readonly))
		return NULL;
	address = PyLong_AsUnsignedLongLong(number);
	if (address == ~0ULL && PyErr_Occurred())
		return NULL;
	if (!native_check_process(process) ||
	    !native_view_check_range(process->kernel, address, bytes))
		return NULL;
	view = (struct native_view *)state->view_type->tp_alloc(
		state->view_type, 0);
	if (!view)
		return NULL;
	view->kernel =
		(struct native_kernel *)Py_NewRef((PyObject *)process->kernel);
	view->address = address;
	view->bytes = bytes;
	view->readonly = readonly;
	return (PyObject *)view;
}

static int native_view_export(PyObject *self, Py_buffer *buffer, int flags)
{
	struct native_view *view = (struct native_view *)self;

	buffer->obj = NULL;
	if (!native_check_open(view->kernel) ||
	    PyBuffer_FillInfo(buffer, self, (void *)view->address, view->bytes,
			      view->readonly, flags) < 0)
		return -1;
	view->kernel->exports++;
	return 0;
}

static void native_view_withdraw(PyObject *self, Py_buffer *buffer)
{
	(void)buffer;
	((struct native_view *)self)->kernel->exports--;
}

static void native_view_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	if (((struct native_view *)self)->weak_references)
		PyObject_ClearWeakRefs(self);
	Py_CLEAR(((struct native_view *)self)->kernel);
	native_free(self);
}

static int native_view_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_view *)self)->kernel);
	return 0;
}

static PyMemberDef native_view_members[] = {
	{ "__weaklistoffset__", T_PYSSIZET,
	  offsetof(struct native_view, weak_references), READONLY, NULL },
	{ 0 },
};

static PyType_Slot native_view_slots[] = {
	{ Py_tp_doc, "Memory mapped by a kernel; made by map_view()." },
	{ Py_tp_dealloc, native_view_free },
	{ Py_tp_traverse, native_view_visit },
	{ Py_tp_members, native_view_members },
	{ Py_bf_getbuffer, native_view_export },
	{ Py_bf_releasebuffer, native_view_withdraw },
	{ 0 },
};

PyType_Spec native_view_spec = {
	.name = "liblinux._native.View",
	.basicsize = sizeof(struct native_view),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = native_view_slots,
};
