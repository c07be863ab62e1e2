/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files of the jail's half in this process.
 *
 * jail.c    open, close, questions        death.c  how the cell ended
 * spawn.c   starting the cell             disks.c  disks, and serving them
 * slot.c    threads, requests, waiting    heap.c   memory of the channel
 * call.c    system calls                  batch.c  directories and trees
 * pass.c    descriptors                   state.c  snapshots, misbehaviour
 * window.c  mapped memory
 *
 * `lock` is held for some instructions only; a slot belongs to one thread.
 * What comes out of the channel is read once and checked: see channel.h.
 */
#ifndef LIBLINUX_KEEPER_H
#define LIBLINUX_KEEPER_H

#include <pthread.h>
#include <string.h>
#include <sys/types.h>
#include "channel.h"
#include "internal.h"
#include "jail.h"

/* How often a thread that waits looks whether the cell is alive. */
#define JAIL_LOOK_NS 20000000ULL
/* How often it asks whether it was interrupted. */
#define JAIL_POLL_NS 50000000ULL
/* What a call may take to end after it was interrupted. */
#define JAIL_GRACE_NS 5000000000ULL
/* What the cell may take to die after it was killed. */
#define JAIL_REAP_NS 5000000000ULL
/* Private memory of the cell besides that of the kernel. */
#define JAIL_DATA_BYTES (256 * MIB)
/* The longest answer of a walk: what a liar can make us allocate. */
#define JAIL_ANSWER_BYTES (4 * GIB)
#define JAIL_DEAD_BYTES 512

struct jail_slot {
	struct channel_slot *shared;
	char *area;
	u64 thread; /* that it belongs to; 0: free */
	bool used; /* the cell has a thread for it */
	bool serving; /* the thread is in a callback of the embedding */
	bool interrupted;
	u32 request, served, consumed, filled;
	u64 next_poll, interrupted_at;
};

struct jail_process {
	struct jail *jail;
	u64 handle;
	int pid;
};

struct jail_disk {
	struct jail *jail;
	u64 handle; /* the cell's */
	u32 name; /* ours, in `disks` */
	u32 index, flags;
	u64 bytes;
	char *memory; /* its backing is memory of this process, or NULL */
	void *foreign; /* or the embedding's */
	u32 users; /* threads that serve it; under `lock` */
	s64 undo_room; /* bytes of memory that the cell has for an undo */
};

struct jail {
	struct channel *channel;
	u64 id; /* never used twice */
	u32 generation; /* of the process; see jail_is_ours() */
	bool virtual_clock;
	bool clock_jumps; /* or has jumped */
	struct host_embedding embedding;
	pid_t pid;
	int pidfd, control, passing;
	int arena; /* the file of pages that are shown in the window */
	u64 window; /* address, or 0 */
	u32 users; /* faults under way; see jail_find() */
	struct jail_wanted *wanted; /* pages that they are about; see window.c */

	pthread_mutex_t pass_lock; /* see pass.c; before `lock` */
	pthread_mutex_t lock;
	bool reaped; /* `pid` means nothing any more */
	bool dead, gone;
	bool log_pending;
	char dead_text[JAIL_DEAD_BYTES];
	const char *killed_because; /* by us */
	struct jail_slot slots[CHANNEL_SLOTS];
	struct jail_disk *disks[DISKS];
	u64 data_bytes, file_bytes; /* limits of the cell */
	u64 memory_bytes; /* of the kernel, without its image's data */
	struct jail_snapshot *dropped; /* that the cell is to be told of */
	struct jail_range *ranges; /* of the heap, by address; see heap.c */

	struct jail_process init;
	char release[CHANNEL_RELEASE_BYTES];
	char *syscalls;
	u64 text_base;
	struct jail *next, **link; /* of all jails of this process */
};

/* What the overlay of a disk takes: its blocks, and a bit for each. */
static inline u64 jail_overlay_bytes(u64 bytes)
{
	return bytes + bytes / (8 * PAGE_BYTES) + 4 * PAGE_BYTES;
}

static inline struct jail *jail_of(struct host_kernel *kernel)
{
	return (struct jail *)kernel;
}

/* jail.c: all jails. */
void jail_each(void (*function)(struct jail *jail, u64 value), u64 value);
/* False in a child of fork(). */
bool jail_is_ours(const struct jail *jail);
/* The one whose window that is: it is kept until it is let go. NULL: none. */
struct jail *jail_find(u64 address);
void jail_let_go_of(struct jail *jail);

/* spawn.c */
int jail_spawn(struct jail *jail, const struct host_options *options,
	       struct host_error *error);

/* jail.c: a report of the cell's, with lengths that can be true. */
void jail_copy_report(const char *from, struct host_report *report);

