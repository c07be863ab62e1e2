// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshot: a kernel at an instant. It refers to its Kernel, whose memory it can
 * be put back into as long as the kernel is open.
 */
#include "native.h"

struct native_snapshot {
	PyObject_HEAD struct native_kernel *kernel;
	struct host_snapshot *host;
};

static PyObject *native_refuse(PyObject *type, int error, const char *text)
{
	PyObject *args = Py_BuildValue("is", error, text);

	if (args)
		PyErr_SetObject(type, args);
	Py_XDECREF(args);
	return NULL;
}

static PyObject *native_busy(void)
{
	return native_refuse(PyExc_BlockingIOError, EBUSY,
			     "another thread is in a call of this kernel; let "
			     "its call end first");
}

PyObject *native_kernel_snapshot(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_module *state = PyType_GetModuleState(Py_TYPE(self));
	struct native_snapshot *snapshot;
	struct native_crossing crossing;
	int code;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	if (kernel->inside)
		return native_busy();
	snapshot = (struct native_snapshot *)state->snapshot_type->tp_alloc(
		state->snapshot_type, 0);
	if (!snapshot)
		return NULL;
	snapshot->kernel = (struct native_kernel *)Py_NewRef(self);
	native_enter(kernel, &crossing);
	code = kernel->side->snapshot(kernel->host, &snapshot->host);
	native_leave(kernel, &crossing);
	if (!code)
		return (PyObject *)snapshot;
	Py_DECREF(snapshot);
	if (code == -EBUSY)
		return native_busy();
	if (code == -EROFS)
		return native_refuse(
			PyExc_OSError, EROFS,
			"a disk writes to what it is made of, which a snapshot "
			"cannot hold; attach it with overlay=True or readonly=True");
	native_check_code(kernel, code);
	return NULL;
}

PyObject *native_kernel_restore(PyObject *self, PyObject *argument)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_module *state = PyType_GetModuleState(Py_TYPE(self));
	struct native_snapshot *snapshot = (struct native_snapshot *)argument;
	struct native_crossing crossing;
	int code;

	if (!PyObject_TypeCheck(argument, state->snapshot_type)) {
		PyErr_Format(PyExc_TypeError,
			     "a snapshot is wanted, not %.100s",
			     Py_TYPE(argument)->tp_name);
		return NULL;
	}
	if (!native_check_open(kernel))
		return NULL;
	if (snapshot->kernel != kernel) {
		PyErr_SetString(PyExc_ValueError,
				"the snapshot is of another kernel");
		return NULL;
	}
	if (kernel->inside)
		return native_busy();
	native_enter(kernel, &crossing);
	code = kernel->side->restore(kernel->host, snapshot->host);
	native_leave(kernel, &crossing);
	if (!code)
		Py_RETURN_NONE;
	if (code == -EBUSY)
		return native_busy();
	if (code == -ENODEV)
		return native_refuse(
			PyExc_OSError, ENODEV,
			"a disk of the snapshot has been detached since");
	native_check_code(kernel, code);
	return NULL;
}

static PyObject *native_snapshot_get_bytes(PyObject *self, void *unused)
{
	struct native_snapshot *snapshot = (struct native_snapshot *)self;

	(void)unused;
	return PyLong_FromUnsignedLongLong(
		snapshot->kernel->side->snapshot_bytes(snapshot->host));
}

static void native_snapshot_free(PyObject *self)
{
	struct native_snapshot *snapshot = (struct native_snapshot *)self;
	struct native_kernel *kernel = snapshot->kernel;
	struct native_crossing crossing;

	PyObject_GC_UnTrack(self);
	if (snapshot->host) {
		native_enter(kernel, &crossing);
		kernel->side->drop(kernel->host, snapshot->host);
		native_leave(kernel, &crossing);
	}
	Py_CLEAR(snapshot->kernel);
	native_free(self);
}

static int native_snapshot_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_snapshot *)self)->kernel);
	return 0;
}

static PyGetSetDef native_snapshot_attributes[] = {
	{ "bytes", native_snapshot_get_bytes, NULL, "Memory that it takes.",
	  NULL },
	{ 0 },
};

static PyType_Slot native_snapshot_slots[] = {
	{ Py_tp_doc, "A kernel at an instant; made by Kernel.snapshot()." },
	{ Py_tp_dealloc, native_snapshot_free },
	{ Py_tp_traverse, native_snapshot_visit },
	{ Py_tp_getset, native_snapshot_attributes },
	{ 0 },
};

PyType_Spec native_snapshot_spec = {
	.name = "liblinux._native.Snapshot",
	.basicsize = sizeof(struct native_snapshot),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = native_snapshot_slots,
};
