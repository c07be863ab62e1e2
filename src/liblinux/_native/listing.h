/* SPDX-License-Identifier: GPL-2.0-only */
/* Between walk.c, which finds, and listing.c, which shows. */
#ifndef LIBLINUX_NATIVE_LISTING_H
#define LIBLINUX_NATIVE_LISTING_H

#include "stat.h"

struct native_listing_entry {
	size_t path_at; /* in `paths`, zero-terminated */
	size_t path_bytes;
	char status[NATIVE_STATX_KEPT_BYTES];
	size_t parent; /* its directory's index, or NATIVE_WALK_TOP */
	size_t volume; /* what differs between two mounts of one device */
};

/* Takes both arrays, of PyMem_RawMalloc, whether it works or not. */
PyObject *native_listing_new(PyObject *process,
			     struct native_listing_entry *entries, size_t count,
			     char *paths);

#endif /* LIBLINUX_NATIVE_LISTING_H */
