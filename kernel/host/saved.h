/* SPDX-License-Identifier: GPL-2.0-only */
/* Between snapshot.c and saved.c: which tasks serve which threads. */
#ifndef LIBLINUX_SAVED_H
#define LIBLINUX_SAVED_H

#include "internal.h"

struct host_saved_processes;

/* NULL when there is no memory. The caller owns the kernel. */
struct host_saved_processes *host_processes_save(struct host_kernel *kernel);
void host_processes_free(struct host_saved_processes *saved);
/*
 * The kernel has the tasks that it had then. Processes that are not of then
 * have none; those of then that were released stay in the kernel, unused.
 */
int host_processes_restore(struct host_kernel *kernel,
			   const struct host_saved_processes *saved);

#endif /* LIBLINUX_SAVED_H */
