/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The channel between this process (jail_) and the process that holds an
 * isolated kernel (cell_): one piece of shared memory, at the same address in
 * both, so that an address in it means the same to both. Before it is the user
 * window of the kernel (mmap), at the same address in both as well.
 *
 *	user window | header | slots | areas, one for each slot | heap
 *
 * A thread of this process has a slot, and the cell has a thread for each slot
 * that was ever used. The thread writes a request into its slot and counts
 * `request` up; the cell's thread does it and sets `finished` to that number.
 * Meanwhile it may post something (`posted`: a request to serve a disk, or to
 * show memory) that the waiting thread serves (`served`), or send and take
 * pieces of a long transfer (`produced`, `consumed`). Who waits looks at these
 * words for a while and then sleeps on its bell, which the other rings after
 * every change.
 *
 * Trust. The cell may be in the hands of whoever made the image. So this
 * process reads every word of the cell once, into memory of its own, and checks
 * it there; it follows no pointer that it finds; lengths are bounded by what
 * was asked for; and the memory cannot be made smaller under it (sealed). What
 * is wrong beyond doubt ends the cell. The cell trusts this process.
 */
#ifndef LIBLINUX_CHANNEL_H
#define LIBLINUX_CHANNEL_H

#include "host.h"
#include "limits.h"

#define CHANNEL_MAGIC 0x6c696a78756e696cULL /* "linuxjil" */
#define CHANNEL_VERSION 2

/* ---- limits ---------------------------------------------------------- */

#define CHANNEL_SLOTS 256
/* Memory of one call; what needs more takes it from the heap. */
#define CHANNEL_CALL_BYTES (1 * MIB)
/* Memory of a disk request that this process serves. */
#define CHANNEL_DISK_BYTES (256 * KIB)
#define CHANNEL_AREA_BYTES (CHANNEL_CALL_BYTES + CHANNEL_DISK_BYTES)
/* Address space, not memory: untouched pages do not exist. */
#define CHANNEL_HEAP_BYTES (16 * GIB)
/* Long transfers go in pieces, so that both sides copy at the same time. */
#define CHANNEL_PIECES 4
#define CHANNEL_PIECE_BYTES (CHANNEL_CALL_BYTES / CHANNEL_PIECES)
#define CHANNEL_TEXT_BYTES 256
#define CHANNEL_RELEASE_BYTES 128
#define CHANNEL_SYSCALLS_BYTES (64 * KIB)
#define CHANNEL_COMMAND_BYTES 4096
/* What an image may have of data and bss, which are memory of the kernel too. */
#define CHANNEL_IMAGE_BYTES (128 * MIB)
/* The file of pages that are shown elsewhere too: all pages that there are. */
#define CHANNEL_ARENA_BYTES(memory) ((memory) + CHANNEL_IMAGE_BYTES)
/* That one kernel can have at a time: each is a descriptor of the cell. */
#define CHANNEL_SNAPSHOTS 512
/* How long a side looks at the words before it sleeps. */
#define CHANNEL_SPIN_NS 30000ULL

/* ---- descriptors that the cell is started with ------------------------ */

enum channel_descriptor {
	CHANNEL_FD_CONTROL = 3, /* a u32 for each slot that wants a thread */
	CHANNEL_FD_PASSING, /* one for each ATTACH and each SNAPSHOT */
	CHANNEL_FD_MEMORY,
	CHANNEL_FD_IMAGE,
	CHANNEL_FD_PARENT, /* pidfd of this process */
	CHANNEL_FD_ARENA, /* pages of the kernel that are shown elsewhere too */
	CHANNEL_FD_END,
};

/* ---- slots ----------------------------------------------------------- */

enum channel_op {
	/* handle: process; nr, args -> value, as host_process_call() */
	CHANNEL_CALL = 1,
	/* The same for read and pread64, write and pwrite64, in pieces. */
	CHANNEL_READ,
	CHANNEL_WRITE,
	/* handle: process; args[0]: has a path, in the area; args[1]: fd, or
	 * follow_mounts | with_top << 1 | most << 2 -> value, counts[]: bytes
	 * of the arrays, all in a row */
	CHANNEL_LIST,
	CHANNEL_WALK,
	/* args: offset, bytes -> that part of the row, in the area */
	CHANNEL_FETCH,
	CHANNEL_DROP, /* what was fetched */
	/* handle: process; args[0]: namespaces -> value: pid, counts[0]: handle */
	CHANNEL_SPAWN,
	CHANNEL_LET_GO,
	/* args: enum channel_backing, bytes, sector bytes, flags, what requests
	 * to serve it shall call it -> value, counts[0]: handle and index */
	CHANNEL_ATTACH,
	CHANNEL_DETACH, /* args[5]: handle -> value */
	CHANNEL_UNDO_BEGIN, /* args[5]: handle; args[0..1]: start, bytes -> value */
	CHANNEL_UNDO_END, /* args[5]: handle; args[0]: restore -> value */
	CHANNEL_RESIZE, /* args[5]: handle; args[0]: bytes -> value */
	CHANNEL_CHANGES, /* args[5]: handle -> value */
	CHANNEL_NOW, /* -> value */
	CHANNEL_STATISTICS, /* -> struct host_statistics in the area */
	CHANNEL_REPORT, /* -> struct host_report in the area */
	CHANNEL_LOG, /* -> value: bytes in the area */
	CHANNEL_FORGET, /* the thread that had this slot has ended */
	CHANNEL_SWITCHES, /* handle: process; args[0] -> value, counts[0] */
	CHANNEL_DISK_FORGET, /* args[5]: handle */
	/* args[0]: bytes of the file that was passed -> value, counts[0]: handle */
	CHANNEL_SNAPSHOT,
	CHANNEL_RESTORE, /* args[5]: handle -> value */
	CHANNEL_SNAPSHOT_DROP, /* args[5]: handle */
	/* args[0]: begin; then a struct host_injection in the area -> value */
	CHANNEL_INJECT,
	CHANNEL_INJECTED, /* -> u64[HOST_INJECTIONS] in the area */
	CHANNEL_FAULT, /* args: address, is a write -> value: 0 when it is shown */
};

