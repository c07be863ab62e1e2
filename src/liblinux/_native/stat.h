/* SPDX-License-Identifier: GPL-2.0-only */
/* Status of files: what Python gets of it. */
#ifndef LIBLINUX_NATIVE_STAT_H
#define LIBLINUX_NATIVE_STAT_H

#include "native.h"
#include "statx.h"

/* The tuple of Process.stat(). */
PyObject *native_stat_tuple(const struct host_statx *status);

#endif /* LIBLINUX_NATIVE_STAT_H */
