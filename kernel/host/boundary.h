/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between a Linux kernel image and the process that hosts it.
 *
 * This header is all that the two sides know of each other; the contract in
 * prose is docs/HOST-BOUNDARY.md. A kernel is a virtual CPU: the host enters
 * it, and it comes back with a reason. Names that begin with `ll_` or `LL_`
 * belong to the boundary itself, `lib_` to the kernel side, `host_` to the
 * host side.
 *
 * The two rules that everything else follows from:
 *
 *  - Blocking. A function of `struct ll_host_ops` runs on a kernel fiber. It
 *    must be short, must not block, must not call into any kernel and must not
 *    run code of an embedding language. Work that needs any of this is handed
 *    over by leaving the kernel with LL_EXIT_HOST.
 *  - Threading. One host thread at a time is inside a kernel. Only `attention`
 *    and `submitted` of `struct ll_cpu` may be touched by other threads, and
 *    memory that is being read into (`disk_start`).
 *
 * Errors are -errno. Times are nanoseconds. Addresses are host addresses.
 */
#ifndef LIBLINUX_BOUNDARY_H
#define LIBLINUX_BOUNDARY_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
typedef uint32_t u32;
typedef int64_t s64;
typedef uint64_t u64;
#endif

/* Increased with every change to this file; the host refuses any other. */
#define LL_BOUNDARY_VERSION 7

/* "liblinux", little endian; the first word of `struct ll_image`. */
#define LL_IMAGE_MAGIC 0x78756e696c62696cULL

#define LL_FOREVER (~0ULL)

/* ---- why the kernel came back ---------------------------------------- */

enum ll_exit {
	LL_EXIT_DONE = 1, /* the runner's call has its result */
	LL_EXIT_HOST, /* cpu->request must be served, then enter again */
	LL_EXIT_IDLE, /* nothing can run before cpu->idle_until or attention */
	LL_EXIT_DEAD, /* panic: never enter again */
	LL_EXIT_HALT, /* powered off: never enter again */
	LL_EXIT_LOOK, /* it computes for long; see cpu->progress */
};

/* ---- calls: host to kernel ------------------------------------------- */

/*
 * A system call, or with a negative number one of LL_CALL_*. It belongs to
 * the host until it is submitted, and again when it is finished.
 */
struct ll_call {
	s64 nr;
	u64 args[6];
	s64 result;
	void *task; /* kernel side: the fiber that executes it */
	struct ll_call *next; /* kernel side, while submitted */
	u32 state; /* enum ll_call_state */
	u32 flags; /* host side */
	void *host; /* host side: whatever it needs */
};

enum ll_call_state {
	LL_CALL_IDLE,
	LL_CALL_SUBMITTED,
	LL_CALL_RUNNING,
};

/* Negative call numbers: services of the port that Linux has no call for. */
enum ll_call_nr {
	/* () -> 0, when init is up; the first call of every kernel */
	LL_CALL_BOOT = -1000,
	/* (enum ll_spawn, void **task) -> pid; a new task, parked */
	LL_CALL_SPAWN = -1001,
	/* (const struct ll_disk *) -> dev_t of the new block device */
	LL_CALL_DISK_ADD = -1002,
	/* (index) -> 0; the device is gone, or -EBUSY */
	LL_CALL_DISK_REMOVE = -1003,
	/* (address, is_write) -> 0 when the page is mapped in the host */
	LL_CALL_FAULT = -1004,
	/* (void *task) -> 0; a blocked call of that task returns -EINTR */
	LL_CALL_INTERRUPT = -1005,
	/* (index) -> 0; the host changed the size of the disk to args[1] bytes */
	LL_CALL_DISK_RESIZE = -1006,
	/* () -> 0; from now on all stacks have a guard page, see ops->guard_stack */
	LL_CALL_GUARD = -1007,
};

enum ll_spawn {
	LL_SPAWN_THREAD = 0, /* of the caller's thread group */
	/*
	 * A child with its own files and directories; with CLONE_NEW* flags in
	 * the same word also with its own namespaces, with CLONE_FILES with
	 * the files of its parent. (unshare() cannot do that for users: it
	 * wants the memory to itself.)
	 */
	LL_SPAWN_PROCESS = 1,
};

/* ---- block devices --------------------------------------------------- */

enum ll_disk_flags {
	LL_DISK_READONLY = 1,
	LL_DISK_DISCARD = 2, /* discard and write-zeroes are understood */
	LL_DISK_ROTATING = 4,
	LL_DISK_NEAR = 8, /* reading it again is as quick as copying memory */
};

/* What the kernel is told when a disk is added. */
struct ll_disk {
	void *handle; /* the host's own name for it */
	u64 size_bytes;
	u32 sector_bytes; /* 512 to 4096, a power of two */
	u32 flags; /* enum ll_disk_flags */
	u32 index; /* device /dev/ld<letter of index> */
	u32 reserved;
};

