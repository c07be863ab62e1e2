// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel's clock, and whom it waits for: threads that take turns on virtual
 * time (lockstep), over kernel/host/wait.c.
 */
#include "native.h"

bool native_now(struct native_kernel *kernel, u64 *now)
{
	struct native_crossing crossing;

	if (!native_check_open(kernel))
		return false;
	if (kernel->side == &host_direct) {
		/* A look at memory: giving up the GIL would be most of it. */
		*now = host_kernel_now(kernel->host);
		return true;
	}
	native_enter(kernel, &crossing);
	*now = kernel->side->now(kernel->host);
	native_leave(kernel, &crossing);
	return native_check_code(kernel, 0);
}

PyObject *native_kernel_now(PyObject *self, PyObject *unused)
{
	u64 now;

	(void)unused;
	if (!native_now((struct native_kernel *)self, &now))
		return NULL;
	return PyLong_FromUnsignedLongLong(now);
}

/* Threads of another process are not ours to wait for. */
static bool native_check_lockstep(struct native_kernel *kernel)
{
	if (!native_check_open(kernel))
		return false;
	if (kernel->side == &host_direct)
		return true;
	PyErr_SetString(
		PyExc_ValueError,
		"lockstep is for kernels in this process: use isolated=False");
	return false;
}

PyObject *native_kernel_lockstep(PyObject *self, PyObject *on)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	int wanted = PyObject_IsTrue(on);

	if (wanted < 0 || !native_check_lockstep(kernel))
		return NULL;
	host_kernel_lockstep(kernel->host, wanted);
	Py_RETURN_NONE;
}

PyObject *native_kernel_settle(PyObject *self, PyObject *all)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;
	int wanted = PyObject_IsTrue(all);
	bool settled = false;

	if (wanted < 0)
		return NULL;
	while (!settled) {
		if (PyErr_CheckSignals() || !native_check_lockstep(kernel))
			return NULL;
		native_enter(kernel, &crossing);
		settled = host_kernel_settle(kernel->host, wanted);
		native_leave(kernel, &crossing);
	}
	Py_RETURN_NONE;
}
