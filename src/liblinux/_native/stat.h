/* SPDX-License-Identifier: GPL-2.0-only */
/* Status of files: what Python gets of it. */
#ifndef LIBLINUX_NATIVE_STAT_H
#define LIBLINUX_NATIVE_STAT_H

#include "native.h"
#include "statx.h"

/* The tuple of Process.stat(), and one item of it. */
#define NATIVE_STAT_NUMBERS 15
PyObject *native_stat_tuple(const struct host_statx *status);
bool native_stat_number(const struct host_statx *status, int index, s64 *value);

#endif /* LIBLINUX_NATIVE_STAT_H */