enum ll_io_op {
	LL_IO_READ,
	LL_IO_WRITE,
	LL_IO_FLUSH,
	LL_IO_DISCARD,
	LL_IO_ZERO,
};

enum ll_io_flags {
	LL_IO_FUA = 1, /* a write that must be on stable storage when it ends */
};

/* The layout of the host's struct iovec. */
struct ll_iovec {
	void *base;
	u64 bytes;
};

struct ll_io {
	void *handle;
	u32 op; /* enum ll_io_op */
	u32 flags; /* enum ll_io_flags */
	u64 offset; /* bytes */
	u64 bytes;
	struct ll_iovec *segments; /* READ and WRITE */
	u32 nr_segments;
	/* Set by the host with the result: after LL_EXIT_HOST or `disk_start`. */
	u32 done;
	s64 result; /* 0, or -errno */
};

/* Returned by ops->disk_io: leave the kernel with LL_EXIT_HOST for this. */
#define LL_IO_NEEDS_HOST 1

/* ---- the table of host calls ----------------------------------------- */

/* ---- the network ----------------------------------------------------- */

enum ll_frame_direction {
	LL_FRAME_IN = 1,
	LL_FRAME_OUT = 2,
};

/* An Ethernet frame, at the instant when it passes; nothing of it is kept. */
struct ll_frame {
	u32 interface; /* the number that the host gave the device */
	u32 direction;
	u64 time; /* nanoseconds since 1970, of the kernel's clock */
	u32 bytes;
	u32 nr_segments;
	const struct ll_iovec *segments;
};

enum ll_protection {
	LL_PROT_READ = 1,
	LL_PROT_WRITE = 2,
	LL_PROT_EXEC = 4,
};

/*
 * Everything that the kernel asks of the host. The table is per kernel and may
 * be replaced at any time the kernel is not running, entry by entry.
 */
struct ll_host_ops {
	/* Nanoseconds of the real monotonic clock. */
	u64 (*monotonic)(void *host);
	/* Nanoseconds since the epoch, of the real clock. */
	u64 (*realtime)(void *host);
	/* Real randomness. */
	void (*random)(void *host, void *buffer, u64 bytes);
	/* A piece of the kernel log, in the extended format of /dev/kmsg. */
	void (*console)(void *host, const char *text, u64 bytes);
	/* 0, -errno, or LL_IO_NEEDS_HOST. */
	int (*disk_io)(void *host, struct ll_io *io);
	/*
	 * Begin a READ, of any number of segments, and do not wait for it: 1, or
	 * 0 when it must be asked for with disk_io. It is over, with `io->done`
	 * set and `attention` raised, when the kernel is entered the next time
	 * at the latest; `io` and the segments must stay until then.
	 */
	int (*disk_start)(void *host, struct ll_io *io);
	/* `call` of another thread than the runner is finished: wake it. */
	void (*finished)(void *host, struct ll_call *call);
	/*
	 * The memory unit. Physical pages begin at cpu->memory; `alias` makes
	 * the host page at `address` show the physical range at `offset` from
	 * there, `unalias` makes addresses fault again.
	 */
	int (*alias)(void *host, u64 address, u64 offset, u64 bytes,
		     u32 protection);
	int (*unalias)(void *host, u64 address, u64 bytes);
	/* A task that host code had a pointer to is gone. */
	void (*task_gone)(void *host, void *task, u32 pid);
	/*
	 * Make a physical page, the lowest of a stack, fault (on) or be memory
	 * again. The host may decline: the stack is then without a guard.
	 */
	void (*guard_stack)(void *host, u64 address, u32 on);
	/* A frame passes a network device that the host wants to hear. */
	void (*frame)(void *host, const struct ll_frame *frame);
};

/* ---- what is said of a kernel that cannot go on ----------------------- */

#define LL_TRACE_ENTRIES 48
#define LL_REPORT_TASKS 8
#define LL_TASK_NAME_BYTES 16
/* `call` of a task that is in no system call. */
#define LL_NO_CALL (-1LL)

/* One task: what it is doing, and what its stack says. */
struct ll_task {
	s64 call; /* number of its system call, a LL_CALL_*, or LL_NO_CALL */
	u32 pid;
	u32 uninterruptible; /* it waits, and no signal will end that */
	char name[LL_TASK_NAME_BYTES];
	u32 nr_trace;
	u32 reserved;
	/*
	 * Words on the stack that are addresses behind a call instruction, the
	 * innermost first. Some are left over from calls that have returned.
	 */
	u64 trace[LL_TRACE_ENTRIES];
};

