// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples of a kernel at equal steps of virtual time: two methods of Kernel,
 * over kernel/host/sample.c.
 */
#include "native.h"

/* The kernel, when it is open and in this process; else NULL with an exception. */
static struct native_kernel *native_sampled(PyObject *self)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	if (!native_check_open(kernel))
		return NULL;
	if (kernel->side == &host_direct)
		return kernel;
	PyErr_SetString(PyExc_NotImplementedError,
			"an isolated kernel is not sampled");
	return NULL;
}

/* What was asked for as the host side wants it; messages are borrowed. */
static struct host_question *native_questions(PyObject *list)
{
	Py_ssize_t at, count = PyList_GET_SIZE(list), bytes;
	struct host_question *questions =
		PyMem_Calloc(count + 1, sizeof(*questions));

	if (!questions) {
		PyErr_NoMemory();
		return NULL;
	}
	for (at = 0; at < count; at++) {
		if (!PyArg_ParseTuple(PyList_GET_ITEM(list, at),
				      "iy#;(fd, message)", &questions[at].fd,
				      &questions[at].message, &bytes)) {
			PyMem_Free(questions);
			return NULL;
		}
		questions[at].bytes = bytes;
	}
	return questions;
}

PyObject *native_kernel_sample(PyObject *self, PyObject *args)
{
	struct native_kernel *kernel = native_sampled(self);
	unsigned long long first, step, most;
	struct host_question *questions;
	struct native_crossing crossing;
	PyObject *list;
	int code;

	if (!kernel || !PyArg_ParseTuple(args, "KKKO!:sample", &first, &step,
					 &most, &PyList_Type, &list))
		return NULL;
	questions = native_questions(list);
	if (!questions)
		return NULL;
	native_enter(kernel, &crossing);
	code = host_sampler_start(kernel->host, first, step, most, questions,
				  PyList_GET_SIZE(list));
	native_leave(kernel, &crossing);
	PyMem_Free(questions);
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

PyObject *native_kernel_samples(PyObject *self, PyObject *stop)
{
	struct native_kernel *kernel = native_sampled(self);
	struct native_crossing crossing;
	int stops = PyObject_IsTrue(stop);
	PyObject *result;
	u64 bytes, missed, last;
	void *answers;

	if (!kernel || stops < 0)
		return NULL;
	native_enter(kernel, &crossing);
	bytes = host_sampler_take(kernel->host, stops, &answers, &missed,
				  &last);
	native_leave(kernel, &crossing);
	result = Py_BuildValue("(y#KK)", answers ? answers : "",
			       (Py_ssize_t)bytes, (unsigned long long)missed,
			       (unsigned long long)last);
	free(answers);
	return result;
}
