/* SPDX-License-Identifier: GPL-2.0-only */
/* All limits of the host side, with their units. */
#ifndef LIBLINUX_LIMITS_H
#define LIBLINUX_LIMITS_H

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* ---- memory ---------------------------------------------------------- */

#define PAGE_BYTES 4096ULL
/* What moves into the memfd at once when a page of it is aliased. */
#define GRANULE_BYTES (64 * KIB)
/* Windows begin where a page table of the kernel does. */
#define WINDOW_ALIGN_BYTES (2 * MIB)
#define GUARD_BYTES (2 * MIB)
#define USER_WINDOW_BYTES (64 * GIB)
#define VMALLOC_WINDOW_MIN_BYTES (1 * GIB)
#define VMALLOC_WINDOW_PER_MEMORY 4
/* How much of the arena is asked for in large pages. */
#define LARGE_PAGES_BYTES (8 * MIB)
/* And behind it, when there is a disk. */
#define LARGE_PAGES_DISK_BYTES (64 * MIB)
/* The shortest run of empty pages that is given back after boot. */
#define TRIM_BYTES (16 * KIB)
#define MEMORY_MIN_BYTES (8 * MIB)
#define MEMORY_MAX_BYTES (1024 * GIB)

/*
 * Guards of kernel stacks in one process. Each takes two of the mappings that
 * the host allows a process (65,530 unless vm.max_map_count says otherwise).
 */
#define GUARDS 8192

/* ---- loading --------------------------------------------------------- */

#define IMAGE_SEGMENTS 16
#define IMAGE_DYNAMIC_ENTRIES 64
/* Text, and data with bss: more than any kernel has. */
#define IMAGE_MAX_BYTES (1 * GIB)
/* Of an image that is not in the host's memory yet. */
#define READ_AT_ONCE_BYTES (1 * MIB)
/* Kernels in one process. */
#define KERNELS 4096

/* ---- waiting --------------------------------------------------------- */

/* How often a thread that waits asks whether it was interrupted. */
#define POLL_NS 50000000ULL
/* Lockstep: looks at the others, how many of them without a pause between. */
#define SETTLE_ROUNDS 600
#define SETTLE_YIELDS 200
#define SETTLE_PAUSE_NS 20000
/* So much of it, at most, passes between two looks at a kernel that computes. */
#define LOOKS_APART_NS 500000000ULL
/* Processor time without progress after which a kernel is taken for stuck. */
#define STUCK_NS (5 * 1000000000ULL)
/* And without disk I/O after its caller has been interrupted. */
#define STUCK_INTERRUPTED_NS (2 * 1000000000ULL)
/* The virtual clock: rounds between two looks at the real one. */
#define VIRTUAL_POLL_ROUNDS 4096
/* Looks at an owned kernel before a call is queued: some microseconds. */
#define OWNER_SPINS 40
/* Calls of others that a runner executes although its own is over. */
#define FAVOURS 8

/* ---- threads and tasks ----------------------------------------------- */

/* Processes whose task a thread finds without a search; a power of two. */
#define TASK_CACHE_ENTRIES 4
#define TASK_BUCKETS 16
#define ALTERNATE_STACK_BYTES (64 * KIB)

/* ---- devices --------------------------------------------------------- */

#define DISKS 702 /* lda to ldzz */
#define DISK_SEGMENTS 64
#define DISK_ZERO_BYTES (64 * KIB)
#define OVERLAY_BLOCK_BYTES 4096ULL
/* What a mount may change on a disk, and have taken back when it fails. */
#define UNDO_MOST_BYTES (1 * GIB)
#define LOG_BYTES (256 * KIB)
/* Large reads of one kernel that are under way at once. */
#define READS 16
/* What one thread takes of such a read at a time. */
#define READ_PIECE_BYTES (128 * KIB)
#define READ_PIECE_SEGMENTS 64
/* What a kernel reads so before a second thread is worth its making. */
#define READER_FROM_BYTES (2 * MIB)
#define READER_STACK_BYTES (256 * KIB)
/* Looks for more work, or for the end of a piece, before sleeping. */
#define READER_SPINS 500
/* How long it stays when there is nothing to do. */
#define READER_LINGER_NS 50000000ULL
/*
 * The reader is late when the runner waits for so long, and as many times its
 * own longest piece. The runner reads alone then, for so many times the wait.
 */
#define READER_LATE_NS 1000000ULL
#define READER_LATE_PIECES 4
#define READER_ALONE_TIMES 20
/* Looks, with a yield between, whether it has ended before a fork. */
#define READER_FORK_ROUNDS 100

/* ---- groups --------------------------------------------------------- */

/* Kernels with one virtual clock. */
#define GROUP_KERNELS 64

/* ---- samples --------------------------------------------------------- */

/* What one receive of an answer may bring: Linux makes messages of 32 KiB at most. */
#define SAMPLE_ANSWER_BYTES (32 * KIB)
#define SAMPLE_FIRST_BYTES (256 * KIB)
/* Virtual time after which a call that waits is not sampled any more. */
#define SAMPLE_PATIENCE_NS (4 * 3600 * 1000000000ULL)

/* ---- batches --------------------------------------------------------- */

/* What is taken of a directory at once. */
#define DENTS_BYTES (64 * KIB)
/* From here on an array of an answer has room for much more. */
#define ARRAY_LARGE_BYTES (256 * KIB)
#define ARRAY_ROOM_BYTES (32 * MIB)

#endif /* LIBLINUX_LIMITS_H */
