// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large reads that are shared with a second thread, the reader.
 *
 * The kernel starts a read (ops->disk_start) and goes on, mostly with copying
 * what it has read before. Meanwhile the reader fetches the data, piece by piece.
 * When the kernel is left, for whatever reason, the runner takes the pieces that
 * are left itself and waits for the one that the reader is at: so nothing is
 * under way while nobody is inside, which is what snapshots, forks, closing and
 * everything else rely on that touches the memory of a kernel from outside. A
 * task that waits for a page makes the kernel idle, so its runner comes here too.
 *
 * Without the reader all pieces are the runner's, and nothing else is different.
 * It is made when a kernel has read enough to be worth it, serves all kernels of
 * the process, and ends when it has had nothing to do for a while. It touches
 * no kernel but for the memory that is read into, and calls nothing but preadv()
 * and futex(). A process that may use one processor only never has it.
 *
 * The results are the runner's to tell (`io->done`), in the order of the starts.
 * All that is shared is under `lock`, held for the time of a few instructions; a
 * fiber may take it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include "disk.h"

struct host_piece {
	struct host_read *read;
	u64 offset, bytes;
	u32 count;
	struct ll_iovec vectors[READ_PIECE_SEGMENTS];
};

enum host_reader_state {
	READER_NONE,
	READER_THERE,
	READER_REFUSED, /* by the system, or by the number of processors */
};

static struct {
	pthread_mutex_t lock;
	/* Reads of which there are pieces to take, the oldest first. */
	struct host_read *first, **last;
	u32 state; /* enum host_reader_state */
	u32 asleep; /* a futex: 1 while the reader wants to be woken */
	bool leaving; /* it shall end, for a fork */
} host_reader = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.last = &host_reader.first,
};

/* ---- pieces ---------------------------------------------------------- */

/* Under `lock`: the next piece of a read that has one. */
static void host_piece_cut(struct host_read *read, struct host_piece *piece)
{
	u64 room = READ_PIECE_BYTES, part;

	piece->read = read;
	piece->offset = read->offset;
	piece->count = 0;
	while (room && read->left && piece->count < READ_PIECE_SEGMENTS) {
		struct ll_iovec *segment = &read->io->segments[read->segment];

		part = segment->bytes - read->within;
		if (part > room)
			part = room;
		piece->vectors[piece->count].base =
			(char *)segment->base + read->within;
		piece->vectors[piece->count++].bytes = part;
		room -= part;
		read->left -= part;
		read->offset += part;
		read->within += part;
		if (read->within == segment->bytes) {
			read->segment++;
			read->within = 0;
		}
	}
	piece->bytes = read->offset - piece->offset;
	read->busy++;
}

static bool host_reads_of(struct host_kernel *kernel, struct host_read *read)
{
	return !kernel ||
	       (read >= kernel->reads && read < kernel->reads + READS);
}

/* A piece of the oldest read, of that kernel or of any (NULL). */
static bool host_piece_take(struct host_kernel *kernel, struct host_piece *piece)
{
	struct host_read **link = &host_reader.first, *read;

	pthread_mutex_lock(&host_reader.lock);
	while ((read = *link) && !host_reads_of(kernel, read))
		link = &read->next;
	if (read) {
		host_piece_cut(read, piece);
		if (!read->left) {
			*link = read->next;
			if (!read->next)
				host_reader.last = link;
		}
	}
	pthread_mutex_unlock(&host_reader.lock);
	return read;
}

static void host_piece_read(struct host_piece *piece, bool aside)
{
	struct host_read *read = piece->read;
	int error = host_fd_read(read->fd, piece->vectors, piece->count,
				 piece->offset);
	bool wake;

	pthread_mutex_lock(&host_reader.lock);
	if (error && !read->error)
		read->error = error;
	if (aside)
		read->aside += piece->bytes;
	wake = read->waiting;
	__atomic_store_n(&read->busy, read->busy - 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&host_reader.lock);
	/* It may be another read by now: only its address is used. */
	if (wake)
		host_futex_wake(&read->busy);
}

/* ---- the reader ------------------------------------------------------ */

/* False when it shall end. Nothing was there a moment ago. */
static bool host_reader_wait(void)
{
	u64 until;
	bool ends;
	int spin;

	for (spin = 0; spin < READER_SPINS; spin++) {
		if (__atomic_load_n(&host_reader.first, __ATOMIC_RELAXED))
			return true;
		__builtin_ia32_pause();
	}
	pthread_mutex_lock(&host_reader.lock);
	ends = host_reader.leaving;
	host_reader.asleep = !host_reader.first && !ends;
	pthread_mutex_unlock(&host_reader.lock);
	until = host_monotonic(NULL) + READER_LINGER_NS;
	while (!ends && __atomic_load_n(&host_reader.asleep, __ATOMIC_ACQUIRE))
		ends = host_futex_wait(&host_reader.asleep, 1, until) ==
		       -ETIMEDOUT;
	return !ends;
}

static void *host_reader_main(void *unused)
{
	struct host_piece piece;
	bool ends = false;

	(void)unused;
	while (!ends) {
		while (host_piece_take(NULL, &piece))
			host_piece_read(&piece, true);
		if (host_reader_wait())
			continue;
		pthread_mutex_lock(&host_reader.lock);
		ends = !host_reader.first || host_reader.leaving;
		host_reader.asleep = 0;
		if (ends)
			__atomic_store_n(&host_reader.state, READER_NONE,
					 __ATOMIC_RELEASE);
		pthread_mutex_unlock(&host_reader.lock);
	}
	return NULL;
}

