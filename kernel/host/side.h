/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a kernel is: in this process (host_direct, which is host.h itself), or
 * in a jailed one (jail_side of kernel/jail). The embedding program calls
 * through one of these two tables, and what it is given for a kernel, a process
 * or a disk are handles that mean something to that table only.
 *
 * Memory. A kernel in this process takes addresses as they are. For one that is
 * elsewhere somebody must say what they point to: `struct host_spans`.
 */
#ifndef LIBLINUX_SIDE_H
#define LIBLINUX_SIDE_H

#include "batch.h"

enum host_span_ways {
	HOST_SPAN_IN = 1, /* the kernel reads it */
	HOST_SPAN_OUT = 2, /* the kernel writes to it */
	HOST_SPAN_RESULT = 4, /* OUT, as many bytes as the call's result says */
};

/* Memory that an argument of a call points to. */
struct host_span {
	u32 argument; /* index into args */
	u32 ways; /* enum host_span_ways */
	u64 bytes;
};

struct host_spans {
	u32 count;
	struct host_span span[6];
};

struct host_side {
	int (*open)(const struct host_options *options,
		    struct host_kernel **kernel, struct host_error *error);
	int (*close)(struct host_kernel *kernel);
	const char *(*release)(struct host_kernel *kernel);
	const char *(*syscalls)(struct host_kernel *kernel);
	const char *(*dead)(struct host_kernel *kernel);
	void (*report)(struct host_kernel *kernel, struct host_report *report);
	/* Dead because the process that it was in is. */
	bool (*gone)(struct host_kernel *kernel);
	void (*abort)(struct host_kernel *kernel);
	struct host_process *(*init)(struct host_kernel *kernel);
	u64 (*now)(struct host_kernel *kernel);
	u64 (*text)(struct host_kernel *kernel);
	/* Addresses that mean the same to the kernel and to this process. */
	void (*window)(struct host_kernel *kernel, u64 *start, u64 *bytes);
	size_t (*log)(struct host_kernel *kernel, char *buffer, size_t bytes);
	bool (*log_pending)(struct host_kernel *kernel);
	void (*statistics)(struct host_kernel *kernel,
			   struct host_statistics *statistics);
	/*
	 * Memory in that window, without a system call of the kernel; 0 when
	 * there is none, or when the kernel's own mmap is how to get it.
	 */
	u64 (*allocate)(struct host_kernel *kernel, u64 bytes);
	void (*free)(struct host_kernel *kernel, u64 address);

	/* `spans` may be NULL: no argument is an address. */
	void (*call)(struct host_process *process, s64 nr, const u64 args[6],
		     const struct host_spans *spans,
		     struct host_result *result);
	void (*list)(struct host_process *process, const char *path, int fd,
		     struct host_listing *listing);
	void (*walk)(struct host_process *process, const char *path,
		     struct host_walk *walk);
	int (*pid)(struct host_process *process);
	struct host_process *(*spawn)(struct host_process *process,
				      u32 namespaces,
				      struct host_result *result);
	void (*let_go)(struct host_process *process);
	int (*switches)(struct host_process *process, u64 switches,
			u64 *nanoseconds, struct host_result *result);

	int (*attach_fd)(struct host_kernel *kernel, int fd, u64 bytes,
			 u32 sector_bytes, u32 flags, struct host_disk **disk);
	int (*attach_memory)(struct host_kernel *kernel, void *memory,
			     u64 bytes, u32 sector_bytes, u32 flags,
			     struct host_disk **disk);
	int (*attach_foreign)(struct host_kernel *kernel, void *backing,
			      u64 bytes, u32 sector_bytes, u32 flags,
			      struct host_disk **disk);
	int (*detach)(struct host_disk *disk);
	u32 (*index)(struct host_disk *disk);
	u64 (*bytes)(struct host_disk *disk);
	u64 (*changes)(struct host_disk *disk);
	int (*resize)(struct host_disk *disk, u64 bytes);
	int (*undo_begin)(struct host_disk *disk, u64 start, u64 bytes);
	int (*undo_end)(struct host_disk *disk, bool restore);
	void (*forget)(struct host_disk *disk);

	int (*snapshot)(struct host_kernel *kernel,
			struct host_snapshot **taken);
	int (*restore)(struct host_kernel *kernel,
		       struct host_snapshot *snapshot);
	/* `kernel` is NULL when it is closed. */
	void (*drop)(struct host_kernel *kernel,
		     struct host_snapshot *snapshot);
	u64 (*snapshot_bytes)(struct host_snapshot *snapshot);
	int (*inject)(struct host_kernel *kernel,
		      const struct host_injection *injection);
	int (*injected)(struct host_kernel *kernel,
			u64 counts[HOST_INJECTIONS]);
};

extern const struct host_side host_direct;

#endif /* LIBLINUX_SIDE_H */
