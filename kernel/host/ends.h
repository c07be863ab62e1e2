/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One end of a copy: a process of a kernel, or the host itself. Both have the
 * same system calls with the same numbers, so one code copies in all
 * directions: out of a kernel, into one, from one to another.
 *
 * Every function is one system call and returns its result, -errno included,
 * which is also in `result`: when that is not plain (host_result_is_plain())
 * the kernel had none, and whoever makes many calls must stop.
 */
#ifndef LIBLINUX_ENDS_H
#define LIBLINUX_ENDS_H

#include "side.h"

struct host_end {
	const struct host_side *side; /* NULL: the host */
	struct host_process *process;
	struct host_result result; /* of the last call */
};

/* How openat2 must resolve below a tree: no magic link, no symlink, beneath. */
#define HOST_RESOLVE_IN_TREE 0x0e

struct host_open_how {
	u64 flags, mode, resolve;
};

/* A system call of the host's own kernel: its result, or -errno. */
s64 host_own_call(s64 nr, const u64 args[6]);

s64 end_open(struct host_end *end, int dir, const char *name, int flags,
	     u32 mode);
s64 end_open_in_tree(struct host_end *end, int dir, const char *path,
		     int flags);
/* Leaves `result` as it is, unless closing itself fails to have a result. */
s64 end_close(struct host_end *end, int fd);
s64 end_pread(struct host_end *end, int fd, void *to, u64 bytes, u64 offset);
s64 end_pwrite(struct host_end *end, int fd, const void *from, u64 bytes,
	       u64 offset);
s64 end_lseek(struct host_end *end, int fd, u64 offset, int whence);
s64 end_truncate(struct host_end *end, int fd, u64 bytes);
s64 end_fsync(struct host_end *end, int fd);
/* An empty name: of `dir` itself. */
s64 end_statx(struct host_end *end, int dir, const char *name,
	      struct host_statx *status);
s64 end_mkdir(struct host_end *end, int dir, const char *name, u32 mode);
s64 end_mknod(struct host_end *end, int dir, const char *name, u32 mode,
	      u64 device);
s64 end_symlink(struct host_end *end, const char *says, int dir,
		const char *name);
s64 end_readlink(struct host_end *end, int dir, const char *name, char *to,
		 u64 bytes);
s64 end_link(struct host_end *end, int from, const char *old, int to,
	     const char *name);
s64 end_rename(struct host_end *end, int dir, const char *old,
	       const char *name);
s64 end_unlink(struct host_end *end, int dir, const char *name, bool directory);
/* With fd >= 0 of what is open, else of a name, which is not followed. */
s64 end_chown(struct host_end *end, int fd, int dir, const char *name, u32 uid,
	      u32 gid);
s64 end_chmod(struct host_end *end, int fd, int dir, const char *name,
	      u32 mode);
s64 end_utimes(struct host_end *end, int fd, int dir, const char *name,
	       const struct host_statx *times);
/* With fd >= 0 of what is open, else of a path, which is not followed. */
s64 end_listxattr(struct host_end *end, int fd, const char *path, char *to,
		  u64 bytes);
s64 end_getxattr(struct host_end *end, int fd, const char *path,
		 const char *name, void *to, u64 bytes);
s64 end_setxattr(struct host_end *end, int fd, const char *path,
		 const char *name, const void *value, u64 bytes);
#define HOST_CHATTR_NOCOW 0x00800000u
/* chattr(1): FS_IOC_GETFLAGS and FS_IOC_SETFLAGS. */
s64 end_get_flags(struct host_end *end, int fd, u32 *flags);
s64 end_set_flags(struct host_end *end, int fd, u32 flags);

#endif /* LIBLINUX_ENDS_H */
