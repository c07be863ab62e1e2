// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system calls of ends.h. For a kernel in another process each says which
 * of its arguments point to memory, and how much of it; what such a kernel
 * answers is checked against that by its side.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "ends.h"

#define SPANS(...)                                                     \
	(&(const struct host_spans){                                   \
		.count = sizeof((struct host_span[]){ __VA_ARGS__ }) / \
			 sizeof(struct host_span),                     \
		.span = { __VA_ARGS__ },                               \
	})
#define IN(argument, bytes)                   \
	{                                     \
		argument, HOST_SPAN_IN, bytes \
	}
#define NAME(argument, string)                         \
	{                                              \
		argument, HOST_SPAN_IN, strlen(string) \
	}
#define OUT(argument, bytes)                   \
	{                                      \
		argument, HOST_SPAN_OUT, bytes \
	}
#define RESULT(argument, bytes)                                   \
	{                                                         \
		argument, HOST_SPAN_OUT | HOST_SPAN_RESULT, bytes \
	}

#define END_GET_FLAGS 0x80086601 /* of long, by name; 32 bits in fact */
#define END_SET_FLAGS 0x40086602

s64 host_own_call(s64 nr, const u64 args[6])
{
	long value = syscall(nr, args[0], args[1], args[2], args[3], args[4],
			     args[5]);

	return value == -1 ? -errno : value;
}

static s64 end_call(struct host_end *end, s64 nr, const u64 args[6],
		    const struct host_spans *spans)
{
	if (!end->side)
		end->result.value = host_own_call(nr, args);
	else if (end->side == &host_direct)
		host_process_call(end->process, nr, args, &end->result);
	else
		end->side->call(end->process, nr, args, spans, &end->result);
	return end->result.value;
}

s64 end_open(struct host_end *end, int dir, const char *name, int flags,
	     u32 mode)
{
	const u64 args[6] = { (u64)dir, (u64)name,
			      (u64)(flags | O_CLOEXEC | 0100000), mode };

	return end_call(end, SYS_openat, args, SPANS(NAME(1, name)));
}

s64 end_open_in_tree(struct host_end *end, int dir, const char *path, int flags)
{
	struct host_open_how how = {
		.flags = (u64)(flags | O_CLOEXEC),
		.resolve = HOST_RESOLVE_IN_TREE,
	};
	const u64 args[6] = { (u64)dir, (u64)path, (u64)&how, sizeof(how) };

	return end_call(end, SYS_openat2, args,
			SPANS(NAME(1, path), IN(2, sizeof(how))));
}

s64 end_close(struct host_end *end, int fd)
{
	struct host_result before = end->result;
	const u64 args[6] = { (u64)fd };
	s64 code;

	if (fd < 0 || before.dead)
		return 0;
	code = end_call(end, SYS_close, args, NULL);
	if (host_result_is_plain(&end->result))
		end->result = before;
	return code;
}

s64 end_pread(struct host_end *end, int fd, void *to, u64 bytes, u64 offset)
{
	const u64 args[6] = { (u64)fd, (u64)to, bytes, offset };

	return end_call(end, SYS_pread64, args, SPANS(RESULT(1, bytes)));
}

s64 end_pwrite(struct host_end *end, int fd, const void *from, u64 bytes,
	       u64 offset)
{
	const u64 args[6] = { (u64)fd, (u64)from, bytes, offset };

	return end_call(end, SYS_pwrite64, args, SPANS(IN(1, bytes)));
}

s64 end_lseek(struct host_end *end, int fd, u64 offset, int whence)
{
	const u64 args[6] = { (u64)fd, offset, (u64)whence };

	return end_call(end, SYS_lseek, args, NULL);
}

s64 end_truncate(struct host_end *end, int fd, u64 bytes)
{
	const u64 args[6] = { (u64)fd, bytes };

	return end_call(end, SYS_ftruncate, args, NULL);
}

s64 end_fsync(struct host_end *end, int fd)
{
	const u64 args[6] = { (u64)fd };

	return end_call(end, SYS_fsync, args, NULL);
}

s64 end_statx(struct host_end *end, int dir, const char *name,
	      struct host_statx *status)
{
	u64 flags = HOST_AT_SYMLINK_NOFOLLOW | HOST_AT_NO_AUTOMOUNT |
		    (*name ? 0 : HOST_AT_EMPTY_PATH);
	const u64 args[6] = { (u64)dir, (u64)name, flags, HOST_STATX_MASK,
			      (u64)status };

	return end_call(end, SYS_statx, args,
			SPANS(NAME(1, name), OUT(4, sizeof(*status))));
}

s64 end_mkdir(struct host_end *end, int dir, const char *name, u32 mode)
{
	const u64 args[6] = { (u64)dir, (u64)name, mode };

	return end_call(end, SYS_mkdirat, args, SPANS(NAME(1, name)));
}

s64 end_mknod(struct host_end *end, int dir, const char *name, u32 mode,
	      u64 device)
{
	const u64 args[6] = { (u64)dir, (u64)name, mode, device };

	return end_call(end, SYS_mknodat, args, SPANS(NAME(1, name)));
}

s64 end_symlink(struct host_end *end, const char *says, int dir,
		const char *name)
{
	const u64 args[6] = { (u64)says, (u64)dir, (u64)name };

	return end_call(end, SYS_symlinkat, args,
			SPANS(NAME(0, says), NAME(2, name)));
}

