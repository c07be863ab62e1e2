// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel: loads an image, boots it, and closes it when the last reference to it
 * or to anything of it is gone.
 */
#include "native.h"
#include "jail.h"

/* ---- boot ------------------------------------------------------------ */

/* The text alone, or with the errno and file of an OSError. */
static int native_boot_failed(int code, const struct host_error *failure,
			      PyObject *image, PyObject *path)
{
	const char *text = failure->text;
	PyObject *error;

	if (!native_check_code(NULL, 0)) /* an exception that was kept */
		return -1;
	if (!text[0])
		text = strerror(-code);
	if (failure->gone) {
		native_own_error("KernelDied", text);
	} else if (failure->dead) {
		native_report_error("panic", text, path, NULL, failure->report);
	} else if (code == -ENOEXEC || code == -EPROTO || code == -ELIBBAD) {
		native_own_error("BuildError", text);
	} else {
		error = PyObject_CallFunction(
			PyExc_OSError, "isN", -code, text,
			PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(image)));
		if (error)
			PyErr_SetObject((PyObject *)Py_TYPE(error), error);
		Py_XDECREF(error);
	}
	return -1;
}

static int native_boot(struct native_kernel *kernel,
		       struct host_options *options, PyObject *image)
{
	struct native_crossing crossing;
	struct host_report report; /* set with error.dead */
	struct host_error error = { .report = &report };
	struct host_kernel *host = NULL;
	int code;

	options->embedding = native_embedding;
	options->embedding.context = kernel;
	kernel->closing = true; /* nobody else boots it meanwhile */
	native_enter(kernel, &crossing);
	code = kernel->side->open(options, &host, &error);
	native_leave(kernel, &crossing);
	kernel->closing = false;
	if (code < 0) {
		error.text[sizeof(error.text) - 1] = 0;
		return native_boot_failed(code, &error, image, kernel->image);
	}
	kernel->host = host;
	return native_check_code(kernel, 0) ? 0 : -1;
}

static int native_kernel_init(PyObject *self, PyObject *args,
			      PyObject *keywords)
{
	static char *names[] = { "image", "memory",	  "virtual",
				 "seed",  "command_line", "realtime",
				 "jail",  "cpu_seconds",  NULL };
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct host_options options = { 0 };
	PyObject *image = NULL;
	Py_buffer seed = { 0 };
	unsigned long long memory = 0, realtime = 0, cpu_seconds = 0;
	int virtual_clock = -1, result = -1;

	/* Keywords only are optional to this function, but not to ours. */
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$Kpy*yKzK:Kernel",
					 names, PyUnicode_FSConverter, &image,
					 &memory, &virtual_clock, &seed,
					 &options.command_line, &realtime,
					 &options.jail, &cpu_seconds))
		return -1;
	if (!memory || virtual_clock < 0 || !seed.obj ||
	    !options.command_line) {
		PyErr_SetString(
			PyExc_TypeError,
			"Kernel() needs memory, virtual, seed and command_line");
	} else if (kernel->host || kernel->closing || kernel->last_words) {
		PyErr_SetString(
			PyExc_RuntimeError,
			"a Kernel object boots one kernel; make another object");
	} else if (seed.len != sizeof(options.seed)) {
		PyErr_Format(PyExc_ValueError,
			     "the seed must have %zu bytes, not %zd",
			     sizeof(options.seed), seed.len);
	} else {
		options.image = PyBytes_AS_STRING(image);
		options.memory_bytes = memory;
		options.virtual_clock = virtual_clock;
		options.boot_realtime = realtime;
		options.cpu_seconds = cpu_seconds;
		kernel->side = options.jail ? &jail_side : &host_direct;
		memcpy(options.seed, seed.buf, sizeof(options.seed));
		Py_XSETREF(kernel->image,
			   PyUnicode_DecodeFSDefault(options.image));
		if (kernel->image)
			result = native_boot(kernel, &options, image);
	}
	PyBuffer_Release(&seed);
	Py_DECREF(image);
	return result;
}

/* ---- close ----------------------------------------------------------- */

