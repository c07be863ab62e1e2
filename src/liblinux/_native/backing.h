/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a disk is made of; disk.c makes and frees it, serve.c works with those
 * that are Python objects.
 */
#ifndef LIBLINUX_NATIVE_BACKING_H
#define LIBLINUX_NATIVE_BACKING_H

#include "native.h"

struct native_backing {
	struct native_backing *next;
	struct native_disk *disk; /* borrowed, or NULL */
	struct host_disk *host;
	int fd; /* or -1 */
	Py_buffer buffer; /* obj is NULL without one */
	PyObject *object;
	PyObject *error;
	Py_ssize_t busy; /* threads in the kernel with it */
};

#endif /* LIBLINUX_NATIVE_BACKING_H */
