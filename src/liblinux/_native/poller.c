// SPDX-License-Identifier: GPL-2.0-only
/*
 * Poller: what an event loop asks the kernel in each of its rounds, in one call
 * of Python's: how long to wait, for what, and whose events they are.
 *
 * Waits end by a timer of the kernel and not by the timeout of epoll_wait(2),
 * which may be late by a thousandth of itself. It is one more descriptor in the
 * epoll and is set only when it would be late: programs mostly move their
 * deadlines ahead, so a wait may end early and with nothing.
 *
 * The dictionary is that of a selector of the standard library: by descriptor a
 * SelectorKey, whose third field are the events that are wanted. Who has none
 * (the timer) is passed over.
 *
 * In a run the clock is told of rounds in which nothing came, and of all others.
 */
#include "clock.h"
#include <math.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#define POLLER_EVENTS 256
#define POLLER_SECOND_NS 1000000000LL
/* More than any clock will show; a wait for longer has no timer. */
#define POLLER_LONGEST_SECONDS 9e9
/* Of the module `selectors`. */
#define POLLER_READ 1
#define POLLER_WRITE 2
#define POLLER_KEY_EVENTS 2

struct native_poller {
	PyObject_HEAD struct native_process *process;
	PyObject *keys; /* dict */
	int epoll, timer;
	s64 due; /* when the timer ends, of the kernel's clock; -1: never set */
	struct native_clock *clock; /* of a run, to be told what happens; or NULL */
	int count; /* events of the last call, also those of nobody */
};

static bool native_poller_done(struct native_poller *poller, s64 value)
{
	if (value >= 0)
		return true;
	native_os_error(poller->process->kernel, (int)-value);
	return false;
}

/* ---- what has come ----------------------------------------------------- */

static PyObject *native_poller_ready(const struct epoll_event *event,
				     PyObject *key)
{
	u32 events = event->events;
	PyObject *mask, *ready;
	long wanted;

	if (!PyTuple_Check(key) || PyTuple_GET_SIZE(key) <= POLLER_KEY_EVENTS) {
		PyErr_SetString(PyExc_TypeError, "not a SelectorKey");
		return NULL;
	}
	wanted = PyLong_AsLong(PyTuple_GET_ITEM(key, POLLER_KEY_EVENTS));
	if (wanted == -1 && PyErr_Occurred())
		return NULL;
	/* Errors and ends are both, as the standard library has it. */
	wanted &= (events & ~EPOLLIN ? POLLER_WRITE : 0) |
		  (events & ~EPOLLOUT ? POLLER_READ : 0);
	mask = PyLong_FromLong(wanted);
	if (!mask)
		return NULL;
	ready = PyTuple_Pack(2, key, mask);
	Py_DECREF(mask);
	return ready;
}

static bool native_poller_add(struct native_poller *poller, PyObject *list,
			      const struct epoll_event *event)
{
	PyObject *fd = PyLong_FromUnsignedLongLong(event->data.u64);
	PyObject *key, *ready;
	int failed;

	if (!fd)
		return false;
	key = PyDict_GetItemWithError(poller->keys, fd);
	Py_DECREF(fd);
	if (!key)
		return !PyErr_Occurred();
	ready = native_poller_ready(event, key);
	if (!ready)
		return false;
	failed = PyList_Append(list, ready);
	Py_DECREF(ready);
	return !failed;
}

static PyObject *native_poller_list(struct native_poller *poller,
				    const struct epoll_event *events)
{
	PyObject *list = PyList_New(0);
	int at;

	for (at = 0; list && at < poller->count; at++)
		if (!native_poller_add(poller, list, &events[at]))
			Py_CLEAR(list);
	return list;
}

/* ---- asking ------------------------------------------------------------ */

static PyObject *native_poller_ask(struct native_poller *poller, int patience)
{
	struct epoll_event events[POLLER_EVENTS];
	const u64 args[6] = { (u64)poller->epoll, (u64)events, POLLER_EVENTS,
			      (u64)(s64)patience };
	const struct host_spans spans = {
		.count = 1,
		.span = { { 1, HOST_SPAN_OUT, sizeof(events) } },
	};
	s64 count;

	poller->count = 0;
	if (!native_call(poller->process, NATIVE_NR_epoll_wait, args, &spans,
			 &count) ||
	    !native_poller_done(poller, count))
		return NULL;
	poller->count = (int)count;
	return native_poller_list(poller, events);
}