/* 0, or why not, as -errno; the GIL is released meanwhile. */
static int native_shut(struct native_kernel *kernel)
{
	struct host_kernel *host = kernel->host;
	const char *text = kernel->side->dead(host);
	PyThreadState *thread;
	int code;

	if (text && !kernel->last_words)
		kernel->last_words =
			PyUnicode_DecodeUTF8(text, strlen(text), "replace");
	if (text && !kernel->last_words)
		PyErr_Clear();
	kernel->host = NULL;
	kernel->closing = true;
	thread = PyEval_SaveThread();
	code = kernel->side->close(host);
	PyEval_RestoreThread(thread);
	kernel->closing = false;
	if (code < 0) {
		kernel->host = host;
		return code;
	}
	native_backings_free(kernel);
	return 0;
}

static PyObject *native_kernel_abort(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	PyThreadState *thread;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	/* So that it is not closed meanwhile. */
	kernel->inside++;
	thread = PyEval_SaveThread();
	kernel->side->abort(kernel->host);
	PyEval_RestoreThread(thread);
	kernel->inside--;
	Py_RETURN_NONE;
}

static PyObject *native_kernel_forked(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	(void)unused;
	kernel->closing = false;
	kernel->inside = kernel->host && kernel->side == &host_direct &&
			 host_kernel_serves(kernel->host);
	Py_RETURN_NONE;
}

static PyObject *native_kernel_close(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	int code;

	(void)unused;
	if (!kernel->host && !kernel->closing)
		Py_RETURN_NONE;
	if (kernel->exports) {
		PyErr_Format(
			PyExc_BufferError,
			"cannot close the kernel: %zd exported buffers of its memory exist; "
			"release their memoryviews first",
			kernel->exports);
		return NULL;
	}
	code = kernel->inside || kernel->closing ? -EBUSY : native_shut(kernel);
	if (code == -EBUSY) {
		PyObject *args = Py_BuildValue(
			"is", EBUSY,
			"cannot close the kernel: another thread is inside; "
			"let its call end first");

		if (args)
			PyErr_SetObject(PyExc_BlockingIOError, args);
		Py_XDECREF(args);
		return NULL;
	}
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

/*
 * Nobody refers to it any more, so nobody is inside. Writing back is not done
 * here: Python's layer does it before, and warns when nobody did.
 */
static void native_kernel_finalize(PyObject *self)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	PyObject *type, *value, *trace;

	PyErr_Fetch(&type, &value, &trace);
	if (kernel->host && !kernel->exports && !kernel->inside)
		native_shut(kernel);
	PyErr_Restore(type, value, trace);
}

static void native_kernel_free(PyObject *self)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	if (PyObject_CallFinalizerFromDealloc(self) < 0)
		return;
	PyObject_GC_UnTrack(self);
	if (kernel->weak_references)
		PyObject_ClearWeakRefs(self);
	Py_CLEAR(kernel->syscalls);
	Py_CLEAR(kernel->last_words);
	Py_CLEAR(kernel->image);
	native_free(self);
}

static int native_kernel_visit(PyObject *self, visitproc visit, void *arg)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(kernel->syscalls);
	return native_backings_visit(kernel, visit, arg);
}

static int native_kernel_clear(PyObject *self)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	/* What a living kernel's disks are made of must stay. */
	if (!kernel->host)
		native_backings_free(kernel);
	Py_CLEAR(kernel->syscalls);
	return 0;
}

/* ---- the type -------------------------------------------------------- */

