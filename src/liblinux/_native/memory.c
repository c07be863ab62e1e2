// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that an isolated kernel shares with this process: two methods of Kernel.
 */
#include "native.h"

PyObject *native_kernel_allocate(PyObject *self, PyObject *number)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	Py_ssize_t bytes = PyLong_AsSsize_t(number);
	u64 address;

	if (bytes == -1 && PyErr_Occurred())
		return NULL;
	if (!native_check_open(kernel))
		return NULL;
	if (bytes <= 0) {
		PyErr_SetString(PyExc_ValueError,
				"memory has at least one byte");
		return NULL;
	}
	address = kernel->side->allocate(kernel->host, (u64)bytes);
	return address ? PyLong_FromUnsignedLongLong(address) :
			 PyErr_NoMemory();
}

PyObject *native_kernel_free_memory(PyObject *self, PyObject *number)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	unsigned long long address = PyLong_AsUnsignedLongLong(number);

	if (address == ~0ULL && PyErr_Occurred())
		return NULL;
	if (!native_check_open(kernel))
		return NULL;
	kernel->side->free(kernel->host, address);
	Py_RETURN_NONE;
}