/* Let the wait end after so many seconds, or before. */
static bool native_poller_arm(struct native_poller *poller, double seconds)
{
	struct native_kernel *kernel = poller->process->kernel;
	/* Up, so that what is waited for is due then; and 0 would be no timer. */
	s64 wait = (s64)ceil(seconds * POLLER_SECOND_NS);
	struct itimerspec timer = {
		.it_value = { wait / POLLER_SECOND_NS, wait % POLLER_SECOND_NS },
	};
	const u64 args[6] = { (u64)poller->timer, 0, (u64)&timer };
	const struct host_spans spans = {
		.count = 1,
		.span = { { 2, HOST_SPAN_IN, sizeof(timer) } },
	};
	s64 now, value;

	if (!native_now(kernel, (u64 *)&now))
		return false;
	if (now < poller->due && poller->due <= now + wait)
		return true;
	if (!native_call(poller->process, NATIVE_NR_timerfd_settime, args,
			 &spans, &value) ||
	    !native_poller_done(poller, value))
		return false;
	poller->due = now + wait;
	return true;
}

static PyObject *native_poller_poll(PyObject *self, PyObject *unused)
{
	struct native_poller *poller = (struct native_poller *)self;
	PyObject *list = native_poller_ask(poller, 0);

	(void)unused;
	if (!list || !poller->clock)
		return list;
	if (poller->count)
		native_clock_happened(poller->clock);
	else if (!native_clock_round(poller->clock))
		Py_CLEAR(list);
	return list;
}

static PyObject *native_poller_wait(PyObject *self, PyObject *timeout)
{
	struct native_poller *poller = (struct native_poller *)self;
	double seconds;

	if (poller->clock)
		native_clock_happened(poller->clock);
	if (timeout != Py_None) {
		seconds = PyFloat_AsDouble(timeout);
		if (seconds == -1 && PyErr_Occurred())
			return NULL;
		if (!(seconds > 0))
			return native_poller_ask(poller, 0);
		if (seconds < POLLER_LONGEST_SECONDS &&
		    !native_poller_arm(poller, seconds))
			return NULL;
	}
	return native_poller_ask(poller, -1);
}

/* ---- the type ---------------------------------------------------------- */

static int native_poller_init(PyObject *self, PyObject *args,
			      PyObject *keywords)
{
	struct native_poller *poller = (struct native_poller *)self;
	struct native_process *process;
	struct native_module *state = native_module_of(self);
	PyObject *keys, *clock;

	(void)keywords;
	if (!PyArg_ParseTuple(args, "O!iiO!O:Poller", state->process_type,
			      &process, &poller->epoll, &poller->timer,
			      &PyDict_Type, &keys, &clock))
		return -1;
	if (clock != Py_None && !PyObject_TypeCheck(clock, state->clock_type)) {
		PyErr_SetString(PyExc_TypeError, "not a Clock");
		return -1;
	}
	Py_XSETREF(poller->process,
		   (struct native_process *)Py_NewRef((PyObject *)process));
	Py_XSETREF(poller->keys, Py_NewRef(keys));
	if (clock != Py_None)
		poller->clock = (struct native_clock *)Py_NewRef(clock);
	poller->due = -1;
	return 0;
}

static PyObject *native_poller_new(PyTypeObject *type, PyObject *args,
				   PyObject *keywords)
{
	PyObject *self = type->tp_alloc(type, 0);

	/* Here and not in tp_init, which is not always called. */
	if (self && native_poller_init(self, args, keywords) < 0)
		Py_CLEAR(self);
	return self;
}

static int native_poller_visit(PyObject *self, visitproc visit, void *arg)
{
	struct native_poller *poller = (struct native_poller *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(poller->process);
	Py_VISIT(poller->keys);
	Py_VISIT(poller->clock);
	return 0;
}

static void native_poller_free(PyObject *self)
{
	struct native_poller *poller = (struct native_poller *)self;

	PyObject_GC_UnTrack(self);
	Py_CLEAR(poller->process);
	Py_CLEAR(poller->keys);
	Py_CLEAR(poller->clock);
	native_free(self);
}

static PyMethodDef native_poller_methods[] = {
	{ "poll", native_poller_poll, METH_NOARGS,
	  "poll()\n--\n\nWhat is ready now: (key, events) of each." },
	{ "wait", native_poller_wait, METH_O,
	  "wait(timeout, /)\n--\n\nThe same after at most so many seconds, or for ever (None)." },
	{ 0 },
};

static PyType_Slot native_poller_slots[] = {
	{ Py_tp_doc, "What an event loop asks the kernel in each round." },
	{ Py_tp_new, native_poller_new },
	{ Py_tp_dealloc, native_poller_free },
	{ Py_tp_traverse, native_poller_visit },
	{ Py_tp_methods, native_poller_methods },
	{ 0 },
};

PyType_Spec native_poller_spec = {
	.name = "liblinux._native.Poller",
	.basicsize = sizeof(struct native_poller),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_poller_slots,
};