#define NATIVE_NAMED(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef native_kernel_methods[] = {
	{ "attach_fd", NATIVE_NAMED(native_attach_fd),
	  METH_VARARGS | METH_KEYWORDS,
	  "attach_fd(fd, size, sector, *, readonly, overlay, rotating=False)\n--\n\nA disk of a host's file." },
	{ "attach_buffer", NATIVE_NAMED(native_attach_buffer),
	  METH_VARARGS | METH_KEYWORDS,
	  "attach_buffer(buffer, sector, *, readonly, overlay)\n--\n\nA disk of memory." },
	{ "attach_object", NATIVE_NAMED(native_attach_object),
	  METH_VARARGS | METH_KEYWORDS,
	  "attach_object(obj, size, sector, *, readonly, overlay, discard=False)\n--\n\nA disk that Python serves." },
	{ "allocate", native_kernel_allocate, METH_O,
	  "allocate(length, /)\n--\n\nThe address of memory that an isolated kernel shares." },
	{ "free", native_kernel_free_memory, METH_O,
	  "free(address, /)\n--\n\nGive it back." },
	{ "captured", native_kernel_captured, METH_NOARGS,
	  "captured()\n--\n\nTake captured frames: blocks of pcapng, and how many are lost." },
	{ "sample", native_kernel_sample, METH_VARARGS,
	  "sample(first, step, most, questions, /)\n--\n\nSend messages to netlink sockets at equal steps of virtual time." },
	{ "samples", native_kernel_samples, METH_O,
	  "samples(stop, /)\n--\n\nTake the answers, how many samples were missed, where the last one begins." },
	{ "log", native_kernel_log, METH_NOARGS,
	  "log()\n--\n\nTake what the kernel has logged." },
	{ "now", native_kernel_now, METH_NOARGS,
	  "now()\n--\n\nThe monotonic clock in nanoseconds." },
	{ "statistics", native_kernel_statistics, METH_NOARGS,
	  "statistics()\n--\n\nCounters of the host side." },
	{ "abort", native_kernel_abort, METH_NOARGS,
	  "abort()\n--\n\nKill it, whatever a thread inside of it is doing." },
	{ "forked", native_kernel_forked, METH_NOARGS,
	  "forked()\n--\n\nIn the child of a fork: other threads are not inside any more." },
	{ "snapshot", native_kernel_snapshot, METH_NOARGS,
	  "snapshot()\n--\n\nThe kernel as it is now." },
	{ "restore", native_kernel_restore, METH_O,
	  "restore(snapshot, /)\n--\n\nThe kernel as it was then." },
	{ "inject", native_kernel_inject, METH_VARARGS,
	  "inject(seed, chances, jump, error, /)\n--\n\nMake the host misbehave on a schedule." },
	{ "lockstep", native_kernel_lockstep, METH_O,
	  "lockstep(on, /)\n--\n\nLet the virtual clock wait for every thread that is outside." },
	{ "settle", native_kernel_settle, METH_O,
	  "settle(all, /)\n--\n\nWait until the kernel has nothing to run and, if so wanted, all other threads wait inside." },
	{ "behave", native_kernel_behave, METH_NOARGS,
	  "behave()\n--\n\nEnd what inject() has begun." },
	{ "injected", native_kernel_injected, METH_NOARGS,
	  "injected()\n--\n\nHow often each kind has happened." },
	{ "close", native_kernel_close, METH_NOARGS,
	  "close()\n--\n\nDrop the kernel; twice does nothing." },
	{ 0 },
};

static PyMemberDef native_kernel_members[] = {
	{ "__weaklistoffset__", T_PYSSIZET,
	  offsetof(struct native_kernel, weak_references), READONLY, NULL },
	{ 0 },
};

static PyType_Slot native_kernel_slots[] = {
	{ Py_tp_doc,
	  "Kernel(image, *, memory, virtual, seed, command_line, realtime=0, jail=None, cpu_seconds=0)\n--\n\n"
	  "A kernel in this process, or in one of its own that the program `jail` makes." },
	{ Py_tp_new, PyType_GenericNew },
	{ Py_tp_init, native_kernel_init },
	{ Py_tp_finalize, native_kernel_finalize },
	{ Py_tp_dealloc, native_kernel_free },
	{ Py_tp_traverse, native_kernel_visit },
	{ Py_tp_clear, native_kernel_clear },
	{ Py_tp_methods, native_kernel_methods },
	{ Py_tp_getset, native_kernel_attributes },
	{ Py_tp_members, native_kernel_members },
	{ 0 },
};

PyType_Spec native_kernel_spec = {
	.name = "liblinux._native.Kernel",
	.basicsize = sizeof(struct native_kernel),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_kernel_slots,
};
