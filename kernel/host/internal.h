/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the host side have to tell each other.
 *
 * Three kinds of locking, and no other:
 *
 *  - owning it (own.h). The thread that does is the runner: the only one that
 *    enters the kernel and that touches `cpu` (but for the next line), the
 *    memory unit, the disks' data and the statistics.
 *  - `lock`. Queue of waiting calls, cpu->submitted and cpu->attention, which
 *    task belongs to which thread. Held for some instructions only, never
 *    over a call, a callback or a wait. A fiber may take it.
 *  - `spawn_lock`, `fault_lock`: make users of one particular task queue.
 *    Held over calls; taken before `lock`.
 *
 * A struct host_kernel is never given back to the allocator: a signal handler
 * of another thread may be looking at it. It is used again.
 */
#ifndef LIBLINUX_INTERNAL_H
#define LIBLINUX_INTERNAL_H

#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include "host.h"
#include "limits.h"
#include "region.h"

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A task of the kernel that executes calls of the host. */
struct host_task {
	void *task; /* the kernel's pointer; NULL when it is gone */
	u32 pid;
	u32 interrupting; /* `interrupt` is on its way */
	u64 thread; /* id of the host thread it belongs to, 0: free */
	struct host_kernel *kernel;
	struct host_process *process; /* NULL: released */
	struct host_task *next; /* of the process */
	struct host_task *next_hash; /* of the bucket, while not gone */
	struct ll_call interrupt;
};

struct host_process {
	struct host_kernel *kernel;
	u64 id; /* never used twice; another one after a restore */
	u64 serial; /* never used twice */
	int pid;
	struct host_task *tasks; /* the main task first */
	struct host_task *spare; /* only makes other tasks */
	pthread_mutex_t spawn_lock;
	struct host_process *next;
};

/* A call and the thread behind it; lives on that thread's stack. */
enum host_wait_state {
	WAIT_QUEUED,
	WAIT_FINISHED,
	WAIT_RUNNER, /* this thread is the runner now */
	WAIT_DEAD,
	WAIT_IDLE, /* the runner, which sleeps, since the kernel is idle */
	WAIT_ROUSED, /* the same, and it shall look what there is to do */
};

struct host_wait {
	struct ll_call call;
	u32 state; /* enum host_wait_state, a futex */
	u32 flags; /* enum host_call_flags */
	u64 thread;
	struct host_task *task;
	u64 next_poll; /* ns, when to ask embedding.interrupted */
	bool interrupted, sent, deadlock, dead;
	/* Of the runner that sleeps, or did when another took over: wait.c. */
	bool dozing, taken;
	u64 dozing_until;
	/* Of a call that goes on after it was interrupted; see host_look(). */
	u64 patient_since, patient_requests;
	u64 sampled_since; /* of the virtual clock; see sample.c */
	struct host_wait *next, **link;
};

enum host_call_flags {
	HOST_CALL_UNINTERRUPTED = 1, /* never ask embedding.interrupted */
	HOST_CALL_FAULT = 2, /* embedding.release around every sleep */
	HOST_CALL_UNATTENDED = 4, /* no thread sleeps until it is finished */
};

/* A thread inside a callback of the embedding for that kernel. */
struct host_callback {
	struct host_kernel *kernel;
	struct host_callback *next;
};

/* All that is thread-local. Read in signal handlers: static TLS only. */
struct host_thread {
	struct host_kernel *inside; /* between enter() and its return */
	struct host_callback *callbacks;
	u64 id; /* never used twice; 0: host_thread_prepare() not called */
	u64 genuine_address, genuine_ip; /* do not handle this fault again */
	void *alternate_stack;
	struct {
		u64 process;
		struct host_task *task;
	} cache[TASK_CACHE_ENTRIES];
};

extern __thread struct host_thread host_self
	__attribute__((tls_model("initial-exec")));

struct host_log {
	pthread_mutex_t lock;
	char *text; /* a ring of LOG_BYTES */
	u64 head, tail; /* bytes ever written, ever taken or dropped */
};

struct host_capture {
	pthread_mutex_t lock;
	char *blocks;
	u64 bytes, room;
	u64 lost;
};

/* A large read that was started and is not over; see reader.c. */
struct host_read {
	struct ll_io *io;
	int fd;
	/* The next piece: where in the segments, and in the file. */
	u32 segment;
	u64 within, offset, left;
	u32 busy; /* pieces that are being read; a futex */
	bool waiting; /* for it to become 0 */
	u64 aside; /* bytes that the reader read */
	int error;
	struct host_read *next;
};

