/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host side as the embedding program sees it: load and boot kernels, make
 * calls, attach disks. No Python here; src/liblinux/_native is one user.
 *
 * Every function may be called from any thread unless it says otherwise, and
 * returns 0 or a positive value, or -errno. A dead kernel answers -EOWNERDEAD,
 * a closed one is the caller's mistake.
 */
#ifndef LIBLINUX_HOST_H
#define LIBLINUX_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include "boundary.h"

struct host_kernel;
struct host_process;
struct host_disk;

/* What the host side asks of the embedding program; all on normal stacks. */
struct host_embedding {
	void *context;
	/*
	 * Serve `io` of a disk whose backing is the embedding's (see
	 * host_disk_attach_foreign()). May block and run anything but calls
	 * into the same kernel; memory mapped by that kernel is not to be
	 * touched either. Returns 0 or -errno.
	 */
	int (*disk_io)(void *context, void *backing, struct ll_io *io);
	/*
	 * A host signal arrived, or a long wait goes on: true when the call of
	 * this thread shall end with EINTR.
	 */
	bool (*interrupted)(void *context);
	/*
	 * Around a wait in a fault of host code that may hold a lock of the
	 * embedding (the GIL): give it up, and take it again. May be NULL.
	 */
	void *(*release)(void *context);
	void (*acquire)(void *context, void *token);
	/*
	 * The memory unit shows and hides pages of the user window (ops->alias
	 * and ops->unalias), which others see as well. Called by the runner, on
	 * a fiber; 0 or -errno. May be NULL.
	 */
	int (*show)(void *context, u64 address, u64 offset, u64 bytes,
		    u32 protection);
	int (*hide)(void *context, u64 address, u64 bytes);
};

struct host_file {
	int fd;
	u64 bytes;
};

struct host_options {
	const char *image; /* path of liblinux-<release>.so */
	int image_fd; /* the same file, open; 0: open `image` */
	u64 memory_bytes; /* of the arena */
	/*
	 * An empty memfd for pages that are shown at a second address, as long
	 * as arena and image together, which is taken over; fd 0: one is made.
	 */
	struct host_file memory_file;
	/* Where the user window shall begin, at a 2 MiB boundary; 0: anywhere. */
	u64 user;
	bool virtual_clock;
	u64 boot_realtime; /* ns since the epoch, virtual clock only */
	const char *command_line;
	unsigned char seed[64];
	struct host_embedding embedding;
	/* Of a kernel in a process of its own; see kernel/jail/jail.h. */
	const char *jail; /* path of the program that holds it */
	u64 cpu_seconds; /* of processor time that it may use; 0: any */
};

#define HOST_REPORT_LOG_BYTES 16384

/* What a kernel had to say when it died, or found that it waits for nothing. */
struct host_report {
	u64 base; /* where its image is: symbols are offsets from there */
	struct ll_report report;
	size_t log_bytes;
	char log[HOST_REPORT_LOG_BYTES]; /* the end of it */
};

/* Why host_kernel_open() failed, in words. */
struct host_error {
	char text[256];
	bool dead; /* the kernel died while it booted: `report` is set */
	bool gone; /* the process that it was to be in died */
	struct host_report *report; /* room for it, or NULL */
};

/* Load an image, boot it. The first process (pid 1) belongs to the caller. */
int host_kernel_open(const struct host_options *options,
		     struct host_kernel **kernel, struct host_error *error);
/*
 * Unmap everything. -EBUSY while a thread is inside or waits. Afterwards the
 * pointer and those of all its processes and disks are invalid.
 */
int host_kernel_close(struct host_kernel *kernel);

const char *host_kernel_release(struct host_kernel *kernel);
const char *host_kernel_syscalls(struct host_kernel *kernel);
/* NULL, or what the kernel said when it died. */
const char *host_kernel_dead(struct host_kernel *kernel);
/* Of a dead kernel, or after a call that said `deadlock`. */
void host_kernel_report(struct host_kernel *kernel, struct host_report *report);
struct host_process *host_kernel_init(struct host_kernel *kernel);
/* Is the calling thread in a callback for it? */
bool host_kernel_serves(struct host_kernel *kernel);
/*
 * Kill it, whatever a thread inside of it may be doing. Returns when that is
 * done, or after a second, when it will be as soon as host code that it waits
 * for comes back.
 */
