/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Status of files: how statx is asked, and what Python gets of the answer. The
 * layout of struct statx is the kernel's for ever and declared here, since the
 * C library's headers have it or not.
 */
#ifndef LIBLINUX_NATIVE_STAT_H
#define LIBLINUX_NATIVE_STAT_H

#include "native.h"

struct native_statx_time {
	s64 seconds;
	u32 nanoseconds;
	u32 reserved;
};

struct native_statx {
	u32 mask;
	u32 blksize;
	u64 attributes;
	u32 nlink;
	u32 uid;
	u32 gid;
	uint16_t mode;
	uint16_t reserved;
	u64 ino;
	u64 size;
	u64 blocks;
	u64 attributes_mask;
	struct native_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor;
	u32 dev_major, dev_minor;
	u64 spare[14];
};
_Static_assert(sizeof(struct native_statx) == 256, "struct statx");

/* What is kept of it. */
#define NATIVE_STATX_KEPT_BYTES offsetof(struct native_statx, spare)

#define NATIVE_STATX_MASK 0xfffu /* basic status and btime */
#define NATIVE_STATX_BTIME 0x800u
#define NATIVE_STATX_MOUNT_ROOT 0x2000u /* of attributes */

#define NATIVE_AT_SYMLINK_NOFOLLOW 0x100
#define NATIVE_AT_NO_AUTOMOUNT 0x800
#define NATIVE_AT_EMPTY_PATH 0x1000

/* The tuple of Process.stat(), and one item of it. */
#define NATIVE_STAT_NUMBERS 15
PyObject *native_stat_tuple(const struct native_statx *status);
bool native_stat_number(const struct native_statx *status, int index,
			s64 *value);

#endif /* LIBLINUX_NATIVE_STAT_H */