/* death.c */
/* Look whether the cell is alive; true when it is not. */
bool jail_is_gone(struct jail *jail);
/* Say why the kernel inside is dead, while the cell lives on. */
void jail_kernel_died(struct jail *jail);
void jail_kill(struct jail *jail, const char *because);
void jail_reap(struct jail *jail);

/* window.c */
int jail_window_init(struct jail *jail);
void jail_window_exit(struct jail *jail);
void jail_window_forked(struct jail *jail);
/* CHANNEL_SHOW or CHANNEL_HIDE is posted: 0 or -errno. */
int jail_window_serve(struct jail *jail, struct jail_slot *slot, u32 op);

/* slot.c */
/*
 * This thread asks in the middle of code that knows nothing of it: no question
 * whether it was interrupted, and the embedding's lock given up while it sleeps.
 */
extern __thread const struct host_embedding *jail_faulting;
/* The slot of this thread; NULL with the error in *result. */
struct jail_slot *jail_enter(struct jail *jail, struct host_result *result);
struct jail_slot *jail_enter_dead(struct jail *jail,
				  struct host_result *result);
/*
 * One request, from its `op` to its answer. The cell's value and flags come as
 * a result; false when there is none (dead).
 */
bool jail_request(struct jail *jail, struct jail_slot *slot, u32 op, u64 handle,
		  s64 nr, const u64 args[6], struct host_result *result);
/* In two halves, with something to do between. */
void jail_begin(struct jail_slot *slot, u32 op, u64 handle, s64 nr,
		const u64 args[6]);
/* Wait until `there`, or the end of the request; false: dead. */
bool jail_await(struct jail *jail, struct jail_slot *slot,
		bool (*there)(struct jail_slot *slot));
bool jail_is_finished(struct jail_slot *slot);
void jail_answer(struct jail *jail, struct jail_slot *slot,
		 struct host_result *result);
void jail_result_dead(struct host_result *result);
/* The cell has said what cannot be: it is not to be used any more. */
void jail_liar(struct jail *jail, const char *about);
/* A request without a process, from a thread that may have no slot yet. */
s64 jail_ask(struct jail *jail, u32 op, const u64 args[6]);

/* call.c, batch.c */
void jail_call(struct host_process *process, s64 nr, const u64 args[6],
	       const struct host_spans *spans, struct host_result *result);
void jail_list(struct host_process *process, const char *path, int fd,
	       struct host_listing *listing);
void jail_walk(struct host_process *process, const char *path,
	       struct host_walk *walk);

/* heap.c */
u64 jail_allocate(struct host_kernel *kernel, u64 bytes);
void jail_free(struct host_kernel *kernel, u64 address);
void jail_heap_exit(struct jail *jail);

/* disks.c */
int jail_attach_fd(struct host_kernel *kernel, int fd, u64 bytes,
		   u32 sector_bytes, u32 flags, struct host_disk **disk);
int jail_attach_memory(struct host_kernel *kernel, void *memory, u64 bytes,
		       u32 sector_bytes, u32 flags, struct host_disk **disk);
int jail_attach_foreign(struct host_kernel *kernel, void *backing, u64 bytes,
			u32 sector_bytes, u32 flags, struct host_disk **disk);
int jail_detach(struct host_disk *disk);
u32 jail_disk_index(struct host_disk *disk);
u64 jail_disk_bytes(struct host_disk *disk);
u64 jail_disk_changes(struct host_disk *disk);
int jail_resize(struct host_disk *disk, u64 bytes);
int jail_undo_begin(struct host_disk *disk, u64 start, u64 bytes);
int jail_undo_end(struct host_disk *disk, bool restore);
void jail_forget(struct host_disk *disk);
/* The cell may write files of that length. */
void jail_allow_file(struct jail *jail, u64 bytes);
void jail_disks_exit(struct jail *jail);
/* What the cell has posted in this slot: do it, and say how it went. */
void jail_serve(struct jail *jail, struct jail_slot *slot);

/* pass.c */
/* A memory file of that size, for ever; or -errno. */
int jail_file(const char *name, u64 bytes);
/*
 * A request with a descriptor, which stays the caller's. The request that comes
 * next in the cell is the one that it belongs to.
 */
bool jail_request_with(struct jail *jail, struct jail_slot *slot, int fd,
		       u32 op, const u64 args[6], struct host_result *result);

/* state.c */
int jail_snapshot(struct host_kernel *kernel, struct host_snapshot **taken);
int jail_restore(struct host_kernel *kernel, struct host_snapshot *snapshot);
void jail_drop(struct host_kernel *kernel, struct host_snapshot *snapshot);
u64 jail_snapshot_bytes(struct host_snapshot *snapshot);
void jail_snapshots_exit(struct jail *jail);
int jail_inject(struct host_kernel *kernel,
		const struct host_injection *injection);
int jail_injected(struct host_kernel *kernel, u64 counts[HOST_INJECTIONS]);

#endif /* LIBLINUX_KEEPER_H */