void host_kernel_abort(struct host_kernel *kernel);
u64 host_kernel_now(struct host_kernel *kernel);
/* Address window of mmap, and of the whole reservation. */
void host_kernel_user_window(struct host_kernel *kernel, u64 *start,
			     u64 *bytes);
u64 host_kernel_text(struct host_kernel *kernel);
/*
 * This kernel's table of host calls. Entries may be replaced while no thread is
 * inside; the first argument that they get is opaque, to be passed on to the
 * function that stood there before.
 */
struct ll_host_ops *host_kernel_ops(struct host_kernel *kernel);

/* Take up to `bytes` of the log; returns how many were there. */
size_t host_kernel_log(struct host_kernel *kernel, char *buffer, size_t bytes);
bool host_kernel_log_pending(struct host_kernel *kernel);

/*
 * Misbehaviour of the host on a schedule that a seed repeats: each kind draws
 * from random numbers of its own, once for every occasion. A chance of n means
 * n / 2^64.
 */
enum host_injection_kind {
	HOST_INJECT_READ, /* a disk's read fails */
	HOST_INJECT_WRITE, /* a disk's write, discard or zeroing fails */
	HOST_INJECT_TORN, /* a write fails after some of its sectors */
	HOST_INJECT_FLUSH, /* a disk's flush fails */
	HOST_INJECT_ALIAS, /* no memory can be mapped */
	HOST_INJECT_CLOCK, /* the real clock jumps ahead when it is read */
	HOST_INJECTIONS,
};

struct host_injection {
	u64 seed;
	u64 chance[HOST_INJECTIONS];
	u64 jump_ns; /* of the clock, at most */
	int error; /* of disks: -EIO, -ENOSPC, ... */
};

/*
 * Begin to misbehave, or with NULL, behave again; from any thread. A second
 * schedule takes the place of the first. -ENOMEM.
 */
int host_kernel_inject(struct host_kernel *kernel,
		       const struct host_injection *injection);
/* How often each kind has happened, under the schedule that was begun last. */
void host_kernel_injected(struct host_kernel *kernel,
			  u64 counts[HOST_INJECTIONS]);

/*
 * To all kernels the calling thread is from now on the one of this id, or a new
 * one (0); returns the id that it had. So that threads which take turns are one
 * to a kernel, with one task in each process. No two threads of one id may be
 * inside of kernels at the same time, and a thread must not end with the id of
 * another one, whose tasks would be free then.
 */
u64 host_thread_become(u64 id);
/* The tasks of the calling thread are free, as at its end. */
void host_thread_leave_tasks(void);

/*
 * Let the virtual clock stand still while a thread that has a task here is
 * outside, and let calls come in only while the kernel has nothing to run:
 * what a thread does next then does not depend on how soon the host lets it
 * run. From any thread; without effect on a real clock. Such a thread must
 * end, or wait inside, or time never goes on.
 */
void host_kernel_lockstep(struct host_kernel *kernel, bool on);
/*
 * Wait, outside of it, until the kernel has nothing to run and, with `all`,
 * every other thread waits inside. False when that was not so for some
 * milliseconds: try again, or look after signals first.
 */
bool host_kernel_settle(struct host_kernel *kernel, bool all);

struct host_statistics {
	u64 entries, done, host_exits, idle_exits;
	u64 faults_inside, faults_outside;
	u64 aliases, unaliases, aliased_bytes;
	u64 reads, writes, flushes;
	u64 frames; /* over cables */
	/* Of the reads: begun without waiting, and bytes by the second thread. */
	u64 started_reads, reader_bytes;
};
void host_kernel_statistics(struct host_kernel *kernel,
			    struct host_statistics *statistics);

/*
 * The frames captured since the last time, as blocks of pcapng: memory for the
 * caller to free(), and its length. *lost counts those there was no memory for.
 */
u64 host_kernel_captured(struct host_kernel *kernel, void **blocks, u64 *lost);