struct host_kernel {
	/* What a call that does not block touches. */
	u64 bias; /* id of the thread whose kernel it is, or NOBODY; own.h */
	u32 busy; /* that thread is inside */
	u32 owner; /* 0 free, 1 owned, 2 owned and calls are queued */
	u32 nr_reads; /* under way: never while nobody is inside; reader.c */
	bool aborting; /* see abort.c */
	bool hidden; /* its text */
	bool hit; /* the thread in it, which dies of that */
	struct host_wait *sleeper; /* the runner, while it sleeps; under `lock` */
	struct ll_cpu *cpu;
	struct host_group *group; /* shares its virtual clock; or NULL */
	struct host_sampler *sampler; /* or NULL; see sample.c */
	void (*enter)(struct ll_cpu *cpu);
	struct host_statistics statistics; /* `done` is not kept */

	/* Never changes while the kernel is there. */
	struct ll_image *image;
	struct ll_host_ops ops;
	struct host_embedding embedding;
	char *command_line;
	u64 base, bytes; /* the whole reservation */
	u64 text_start, text_end;
	u64 text_bytes; /* of the mapping, from `base` on */
	u64 memory, memory_bytes, arena;
	u64 vmalloc, vmalloc_bytes, user, user_bytes;

	/* The queue of waiting calls; see runner.c. */
	pthread_mutex_t lock;
	struct host_wait *waits, **last_wait;
	bool inherited; /* from the biased thread: see own.h */
	bool dead;
	bool seized; /* no call may be queued: see snapshot.c */
	bool stuck; /* it is dead because nothing can ever happen in it */
	char dead_text[256];
	u64 progress, looked_at, computed; /* by the last look: see wait.c */
	bool lockstep; /* the virtual clock waits for every thread */
	u32 virtual_rounds;
	u64 virtual_poll;

	/* The memory unit; see memory.c. */
	struct host_region region; /* all of the memory; see snapshot.c */
	bool enlarged; /* large pages all over; see memory.c */
	int memfd; /* -1 before the first alias */
	bool memfd_given; /* there can be no other */
	u64 *granules; /* a bit: lives in the memfd */
	u64 *copied; /* a bit: private, of a file of a fork */
	u64 *guards; /* a bit: is a guard page; see guard.c */
	u32 nr_guards;
	bool trimming; /* pages that become guards go back to the host */
	u64 emergency_stack; /* its end */

	/* Why it died, or who waited for nothing; under `lock`. */
	struct ll_report report;

	struct host_process *processes; /* init last */
	struct host_process *init;
	struct host_task *buckets[TASK_BUCKETS];
	struct host_task *garbage; /* to be freed on a normal stack */

	pthread_mutex_t fault_lock;
	struct host_task *fault_task;

	struct host_disk *disks[DISKS];
	struct host_read reads[READS];
	u64 read_bytes; /* started so far */
	u64 alone_until; /* ns: no reads are started before */
	struct host_injector *injector; /* the newest; see inject.c */
	u64 clock_ahead; /* ns that the kernel's real clock was made to jump */
	struct host_log log;
	struct host_capture capture;

	/* Between the two halves of a fork; see fork.c. */
	int fork_fd;
	bool fork_failed, fork_owned;

	struct host_kernel *next_free;
};

/* loader.c */
int host_load(struct host_kernel *kernel, const struct host_options *options,
	      struct host_error *error);