s64 end_readlink(struct host_end *end, int dir, const char *name, char *to,
		 u64 bytes)
{
	const u64 args[6] = { (u64)dir, (u64)name, (u64)to, bytes };

	return end_call(end, SYS_readlinkat, args,
			SPANS(NAME(1, name), RESULT(2, bytes)));
}

s64 end_link(struct host_end *end, int from, const char *old, int to,
	     const char *name)
{
	const u64 args[6] = { (u64)from, (u64)old, (u64)to, (u64)name };

	return end_call(end, SYS_linkat, args,
			SPANS(NAME(1, old), NAME(3, name)));
}

s64 end_rename(struct host_end *end, int dir, const char *old, const char *name)
{
	const u64 args[6] = { (u64)dir, (u64)old, (u64)dir, (u64)name };

	return end_call(end, SYS_renameat, args,
			SPANS(NAME(1, old), NAME(3, name)));
}

s64 end_unlink(struct host_end *end, int dir, const char *name, bool directory)
{
	const u64 args[6] = { (u64)dir, (u64)name,
			      directory ? AT_REMOVEDIR : 0 };

	return end_call(end, SYS_unlinkat, args, SPANS(NAME(1, name)));
}

s64 end_chown(struct host_end *end, int fd, int dir, const char *name, u32 uid,
	      u32 gid)
{
	const u64 of_fd[6] = { (u64)fd, uid, gid };
	const u64 of_name[6] = { (u64)dir, (u64)name, uid, gid,
				 HOST_AT_SYMLINK_NOFOLLOW };

	if (fd >= 0)
		return end_call(end, SYS_fchown, of_fd, NULL);
	return end_call(end, SYS_fchownat, of_name, SPANS(NAME(1, name)));
}

s64 end_chmod(struct host_end *end, int fd, int dir, const char *name, u32 mode)
{
	const u64 of_fd[6] = { (u64)fd, mode };
	const u64 of_name[6] = { (u64)dir, (u64)name, mode };

	if (fd >= 0)
		return end_call(end, SYS_fchmod, of_fd, NULL);
	return end_call(end, SYS_fchmodat, of_name, SPANS(NAME(1, name)));
}

s64 end_utimes(struct host_end *end, int fd, int dir, const char *name,
	       const struct host_statx *times)
{
	const s64 specs[4] = { times->atime.seconds, times->atime.nanoseconds,
			       times->mtime.seconds, times->mtime.nanoseconds };
	const u64 of_fd[6] = { (u64)fd, 0, (u64)specs, 0 };
	const u64 of_name[6] = { (u64)dir, (u64)name, (u64)specs,
				 HOST_AT_SYMLINK_NOFOLLOW };

	if (fd >= 0)
		return end_call(end, SYS_utimensat, of_fd,
				SPANS(IN(2, sizeof(specs))));
	return end_call(end, SYS_utimensat, of_name,
			SPANS(NAME(1, name), IN(2, sizeof(specs))));
}

s64 end_listxattr(struct host_end *end, int fd, const char *path, char *to,
		  u64 bytes)
{
	const u64 of_fd[6] = { (u64)fd, (u64)to, bytes };
	const u64 of_path[6] = { (u64)path, (u64)to, bytes };

	if (fd >= 0)
		return end_call(end, SYS_flistxattr, of_fd,
				SPANS(RESULT(1, bytes)));
	return end_call(end, SYS_llistxattr, of_path,
			SPANS(NAME(0, path), RESULT(1, bytes)));
}

s64 end_getxattr(struct host_end *end, int fd, const char *path,
		 const char *name, void *to, u64 bytes)
{
	const u64 of_fd[6] = { (u64)fd, (u64)name, (u64)to, bytes };
	const u64 of_path[6] = { (u64)path, (u64)name, (u64)to, bytes };

	if (fd >= 0)
		return end_call(end, SYS_fgetxattr, of_fd,
				SPANS(NAME(1, name), RESULT(2, bytes)));
	return end_call(end, SYS_lgetxattr, of_path,
			SPANS(NAME(0, path), NAME(1, name), RESULT(2, bytes)));
}

s64 end_setxattr(struct host_end *end, int fd, const char *path,
		 const char *name, const void *value, u64 bytes)
{
	const u64 of_fd[6] = { (u64)fd, (u64)name, (u64)value, bytes };
	const u64 of_path[6] = { (u64)path, (u64)name, (u64)value, bytes };

	if (fd >= 0)
		return end_call(end, SYS_fsetxattr, of_fd,
				SPANS(NAME(1, name), IN(2, bytes)));
	return end_call(end, SYS_lsetxattr, of_path,
			SPANS(NAME(0, path), NAME(1, name), IN(2, bytes)));
}

s64 end_get_flags(struct host_end *end, int fd, u32 *flags)
{
	u64 value = 0;
	const u64 args[6] = { (u64)fd, END_GET_FLAGS, (u64)&value };
	s64 code = end_call(end, SYS_ioctl, args, SPANS(OUT(2, sizeof(value))));

	*flags = (u32)value;
	return code;
}

s64 end_set_flags(struct host_end *end, int fd, u32 flags)
{
	u64 value = flags;
	const u64 args[6] = { (u64)fd, END_SET_FLAGS, (u64)&value };

	return end_call(end, SYS_ioctl, args, SPANS(IN(2, sizeof(value))));
}