/*
 * Kernels with one virtual clock; see group.c. The second joins the first, and
 * those that are with it already. One thread uses all of them, the one that made
 * the group: calls of others end with -EDEADLK. -EINVAL: a clock is real, or it
 * has joined already; -ENOSPC: too many. No snapshots of members.
 */
int host_group_join(struct host_kernel *first, struct host_kernel *other);
/*
 * Write all that can be read from a descriptor of one to a descriptor of
 * another, frame by frame; with `news` the first is an epoll, whose events are
 * to be edges, and an eventfd is told.
 */
int host_group_wire(struct host_process *from, int from_fd, bool news,
		    struct host_process *to, int to_fd);

/*
 * The same questions to netlink sockets (of init's table of files) at equal
 * steps of virtual time, from `first` on, in nanoseconds; see sample.c. It ends
 * when `most` bytes of answers are not enough. -EBUSY: there is one already;
 * -EINVAL: the clock is real, or shared with other kernels.
 */
struct host_question {
	int fd;
	u32 bytes;
	const char *message;
};
int host_sampler_start(struct host_kernel *kernel, u64 first, u64 step,
		       u64 most, const struct host_question *questions,
		       u32 count);
/*
 * The answers since the last time, memory for the caller to free(), and their
 * bytes: each is u64 time, u32 number of the question, u32 bytes, and these,
 * padded to eight. *missed counts samples that did not come about; *last is
 * where the last one begins.
 */
u64 host_sampler_take(struct host_kernel *kernel, bool stop, void **answers,
		      u64 *missed, u64 *last);

/*
 * Pumps: threads that carry frames from one descriptor to another; see pump.c.
 * An end with a process is a descriptor of that process, without blocking, and
 * `stop_fd` an eventfd of it; an end without is the host's. Both stay open
 * until the pump has been stopped, which must be before the kernel is closed.
 */
struct host_pump;
enum host_pump_kind {
	HOST_PUMP_DATAGRAMS, /* a read is a frame; an empty one is none */
	HOST_PUMP_PACKETS, /* the same, but an empty one is the end */
	HOST_PUMP_STREAM, /* frames have their length in front */
	/* An epoll of a process with events that are edges: each is 8 bytes, a 1. */
	HOST_PUMP_NEWS,
};
struct host_pump_end {
	struct host_process *process;
	int fd;
	int stop_fd; /* of the end that is read from */
	int kind; /* enum host_pump_kind */
};
/* An ioctl(2) that it makes when it ends by itself, as to put a device down. */
struct host_pump_last {
	struct host_process *process; /* or NULL */
	int fd;
	u32 request;
	char argument[64];
};
struct host_pump_statistics {
	u64 frames, bytes;
	u64 dropped; /* frames that the receiving side refused */
	int error; /* why it ended by itself, as -errno */
};
int host_pump_start(const struct host_pump_end *from,
		    const struct host_pump_end *to,
		    const struct host_pump_last *last, struct host_pump **pump);
void host_pump_stop(struct host_pump *pump, struct host_pump_statistics *last);
void host_pump_statistics(struct host_pump *pump,
			  struct host_pump_statistics *statistics);

/*
 * Processes. A call runs on the kernel task of the calling host thread, which
 * is made when the thread first comes; the first thread gets the main task.
 * The result is the system call's, -errno included. -EDEADLK with *deadlock
 * set: nothing in this kernel can ever happen again (virtual clock).
 */
struct host_result {
	s64 value;
	bool dead; /* the kernel died; value is -EOWNERDEAD */
	/* With `dead`: not even an interruption could end the wait. */
	bool deadlock;
	bool interrupted; /* embedding->interrupted said so */
	bool reentered; /* called from disk_io of the same kernel: refused */
};
void host_process_call(struct host_process *process, s64 nr, const u64 args[6],
		       struct host_result *result);
int host_process_pid(struct host_process *process);
/*
 * A child process, in new namespaces if there are CLONE_NEW* flags, with the
 * same files for CLONE_FILES; NULL and the error in *result on failure.
 */
struct host_process *host_process_spawn(struct host_process *process,
					u32 namespaces,
					struct host_result *result);
