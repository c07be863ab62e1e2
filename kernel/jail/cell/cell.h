/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that holds an isolated kernel: a plain C program without Python.
 * It maps the channel, gives up its rights, boots, and then does what is asked
 * for, with one thread for each slot in use.
 *
 * main.c      start, threads         transfer.c  long reads and writes
 * serve.c     requests               batch.c     directories and trees
 * disks.c     disks                  lockdown.c  what it may do
 * state.c     snapshots, misbehaviour window.c    mapped memory
 */
#ifndef LIBLINUX_CELL_H
#define LIBLINUX_CELL_H

#include <string.h>
#include "batch.h"
#include "channel.h"
#include "internal.h"

extern struct channel *cell_channel;
extern struct host_kernel *cell_kernel;

/* Of this thread; both NULL while the kernel boots. */
extern __thread struct channel_slot *cell_slot;
extern __thread char *cell_area;

/* Do the request of this thread's slot. */
void cell_serve(void);
/* The host side's embedding: disks that the parent serves, interrupts. */
extern const struct host_embedding cell_embedding;

/* Wait, looking and then sleeping, until `there` says so. */
void cell_wait(bool (*there)(struct channel_slot *slot));
/* A word of the parent or of ours has changed. */
static inline void cell_publish(u32 *word, u32 value)
{
	channel_store(word, value);
	channel_ring(&cell_slot->parent);
}

/* What the host side says, as value and flags of the slot. */
void cell_answer(const struct host_result *result);
struct host_process *cell_process(u64 handle);

/* transfer.c, batch.c, disks.c */
void cell_read(void);
void cell_write(void);
void cell_list(void);
void cell_walk(void);
void cell_fetch(void);
void cell_drop(void);
void cell_attach(void);
void cell_detach(void);
void cell_resize(void);
void cell_undo_begin(void);
void cell_undo_end(void);
void cell_changes(void);
void cell_forget_disk(void);
void cell_snapshot(void);
void cell_restore(void);
void cell_snapshot_drop(void);
void cell_fault(void);
void cell_inject(void);
void cell_injected(void);
/* What was posted last is done; see `served_result`. */
bool cell_is_served(struct channel_slot *slot);
/* window.c: of the embedding */
int cell_show(void *context, u64 address, u64 offset, u64 bytes,
	      u32 protection);
int cell_hide(void *context, u64 address, u64 bytes);
/* The descriptor that came with this request, or -errno. */
int cell_receive(void);

/* During the start: the parent is told why, and there is no kernel. */
_Noreturn void cell_fail(int code, const char *text);

#endif /* LIBLINUX_CELL_H */