static bool host_has_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) > 1;
}

/* Signals are for the threads of the embedding program, but for its own faults. */
static int host_reader_create(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (!host_has_processors())
		return -EAGAIN;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	if (pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, READER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, host_reader_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -error;
}

void host_reader_engage(struct host_kernel *kernel)
{
	bool wanted;

	if (kernel->read_bytes < READER_FROM_BYTES ||
	    __atomic_load_n(&host_reader.state, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&host_reader.lock);
	wanted = host_reader.state == READER_NONE && !host_reader.leaving;
	if (wanted)
		host_reader.state = READER_THERE;
	pthread_mutex_unlock(&host_reader.lock);
	if (wanted && host_reader_create())
		__atomic_store_n(&host_reader.state, READER_REFUSED,
				 __ATOMIC_RELEASE);
}

/* ---- the runner ------------------------------------------------------ */

bool host_reader_takes(struct host_disk *disk)
{
	struct host_kernel *kernel = disk->kernel;

	return kernel->nr_reads < READS &&
	       __atomic_load_n(&host_reader.state, __ATOMIC_RELAXED) !=
		       READER_REFUSED &&
	       (!kernel->alone_until ||
		host_monotonic(NULL) >= kernel->alone_until);
}

/* On a fiber. */
void host_reader_start(struct host_disk *disk, struct ll_io *io)
{
	struct host_kernel *kernel = disk->kernel;
	struct host_read *read = &kernel->reads[kernel->nr_reads++];
	bool wake;

	*read = (struct host_read){
		.io = io,
		.fd = disk->fd,
		.offset = io->offset,
		.left = io->bytes,
	};
	kernel->read_bytes += io->bytes;
	pthread_mutex_lock(&host_reader.lock);
	*host_reader.last = read;
	host_reader.last = &read->next;
	wake = host_reader.asleep;
	__atomic_store_n(&host_reader.asleep, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&host_reader.lock);
	if (wake)
		host_futex_wake(&host_reader.asleep);
}

/* All pieces are taken: until the reader has finished its one. */
static void host_read_wait(struct host_read *read)
{
	u32 busy;
	int spin;

	for (spin = 0; spin < READER_SPINS; spin++) {
		if (!__atomic_load_n(&read->busy, __ATOMIC_ACQUIRE))
			return;
		__builtin_ia32_pause();
	}
	pthread_mutex_lock(&host_reader.lock);
	read->waiting = true;
	pthread_mutex_unlock(&host_reader.lock);
	while ((busy = __atomic_load_n(&read->busy, __ATOMIC_ACQUIRE)))
		host_futex_wait(&read->busy, busy, LL_FOREVER);
}

/*
 * Others want the processors when the reader, at the same work, takes so much
 * longer than the runner. Then two threads that wait for each other are slower
 * than one: for a while the runner reads alone, so that the time lost by finding
 * this out again stays small.
 */
static void host_reader_judge(struct host_kernel *kernel, u64 longest,
			      u64 waited)
{
	if (waited > READER_LATE_NS + READER_LATE_PIECES * longest)
		kernel->alone_until = host_monotonic(NULL) +
				      READER_ALONE_TIMES * waited;
}

void host_reader_drain(struct host_kernel *kernel)
{
	u64 now, then = host_monotonic(NULL), longest = 0;
	struct host_piece piece;
	u32 at;

	for (; host_piece_take(kernel, &piece); then = now) {
		host_piece_read(&piece, false);
		now = host_monotonic(NULL);
		if (now - then > longest)
			longest = now - then;
	}
	for (at = 0; at < kernel->nr_reads; at++)
		host_read_wait(&kernel->reads[at]);
	host_reader_judge(kernel, longest, host_monotonic(NULL) - then);
	for (at = 0; at < kernel->nr_reads; at++) {
		struct host_read *read = &kernel->reads[at];

		kernel->statistics.reader_bytes += read->aside;
		read->io->result = read->error;
		read->io->done = 1;
	}
	kernel->nr_reads = 0;
	__atomic_store_n(&kernel->cpu->attention, 1, __ATOMIC_SEQ_CST);
}

/* ---- fork ------------------------------------------------------------ */

/*
 * A reader that has nothing to do ends, so that a program with one thread forks
 * with one. One that reads is not waited for: whoever serves its disk may need
 * what the thread that forks is holding. It stays in the parent, and what it
 * reads belongs to a kernel that is dead in the child, for somebody is inside.
 */
void host_reader_before_fork(void)
{
	int round;

	pthread_mutex_lock(&host_reader.lock);
	for (round = 0; round < READER_FORK_ROUNDS; round++) {
		if (host_reader.state != READER_THERE)
			return;
		host_reader.leaving = true;
		host_reader.asleep = 0;
		pthread_mutex_unlock(&host_reader.lock);
		host_futex_wake(&host_reader.asleep);
		sched_yield();
		pthread_mutex_lock(&host_reader.lock);
	}
}

void host_reader_in_parent(void)
{
	host_reader.leaving = false;
	pthread_mutex_unlock(&host_reader.lock);
}

void host_reader_in_child(void)
{
	host_reader.leaving = false;
	host_reader.asleep = 0;
	host_reader.state = READER_NONE;
	host_reader.first = NULL;
	host_reader.last = &host_reader.first;
	pthread_mutex_init(&host_reader.lock, NULL);
}
