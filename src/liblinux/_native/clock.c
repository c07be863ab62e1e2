// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clock: the kernel's monotonic clock in seconds, as a function that counts how
 * often it is called. After `most` calls it calls `suspect` first each time;
 * whoever knows that something else has happened sets `reads` to 0.
 *
 * Event loops read it several times in every round, which is why it is not
 * Python (liblinux/running/_clocks.py, which says what it is counted for).
 */
#include "native.h"

#define CLOCK_SECOND_NS 1e9

struct native_clock {
	PyObject_HEAD struct native_kernel *kernel;
	PyObject *suspect;
	long long reads, most;
};

static PyObject *native_clock_read(PyObject *self, PyObject *args,
				   PyObject *keywords)
{
	struct native_clock *clock = (struct native_clock *)self;
	PyObject *answer;
	u64 now;

	if (PyTuple_GET_SIZE(args) || (keywords && PyDict_GET_SIZE(keywords))) {
		PyErr_SetString(PyExc_TypeError, "a clock takes no arguments");
		return NULL;
	}
	if (++clock->reads > clock->most) {
		answer = PyObject_CallNoArgs(clock->suspect);
		if (!answer)
			return NULL;
		Py_DECREF(answer);
	}
	if (!native_now(clock->kernel, &now))
		return NULL;
	return PyFloat_FromDouble((double)now / CLOCK_SECOND_NS);
}

static PyObject *native_clock_new(PyTypeObject *type, PyObject *args,
				  PyObject *keywords)
{
	struct native_clock *clock =
		(struct native_clock *)type->tp_alloc(type, 0);
	PyObject *kernel, *suspect;

	(void)keywords;
	if (!clock)
		return NULL;
	if (!PyArg_ParseTuple(args, "O!OL:Clock",
			      native_module_of((PyObject *)clock)->kernel_type,
			      &kernel, &suspect, &clock->most)) {
		Py_DECREF(clock);
		return NULL;
	}
	clock->kernel = (struct native_kernel *)Py_NewRef(kernel);
	clock->suspect = Py_NewRef(suspect);
	return (PyObject *)clock;
}

static int native_clock_visit(PyObject *self, visitproc visit, void *arg)
{
	struct native_clock *clock = (struct native_clock *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(clock->kernel);
	Py_VISIT(clock->suspect);
	return 0;
}

/* What suspects is mostly a method of the object that has the clock. */
static int native_clock_clear(PyObject *self)
{
	Py_CLEAR(((struct native_clock *)self)->suspect);
	return 0;
}

static void native_clock_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	native_clock_clear(self);
	Py_CLEAR(((struct native_clock *)self)->kernel);
	native_free(self);
}

static PyMemberDef native_clock_members[] = {
	{ "reads", T_LONGLONG, offsetof(struct native_clock, reads), 0,
	  "How often it was read since this was set." },
	{ 0 },
};

static PyType_Slot native_clock_slots[] = {
	{ Py_tp_doc,
	  "A kernel's monotonic clock in seconds, which is called." },
	{ Py_tp_new, native_clock_new },
	{ Py_tp_call, native_clock_read },
	{ Py_tp_dealloc, native_clock_free },
	{ Py_tp_traverse, native_clock_visit },
	{ Py_tp_clear, native_clock_clear },
	{ Py_tp_members, native_clock_members },
	{ 0 },
};

PyType_Spec native_clock_spec = {
	.name = "liblinux._native.Clock",
	.basicsize = sizeof(struct native_clock),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_clock_slots,
};