void host_unload(struct host_kernel *kernel);
int host_fail(struct host_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* memory.c */
int host_memory_init(struct host_kernel *kernel);
void host_memory_exit(struct host_kernel *kernel);
int host_memory_alias(void *host, u64 address, u64 offset, u64 bytes,
		      u32 protection);
int host_memory_unalias(void *host, u64 address, u64 bytes);
void host_memory_trim(struct host_kernel *kernel);
void host_memory_enlarge(struct host_kernel *kernel);
bool host_granule_is_shared(struct host_kernel *kernel, u64 granule);
/* Must a snapshot copy it, although it is not the process's own? */
bool host_granule_is_elsewhere(struct host_kernel *kernel, u64 granule);
void host_granule_set(u64 *bits, u64 granule);
void host_granules_own(struct host_kernel *kernel);
bool host_page_is_zero(const u64 *page);
/* All granules are private again, and all windows empty. 0 or -errno. */
int host_memory_forget_aliases(struct host_kernel *kernel);

/* guard.c */
int host_guard_init(struct host_kernel *kernel);
void host_guard_exit(struct host_kernel *kernel);
bool host_is_guard(struct host_kernel *kernel, u64 address);
void host_guard(void *host, u64 address, u32 on);
u64 host_guard_bytes(struct host_kernel *kernel);
void host_guard_restore(struct host_kernel *kernel, const u64 *guards,
			bool anew);
void host_guard_renew(struct host_kernel *kernel, u64 start, u64 bytes);

/* ops.c */
extern const struct ll_host_ops host_default_ops;
u64 host_monotonic(void *host);

/* log.c */
int host_log_init(struct host_log *log);
void host_log_exit(struct host_log *log);
void host_log_add(void *host, const char *text, u64 bytes);
/* The last of what was ever added, taken or not. */
size_t host_log_end(struct host_log *log, char *buffer, size_t bytes);

/* capture.c */
void host_capture_init(struct host_capture *capture);
void host_capture_exit(struct host_capture *capture);
void host_capture_frame(void *host, const struct ll_frame *frame);

/* runner.c */
void host_call(struct host_kernel *kernel, struct host_task *task, s64 nr,
	       const u64 args[6], u32 flags, struct host_result *result);
int host_boot(struct host_kernel *kernel, struct host_result *result);
void host_finished(void *host, struct ll_call *call);
void host_forget_calls(struct host_kernel *kernel, void *task);

/* runner.c: own, and let the next one in */
void host_give_up(struct host_kernel *kernel);
/* runner.c: of an owned one that is being aborted */
void host_end(struct host_kernel *kernel);

/* abort.c */
void host_abort_show(struct host_kernel *kernel, bool text);
void host_abort_end(struct host_kernel *kernel);

/* fork.c */
void host_fork_init(void);

/* process.c */
struct host_task *host_task_new(struct host_kernel *kernel);
u64 host_process_new_id(void);
int host_process_init(struct host_kernel *kernel);
void host_process_exit(struct host_kernel *kernel);
void host_task_gone(void *host, void *task, u32 pid);
int host_spawn_task(struct host_kernel *kernel, struct host_task *executor,
		    u32 flags, u32 call_flags, struct host_task **made,
		    struct host_result *result);
struct host_task *host_find_task(struct host_process *process,
				 struct host_result *result);
struct host_task *host_make_task(struct host_process *process,
				 struct host_result *result);
int host_make_spare(struct host_process *process, struct host_result *result);
void host_threads_forget(struct host_kernel *kernel, u64 thread);

/* renew.c */
void host_renew(struct host_process *process, s64 nr, const u64 args[6],
		struct host_result *result);

/* Calls after which tasks that were made before must not be copied. */
static inline bool host_renews(s64 nr)
{
	switch (nr) {
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setreuid:
	case SYS_setregid:
	case SYS_setresuid:
	case SYS_setresgid:
	case SYS_setfsuid:
	case SYS_setfsgid:
	case SYS_setgroups:
	case SYS_capset:
	case SYS_prctl:
	case SYS_keyctl:
	case SYS_seccomp:
	case SYS_landlock_restrict_self:
	case SYS_unshare:
	case SYS_setns:
		return true;
	}
	return false;
}

/* thread.c */
void host_thread_prepare(void);
/* The calling thread is a new one from here on; its tasks are forgotten. */
void host_thread_rename(void);
void host_callback_begin(struct host_kernel *kernel,
			 struct host_callback *callback);
void host_callback_end(struct host_callback *callback);
bool host_in_callback(struct host_kernel *kernel);

/* kernel.c */
void host_each_kernel(void (*function)(struct host_kernel *kernel, u64 value),
		      u64 value);
struct host_kernel *host_kernel_of_address(u64 address);
/* As host_each_kernel(), and no kernel comes or goes until the second. */
void host_registry_hold(void (*function)(struct host_kernel *kernel, u64));
void host_registry_release(void (*function)(struct host_kernel *kernel, u64));

/* disk.c */
int host_disk_io(void *host, struct ll_io *io);
int host_disk_start(void *host, struct ll_io *io);
int host_disk_serve(struct host_kernel *kernel, struct ll_io *io);
void host_disk_exit(struct host_kernel *kernel);

/* reader.c */
/* Reads of this kernel that are under way are over afterwards. The runner's. */
void host_reader_drain(struct host_kernel *kernel);
/* On a stack of the host, after a drain: is a thread worth having by now? */
void host_reader_engage(struct host_kernel *kernel);
void host_reader_before_fork(void);
void host_reader_in_parent(void);
void host_reader_in_child(void);

/* inject.c */
/* On the runner's stack: was that a write to be torn? Then it is done. */
bool host_inject_serve(struct host_kernel *kernel, struct ll_io *io,
		       int *result);
void host_inject_exit(struct host_kernel *kernel);

/* fault.c and trampoline.S */
int host_fault_init(void);
void host_on_stack(void (*function)(void *), void *argument, void *stack);

/* futex.c */
void host_futex_wake(u32 *word);
/* 0 or -errno; `until` in ns of the monotonic clock, or LL_FOREVER. */
int host_futex_wait(u32 *word, u32 value, u64 until);

#endif /* LIBLINUX_INTERNAL_H */
