/* SPDX-License-Identifier: GPL-2.0-only */
/* Between walk.c, which finds, and listing.c, which shows. */
#ifndef LIBLINUX_NATIVE_LISTING_H
#define LIBLINUX_NATIVE_LISTING_H

#include "batch.h"
#include "stat.h"

/* Takes both arrays, of malloc(), whether it works or not. */
PyObject *native_listing_new(struct native_module *state,
			     struct host_walk_entry *entries, size_t count,
			     char *paths);
/* What a Listing holds, as long as it lives; false with TypeError. */
bool native_listing_parts(PyObject *module, PyObject *object,
			  const struct host_walk_entry **entries, size_t *count,
			  const char **paths);

/* Of walk.c: has it come to an end? False with an exception. NULL: the host. */
bool native_walk_came(struct native_kernel *kernel, struct host_walk *walk);
/* (Listing, [(path, errno)]), with the walk's arrays taken. */
PyObject *native_walk_answer(struct native_module *state,
			     struct host_walk *walk);

#endif /* LIBLINUX_NATIVE_LISTING_H */
