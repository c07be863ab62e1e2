/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking rights away from this process, for ever. Two steps: before the kernel
 * is loaded, and after it has booted, when no more code comes.
 *
 * All return 0 or -errno; none may be ignored.
 */
#ifndef LIBLINUX_LOCKDOWN_H
#define LIBLINUX_LOCKDOWN_H

#include "boundary.h"

struct cell_limits {
	u64 data_bytes; /* of private memory */
	u64 file_bytes; /* how long a file can be made */
	u64 cpu_seconds; /* 0: any */
	u64 descriptors;
};

int cell_limit(const struct cell_limits *limits);
/* No new privileges, no core, no file system, and the list of calls. */
int cell_lock_down(void);
/* From here on no memory becomes executable and no memory file is made. */
int cell_lock_code(void);

#endif /* LIBLINUX_LOCKDOWN_H */
