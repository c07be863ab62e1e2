/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How statx is asked, and its answer. The layout of struct statx is the
 * kernel's for ever and declared here, since the C library's headers have it or
 * not.
 */
#ifndef LIBLINUX_STATX_H
#define LIBLINUX_STATX_H

#include <stdint.h>
#include "boundary.h"

struct host_statx_time {
	s64 seconds;
	u32 nanoseconds;
	u32 reserved;
};

struct host_statx {
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
	struct host_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor;
	u32 dev_major, dev_minor;
	u64 spare[14];
};
_Static_assert(sizeof(struct host_statx) == 256, "struct statx");

#define HOST_STATX_MASK 0xfffu /* basic status and btime */
#define HOST_STATX_BTIME 0x800u
#define HOST_STATX_MOUNT_ROOT 0x2000u /* of attributes */

#define HOST_AT_SYMLINK_NOFOLLOW 0x100
#define HOST_AT_NO_AUTOMOUNT 0x800
#define HOST_AT_EMPTY_PATH 0x1000

#endif /* LIBLINUX_STATX_H */