/* Of a death one task, which died; of a deadlock those that wait. */
struct ll_report {
	u64 ip; /* where the machine stopped, or 0: panic() was called */
	u64 address; /* that was accessed, if kind is a LL_FAULT_PAGE */
	u32 kind; /* enum ll_fault_kind, meaningful with ip or address */
	u32 nr_tasks;
	u32 more_tasks; /* that there was no room for */
	u32 reserved;
	struct ll_task tasks[LL_REPORT_TASKS];
};

/* ---- the virtual CPU ------------------------------------------------- */

enum ll_clock {
	LL_CLOCK_REAL,
	LL_CLOCK_VIRTUAL,
};

/* Lives in the image's data; the host finds it through `struct ll_image`. */
struct ll_cpu {
	/* Set by the host before the first entry. */
	const struct ll_host_ops *ops;
	void *host; /* first argument of every operation */
	u64 memory; /* address of the first physical page: start of the data */
	u64 memory_bytes; /* image data and arena together */
	u64 arena; /* address of the first byte behind the image's bss */
	u64 vmalloc; /* address window for the kernel's own mappings */
	u64 vmalloc_bytes;
	u64 user; /* address window for mmap of library tasks */
	u64 user_bytes;
	const char *command_line;
	u32 clock; /* enum ll_clock */
	u32 boundary_version;
	u64 boot_realtime; /* virtual clock: time of day at boot */
	unsigned char seed[64]; /* of all randomness in the kernel */

	/* Written by the host before it enters. */
	struct ll_call *run; /* call to start, or NULL */
	struct ll_call *runner; /* the call that DONE is about */
	u64 virtual_now; /* the virtual clock; the kernel moves it too */
	const char *give_up; /* after LL_EXIT_LOOK: panic, for this reason */

	/* Written by any thread, atomically. */
	u32 attention; /* look at `submitted`, and at READs that were started */
	struct ll_call *submitted; /* last in first out */

	/* Written by the kernel before it leaves. */
	u32 reason; /* enum ll_exit */
	u32 reserved;
	u64 idle_until; /* nanoseconds of the kernel's clock, or LL_FOREVER */
	struct ll_io *request;
	void *current_task; /* kernel side: whom the fiber belongs to */
	s64 current_call; /* number of the system call being run, or -1 */
	u64 progress; /* calls, switches and disk I/O so far */
	u64 frames; /* sent over cables so far; the host looks at any time */
	char message[256]; /* of LL_EXIT_DEAD */

	/* The stack switch itself. */
	void *host_stack;
	void *kernel_stack;

	/*
	 * Of LL_EXIT_DEAD; and of LL_EXIT_IDLE under the virtual clock, when
	 * idle_until is LL_FOREVER.
	 */
	struct ll_report report;
};

enum ll_fault_kind {
	LL_FAULT_NONE,
	LL_FAULT_PAGE, /* no page, or no right to it, at `address` */
	LL_FAULT_PROTECTION, /* an address that cannot be: which is not known */
	LL_FAULT_BUS, /* memory that the host could not deliver */
	LL_FAULT_DIVISION,
	LL_FAULT_INSTRUCTION, /* one that the machine has not */
	LL_FAULT_OVERFLOW, /* the stack has no room left */
	LL_FAULT_ABORT, /* none: the host wants this to be the end */
};

/*
 * A fault of the machine, found by the host's signal handler. The registers
 * are where the machine stopped; the kernel may move `ip` to a fixup.
 */
struct ll_fault {
	u64 address;
	u64 ip;
	u64 sp;
	u64 bp;
	u32 is_write;
	u32 kind; /* enum ll_fault_kind */
};

/* What the ELF entry point of an image is the address of. */
struct ll_image {
	u64 magic;
	u32 boundary_version;
	u32 cpu_bytes; /* sizeof(struct ll_cpu): a second check */
	struct ll_cpu *cpu;
	/*
	 * Enter the kernel: returns when it leaves, with cpu->reason. Must be
	 * called on a stack with a few hundred bytes of room, and not from a
	 * kernel fiber.
	 */
	void (*enter)(struct ll_cpu *cpu);
	/*
	 * Called by the host's fault trampoline on the stack that faulted, with
	 * all registers saved. Returns when the access may be tried again at
	 * fault->ip; does not return when the kernel is at fault.
	 */
	void (*fault)(struct ll_fault *fault);
	/*
	 * The end of a stack on which `fault` is called when that which
	 * faulted has no room (LL_FAULT_OVERFLOW): it does not return then.
	 */
	u64 emergency_stack;
	/* Text of the image, to tell whose a fault is. */
	u64 text_start;
	u64 text_end;
	/* Linux's release, as in uname -r. */
	const char *release;
	/* System calls of this kernel, a line each: "0=sys_read\n". */
	const char *syscalls;
};

#endif /* LIBLINUX_BOUNDARY_H */