/*
 * The caller does not use it any more (its kernel process may live on).
 * Without effect for init, which goes with the kernel.
 */
void host_process_release(struct host_process *process);

/*
 * One kernel at an earlier instant; see snapshot.c. Both -EBUSY while a thread
 * is inside or waits. Taking: -EROFS when a disk writes through; into `file`, an
 * empty memfd of a fixed size, which is taken over, or with NULL into one of its
 * own; -ENOSPC when the given one is too small. Putting back:
 * -ENODEV when a disk of then is no longer attached; disks that came since
 * must be forgotten with host_disk_forget() and processes that came since have
 * no task any more (-ESRCH). Any other error leaves a dead kernel.
 */
struct host_snapshot;
int host_kernel_snapshot(struct host_kernel *kernel,
			 const struct host_file *file,
			 struct host_snapshot **taken);
int host_kernel_restore(struct host_kernel *kernel,
			struct host_snapshot *snapshot);
void host_snapshot_free(struct host_snapshot *snapshot);
/* Memory that it takes. */
u64 host_snapshot_bytes(struct host_snapshot *snapshot);

/*
 * Measuring: two tasks of `process` throw one byte to and fro over two pipes,
 * `switches` times, both on the thread of the caller. *nanoseconds is the whole
 * time, with a write, a read and a switch for each.
 */
int host_measure_switches(struct host_process *process, u64 switches,
			  u64 *nanoseconds, struct host_result *result);
/*
 * The same over two sockets that are connected to each other, `bytes` times; or,
 * with one of the `tasks`, by a thread that serves both ends and never waits.
 */
int host_measure_exchange(struct host_process *process, const int sockets[2],
			  int tasks, u64 bytes, u64 *nanoseconds,
			  struct host_result *result);
/* `bytes` from the first to the second, by the calling thread, `block` a call. */
int host_measure_stream(struct host_process *process, const int sockets[2],
			u64 block, u64 bytes, u64 *nanoseconds,
			struct host_result *result);

/* Disks. `name_index` n is /dev/lda, /dev/ldb, ... */
enum host_disk_flags {
	HOST_DISK_READONLY = 1,
	HOST_DISK_OVERLAY = 2, /* writes stay in memory */
	HOST_DISK_ROTATING = 4,
	/* A foreign backing that can discard; all others can anyway. */
	HOST_DISK_DISCARD = 8,
};
int host_disk_attach_fd(struct host_kernel *kernel, int fd, u64 bytes,
			u32 sector_bytes, u32 flags, struct host_disk **disk);
int host_disk_attach_memory(struct host_kernel *kernel, void *memory, u64 bytes,
			    u32 sector_bytes, u32 flags,
			    struct host_disk **disk);
int host_disk_attach_foreign(struct host_kernel *kernel, void *backing,
			     u64 bytes, u32 sector_bytes, u32 flags,
			     struct host_disk **disk);
/* -EBUSY while it is in use in the kernel. Frees the disk when it succeeds. */
int host_disk_detach(struct host_disk *disk);
/* After a restore: the kernel does not know it. Frees the disk. */
void host_disk_forget(struct host_disk *disk);
u64 host_disk_bytes(struct host_disk *disk);
u32 host_disk_index(struct host_disk *disk);
/* Bytes that an overlay holds. */
u64 host_disk_changes(struct host_disk *disk);
/*
 * Between these two, what is written to a stretch of the disk can be taken back
 * (`restore`), for a mount that fails; see undo.c. -EBUSY: it is under way. Any
 * other error of the end says why not all of it could be taken back.
 */
int host_disk_undo_begin(struct host_disk *disk, u64 start, u64 bytes);
int host_disk_undo_end(struct host_disk *disk, bool restore);
int host_disk_resize(struct host_disk *disk, u64 bytes);

/*
 * Make a page of the user window present, as if it had been touched there by
 * host code: 0, or -errno.
 */
int host_kernel_touch(struct host_kernel *kernel, u64 address, bool is_write);

/*
 * The process-wide handler of faults is installed with the first
 * kernel. True when somebody had replaced it and it had to be put back.
 */
bool host_fault_reclaim(void);

#endif /* LIBLINUX_HOST_H */
