/* SPDX-License-Identifier: GPL-2.0-only */
/* Between walk.c, which finds, and listing.c, which shows. */
#ifndef LIBLINUX_NATIVE_LISTING_H
#define LIBLINUX_NATIVE_LISTING_H

#include "batch.h"
#include "stat.h"

/* Takes both arrays, of malloc(), whether it works or not. */
PyObject *native_listing_new(PyObject *process, struct host_walk_entry *entries,
			     size_t count, char *paths);

#endif /* LIBLINUX_NATIVE_LISTING_H */
