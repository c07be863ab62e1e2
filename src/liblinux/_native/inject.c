// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host that misbehaves on a schedule: three methods of Kernel, over
 * kernel/host/inject.c.
 */
#include "native.h"

PyObject *native_kernel_inject(PyObject *self, PyObject *args)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct host_injection injection;
	struct native_crossing crossing;
	unsigned long long seed, jump, chance[HOST_INJECTIONS];
	int code;

	if (!PyArg_ParseTuple(
		    args, "K(KKKKKK)Ki:inject", &seed,
		    &chance[HOST_INJECT_READ], &chance[HOST_INJECT_WRITE],
		    &chance[HOST_INJECT_TORN], &chance[HOST_INJECT_FLUSH],
		    &chance[HOST_INJECT_ALIAS], &chance[HOST_INJECT_CLOCK],
		    &jump, &injection.error))
		return NULL;
	if (!native_check_open(kernel))
		return NULL;
	injection.seed = seed;
	injection.jump_ns = jump;
	for (int kind = 0; kind < HOST_INJECTIONS; kind++)
		injection.chance[kind] = chance[kind];
	native_enter(kernel, &crossing);
	code = kernel->side->inject(kernel->host, &injection);
	native_leave(kernel, &crossing);
	if (code == -ENOMEM)
		return PyErr_NoMemory();
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

PyObject *native_kernel_behave(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	native_enter(kernel, &crossing);
	/* A kernel that is gone behaves. */
	kernel->side->inject(kernel->host, NULL);
	native_leave(kernel, &crossing);
	if (!native_check_code(kernel, 0))
		return NULL;
	Py_RETURN_NONE;
}

PyObject *native_kernel_injected(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_crossing crossing;
	u64 counts[HOST_INJECTIONS];
	int code;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	native_enter(kernel, &crossing);
	code = kernel->side->injected(kernel->host, counts);
	native_leave(kernel, &crossing);
	if (!native_check_code(kernel, code))
		return NULL;
	return Py_BuildValue(
		"(KKKKKK)", counts[HOST_INJECT_READ], counts[HOST_INJECT_WRITE],
		counts[HOST_INJECT_TORN], counts[HOST_INJECT_FLUSH],
		counts[HOST_INJECT_ALIAS], counts[HOST_INJECT_CLOCK]);
}
