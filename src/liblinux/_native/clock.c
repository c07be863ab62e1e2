// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clock: the clocks of a process of a kernel, as an event loop and programs read
 * them, and what tells a program that only waits for them to move: how often the
 * monotonic one was read, and how many rounds of an event loop there were, since
 * anything has happened.
 *
 * After so many readings `suspect` is called first each time, after so many
 * rounds `crawl` (liblinux/running/_clocks.py says what for). Calling the clock
 * reads the monotonic one, in seconds: event loops do so several times in every
 * round, which is why it is not Python.
 */
#include "clock.h"
#include <time.h>

#define CLOCK_SECOND_NS 1000000000LL

static bool native_clock_tell(PyObject *listener)
{
	PyObject *answer = PyObject_CallNoArgs(listener);

	Py_XDECREF(answer);
	return answer;
}

static bool native_clock_look(struct native_clock *clock)
{
	return ++clock->reads <= clock->most_reads ||
	       native_clock_tell(clock->suspect);
}

void native_clock_happened(struct native_clock *clock)
{
	clock->reads = clock->rounds = 0;
	clock->events++;
}

bool native_clock_round(struct native_clock *clock)
{
	return ++clock->rounds < clock->most_rounds ||
	       native_clock_tell(clock->crawl);
}

static PyObject *native_clock_read(PyObject *self, PyObject *args,
				   PyObject *keywords)
{
	struct native_clock *clock = (struct native_clock *)self;
	u64 now;

	if (PyTuple_GET_SIZE(args) || (keywords && PyDict_GET_SIZE(keywords))) {
		PyErr_SetString(PyExc_TypeError, "a clock takes no arguments");
		return NULL;
	}
	if (!native_clock_look(clock) ||
	    !native_now(clock->process->kernel, &now))
		return NULL;
	return PyFloat_FromDouble((double)now / CLOCK_SECOND_NS);
}

static PyObject *native_clock_monotonic_ns(PyObject *self, PyObject *unused)
{
	struct native_clock *clock = (struct native_clock *)self;
	u64 now;

	(void)unused;
	if (!native_clock_look(clock) ||
	    !native_now(clock->process->kernel, &now))
		return NULL;
	return PyLong_FromUnsignedLongLong(now);
}

static bool native_clock_realtime(struct native_clock *clock, s64 *now)
{
	struct timespec time;
	const u64 args[6] = { CLOCK_REALTIME, (u64)&time };
	const struct host_spans spans = {
		.count = 1,
		.span = { { 1, HOST_SPAN_OUT, sizeof(time) } },
	};
	s64 value;

	if (!native_clock_look(clock) ||
	    !native_call(clock->process, NATIVE_NR_clock_gettime, args, &spans,
			 &value))
		return false;
	if (value < 0) {
		native_os_error(clock->process->kernel, (int)-value);
		return false;
	}
	*now = time.tv_sec * CLOCK_SECOND_NS + time.tv_nsec;
	return true;
}

static PyObject *native_clock_time(PyObject *self, PyObject *unused)
{
	s64 now;

	(void)unused;
	if (!native_clock_realtime((struct native_clock *)self, &now))
		return NULL;
	return PyFloat_FromDouble((double)now / CLOCK_SECOND_NS);
}

static PyObject *native_clock_time_ns(PyObject *self, PyObject *unused)
{
	s64 now;

	(void)unused;
	if (!native_clock_realtime((struct native_clock *)self, &now))
		return NULL;
	return PyLong_FromLongLong(now);
}

static PyObject *native_clock_say(PyObject *self, PyObject *unused)
{
	(void)unused;
	native_clock_happened((struct native_clock *)self);
	Py_RETURN_NONE;
}

static PyObject *native_clock_new(PyTypeObject *type, PyObject *args,
				  PyObject *keywords)
{
	struct native_clock *clock =
		(struct native_clock *)type->tp_alloc(type, 0);
	PyObject *process, *suspect, *crawl;

	(void)keywords;
	if (!clock)
		return NULL;
	if (!PyArg_ParseTuple(args, "O!OLOL:Clock",
			      native_module_of((PyObject *)clock)->process_type,
			      &process, &suspect, &clock->most_reads, &crawl,
			      &clock->most_rounds)) {
		Py_DECREF(clock);
		return NULL;
	}
	clock->process = (struct native_process *)Py_NewRef(process);
	clock->suspect = Py_NewRef(suspect);
	clock->crawl = Py_NewRef(crawl);
	return (PyObject *)clock;
}

static int native_clock_visit(PyObject *self, visitproc visit, void *arg)
{
	struct native_clock *clock = (struct native_clock *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(clock->process);
	Py_VISIT(clock->suspect);
	Py_VISIT(clock->crawl);
	return 0;
}

/* Both are mostly methods of the object that has the clock. */
static int native_clock_clear(PyObject *self)
{
	Py_CLEAR(((struct native_clock *)self)->suspect);
	Py_CLEAR(((struct native_clock *)self)->crawl);
	return 0;
}

static void native_clock_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	native_clock_clear(self);
	Py_CLEAR(((struct native_clock *)self)->process);
	native_free(self);
}

static PyMethodDef native_clock_methods[] = {
	{ "monotonic_ns", native_clock_monotonic_ns, METH_NOARGS,
	  "monotonic_ns()\n--\n\nNanoseconds since the kernel was booted." },
	{ "time", native_clock_time, METH_NOARGS,
	  "time()\n--\n\nSeconds since 1970, as the kernel sees it." },
	{ "time_ns", native_clock_time_ns, METH_NOARGS,
	  "time_ns()\n--\n\nNanoseconds since 1970, as the kernel sees it." },
	{ "happened", native_clock_say, METH_NOARGS,
	  "happened()\n--\n\nSomething has come from outside of the program, or time has passed." },
	{ 0 },
};

static PyMemberDef native_clock_members[] = {
	{ "rounds", T_LONGLONG, offsetof(struct native_clock, rounds), 0,
	  "Rounds of an event loop in which nothing has happened." },
	{ "events", T_LONGLONG, offsetof(struct native_clock, events), READONLY,
	  "How often something has happened." },
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
	{ Py_tp_methods, native_clock_methods },
	{ Py_tp_members, native_clock_members },
	{ 0 },
};

PyType_Spec native_clock_spec = {
	.name = "liblinux._native.Clock",
	.basicsize = sizeof(struct native_clock),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_clock_slots,
};
