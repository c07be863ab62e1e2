// SPDX-License-Identifier: GPL-2.0-only
/*
 * In and out of the kernel: the one place where its answers become results and
 * exceptions of Python, and where the host side calls back into Python.
 *
 * A signal handler of Python that runs while a thread is in the kernel may
 * raise (Ctrl-C does). The exception cannot travel through the kernel's stack:
 * it is kept in a variable of the thread, the kernel's call is made to end, and
 * native_check() raises it then.
 *
 * Nothing here may be called between native_enter() and native_leave().
 */
#include "native.h"
#include <time.h>

_Thread_local PyObject *native_pending_value;
_Thread_local bool native_disks_given_up;
static _Thread_local PyObject *native_pending_type;
static _Thread_local PyObject *native_pending_trace;

void native_keep_exception(void)
{
	if (native_pending_value || !PyErr_Occurred()) {
		PyErr_Clear(); /* the first one is what is told */
		return;
	}
	PyErr_Fetch(&native_pending_type, &native_pending_value,
		    &native_pending_trace);
	PyErr_NormalizeException(&native_pending_type, &native_pending_value,
				 &native_pending_trace);
}

static bool native_raise_pending(void)
{
	if (!native_pending_value)
		return false;
	PyErr_Restore(native_pending_type, native_pending_value,
		      native_pending_trace);
	native_pending_type = NULL;
	native_pending_value = NULL;
	native_pending_trace = NULL;
	native_disks_given_up = false;
	return true;
}

PyObject *native_own_error(const char *name, const char *text)
{
	PyObject *module = PyImport_ImportModule("liblinux._errors");
	PyObject *type = NULL;
	PyObject *message = NULL;

	if (module)
		type = PyObject_GetAttrString(module, name);
	if (type)
		message = PyUnicode_DecodeUTF8(text, strlen(text), "replace");
	if (message)
		PyErr_SetObject(type, message);
	Py_XDECREF(message);
	Py_XDECREF(type);
	Py_XDECREF(module);
	return NULL;
}

/* Make `cause` (stolen) the __cause__ of the exception that is set. */
static void native_set_cause(PyObject *cause)
{
	PyObject *type, *value, *trace;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	if (value)
		PyException_SetCause(value, cause);
	else
		Py_DECREF(cause);
	PyErr_Restore(type, value, trace);
}

PyObject *native_os_error(struct native_kernel *kernel, int error)
{
	PyObject *cause;

	errno = error;
	PyErr_SetFromErrno(PyExc_OSError);
	if (error == EIO && kernel) {
		cause = native_backings_take_error(kernel);
		if (cause)
			native_set_cause(cause);
	}
	return NULL;
}

bool native_check_open(struct native_kernel *kernel)
{
	if (kernel->host)
		return true;
	native_own_error(
		"KernelClosed",
		kernel->closing ?
			"the kernel is being closed by another thread" :
			"the kernel is closed; make a new one");
	return false;
}

bool native_check_process(struct native_process *process)
{
	if (!native_check_open(process->kernel))
		return false;
	if (!process->exited)
		return true;
	native_own_error("KernelClosed",
			 "the process has exited; spawn a new one");
	return false;
}

bool native_check(struct native_kernel *kernel,
		  const struct host_result *result)
{
	if (native_raise_pending())
		return false;
	if (result->reentered) {
		PyErr_SetString(
			PyExc_RuntimeError,
			"a disk's own code called into the kernel that waits for it; "
			"use another kernel, or no kernel, to serve a disk");
		return false;
	}
	if (result->deadlock)
		return native_raise_report(kernel, "deadlock");
	if (result->dead)
		return native_raise_report(kernel, "panic");
	if (result->interrupted && result->value == -EINTR) {
		native_os_error(kernel, EINTR);
		return false;
	}
	return true;
}

bool native_check_code(struct native_kernel *kernel, s64 code)
{
	if (native_raise_pending())
		return false;
	if (code >= 0)
		return true;
	if (code == -EOWNERDEAD)
		return native_raise_report(kernel, "panic");
	native_os_error(kernel, (int)-code);
	return false;
}

bool native_call(struct native_process *process, s64 nr, const u64 args[6],
		 const struct host_spans *spans, s64 *value)
{
	const struct host_side *side = process->kernel->side;
	struct native_crossing crossing;
	struct host_result result = { 0 };

	if (!native_check_process(process))
		return false;
	if (nr < 0) {
		/* They are the port's own, and not for users. */
		*value = -ENOSYS;
		return true;
	}
	native_enter(process->kernel, &crossing);
	if (side == &host_direct) /* a test is cheaper than a pointer */
		host_process_call(process->host, nr, args, &result);
	else
		side->call(process->host, nr, args, spans, &result);
	native_leave(process->kernel, &crossing);
	*value = result.value;
	return native_plain(&result) || native_check(process->kernel, &result);
}

/* ---- what the host side calls ---------------------------------------- */

static bool native_interrupted(void *context)
{
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *type, *value, *trace;
	bool interrupted = native_pending_value != NULL;

	(void)context;
	/* A fault may have come here from code with an exception set. */
	PyErr_Fetch(&type, &value, &trace);
	if (!interrupted && PyErr_CheckSignals() < 0) {
		native_keep_exception();
		interrupted = true;
	}
	PyErr_Restore(type, value, trace);
	PyGILState_Release(state);
	return interrupted;
}

#define NATIVE_QUESTIONS 64 /* between two looks at the clock */
#define NATIVE_QUESTION_NS 50000000

static bool native_interrupted_by_now(struct native_patience *patience)
{
	struct timespec now;
	s64 now_ns;
	bool first;

	if (patience->questions++ % NATIVE_QUESTIONS)
		return false;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	if (patience->next_ns && now_ns < patience->next_ns)
		return false;
	/* The first time only begins to count: most walks are short. */
	first = !patience->next_ns;
	patience->next_ns = now_ns + NATIVE_QUESTION_NS;
	return !first && native_interrupted(NULL);
}

bool native_stop(void *patience)
{
	return native_pending_value || native_interrupted_by_now(patience);
}

static void *native_release(void *context)
{
	(void)context;
	/* Threads that Python does not know hold no lock of it. */
	if (!PyGILState_GetThisThreadState() || !PyGILState_Check())
		return NULL;
	return PyEval_SaveThread();
}

static void native_acquire(void *context, void *token)
{
	(void)context;
	if (token)
		PyEval_RestoreThread(token);
}

const struct host_embedding native_embedding = {
	.disk_io = native_disk_io,
	.interrupted = native_interrupted,
	.release = native_release,
	.acquire = native_acquire,
};
