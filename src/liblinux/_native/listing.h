/* SPDX-License-Identifier: GPL-2.0-only */
/* Between walk.c, which finds, and listing.c, which shows. */
#ifndef LIBLINUX_NATIVE_LISTING_H
#define LIBLINUX_NATIVE_LISTING_H

#include "stat.h"

struct native_listing_entry {
	size_t path_at; /* in `paths`, zero-terminated */
	size_t path_bytes;
	char status[NATIVE_STATX_KEPT_BYTES];
};

/* Takes both arrays, of PyMem_RawMalloc, whether it works or not. */
PyObject *native_listing_new(PyObject *process,
			     struct native_listing_entry *entries, size_t count,
			     char *paths);

#endif /* LIBLINUX_NATIVE_LISTING_H */