enum channel_backing {
	CHANNEL_BACKING_FD,
	CHANNEL_BACKING_SERVED, /* by this process */
};

/* What the memory unit has done in the user window is to be done there too. */
enum channel_post {
	/* flags: LL_PROT_*; offset in the arena's file */
	CHANNEL_SHOW = 64,
	CHANNEL_HIDE,
};

enum channel_flags {
	CHANNEL_DEAD = 1,
	CHANNEL_DEADLOCK = 2,
	CHANNEL_INTERRUPTED = 4,
	CHANNEL_LOG_PENDING = 8,
	CHANNEL_OUT_OF_MEMORY = 16,
};

/* Somebody who waits. `bell` is a futex. */
struct channel_waiter {
	u32 bell; /* counted up by the other side */
	u32 sleeps; /* by the one who waits */
	u32 processor; /* where it is: who is on the same need not look out */
};

struct channel_slot {
	/* Written by this process. */
	u32 request __attribute__((aligned(64)));
	u32 served;
	u32 consumed; /* pieces, of READ */
	u32 filled; /* pieces, of WRITE */
	u32 interrupt; /* the call shall end */
	u32 op; /* enum channel_op */
	u64 handle;
	s64 nr;
	u64 args[6];
	s64 served_result;
	u64 spare[3];

	/* Written by the cell. */
	u32 finished __attribute__((aligned(64)));
	u32 posted;
	u32 produced; /* pieces, of READ */
	u32 emptied; /* pieces, of WRITE */
	u32 flags; /* enum channel_flags */
	u32 tid;
	s64 value;
	u64 counts[3];
	u32 piece_bytes[CHANNEL_PIECES];
	/* What is posted. */
	u64 post_at; /* the name of a disk, or an address of the window */
	u32 post_op; /* LL_IO_*, data in the area, or enum channel_post */
	u32 post_flags;
	u64 post_offset, post_bytes;

	struct channel_waiter parent __attribute__((aligned(64)));
	struct channel_waiter cell __attribute__((aligned(64)));
};

/* ---- header ---------------------------------------------------------- */

enum channel_state {
	CHANNEL_STARTING,
	CHANNEL_READY,
	CHANNEL_FAILED,
};

struct channel_header {
	/* Written by this process, before the start. */
	u64 magic;
	u32 version;
	u32 boundary_version;
	u64 address; /* of this header */
	u64 user; /* of the user window */
	u64 memory_bytes;
	u64 boot_realtime;
	u64 data_bytes; /* RLIMIT_DATA */
	u64 cpu_seconds; /* RLIMIT_CPU, or 0 */
	u32 virtual_clock;
	u32 spins; /* there is more than one processor */
	u32 parent_tid; /* 0: do not tie the cell to this thread */
	unsigned char seed[64];
	char command_line[CHANNEL_COMMAND_BYTES];

	/* Written by the cell. */
	u32 state; /* enum channel_state */
	u32 dead; /* the boot failed, with a report in the first area */
	int code;
	u64 text_base;
	char text[CHANNEL_TEXT_BYTES]; /* why it failed, or died */
	char release[CHANNEL_RELEASE_BYTES];
	char syscalls[CHANNEL_SYSCALLS_BYTES];

	struct channel_waiter boot; /* the parent, for `state` */
};

/* ---- the whole -------------------------------------------------------- */

#define CHANNEL_HEADER_BYTES (128 * KIB)

struct channel {
	union {
		struct channel_header header;
		char header_bytes[CHANNEL_HEADER_BYTES];
	};
	struct channel_slot slots[CHANNEL_SLOTS];
	char areas[CHANNEL_SLOTS][CHANNEL_AREA_BYTES]
		__attribute__((aligned(4096)));
	char heap[CHANNEL_HEAP_BYTES] __attribute__((aligned(4096)));
};
_Static_assert(sizeof(struct channel_header) <= CHANNEL_HEADER_BYTES,
	       "the header has room");

/* ---- words and bells, for both sides ---------------------------------- */

static inline u32 channel_load(const u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void channel_store(u32 *word, u32 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* A word, or bytes, of the other side, read exactly once. */
#define channel_once(place) (*(const volatile __typeof__(place) *)&(place))

/* channel.c */
u64 channel_now(void);
/*
 * Look for a while whether `there`, before sleeping. Not when the one who is
 * waited for would have to run on this very processor: looking keeps it away.
 */
bool channel_look(struct channel_waiter *self, struct channel_waiter *other,
		  u32 *lookers, bool (*there)(void *argument), void *argument);
/* After a change that `waiter` may be waiting for. */
void channel_ring(struct channel_waiter *waiter);
/*
 * To be called, with `sleeps` set, after a look at the words that came later
 * than this look at the bell. 0, or -errno: -EINTR, -ETIMEDOUT, -EAGAIN.
 */
int channel_sleep(struct channel_waiter *waiter, u32 bell, u64 until);

#endif /* LIBLINUX_CHANNEL_H */
