// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an isolated kernel's process may still do: work on memory and on the
 * descriptors that it was given. Everything else ends it.
 *
 *  - seccomp: the list below, found by tracing what the host side calls. A call
 *    that is not on it kills the process (SIGSYS); a few that the C library
 *    only tries are answered ENOSYS.
 *  - Landlock, where the host has it: no file system, no TCP, no signals to
 *    and no abstract sockets of others. (seccomp forbids the calls already: a
 *    second wall.)
 *  - no_new_privs, not dumpable (nobody but root may trace it), resource limits.
 *
 * Filters are written by hand: a dozen instructions need no library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "channel.h"
#include "lockdown.h"

/* ---- seccomp --------------------------------------------------------- */

#define FIELD(name) ((u32)offsetof(struct seccomp_data, name))
#define LOAD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(name))
#define LOAD_ARGUMENT(n) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(args) + 8 * (n))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define UNLESS(value, skip) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, skip)
#define UNLESS_ALL(bits, skip) \
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits)), UNLESS((bits), (skip))

#define ALLOW(nr) UNLESS(nr, 1), RETURN(SECCOMP_RET_ALLOW)
#define FAIL(nr, error) UNLESS(nr, 1), RETURN(SECCOMP_RET_ERRNO | (error))
/* The first argument must be `value`. */
#define ALLOW_WITH(nr, value)                                \
	UNLESS(nr, 4), LOAD_ARGUMENT(0), UNLESS((value), 1), \
		RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_KILL_PROCESS)

#define X32_BIT 0x40000000U
#define THREAD_FLAGS 0x00010f00U /* CLONE_VM, FS, FILES, SIGHAND, THREAD */

static int cell_filter(const struct sock_filter *filter, size_t count)
{
	struct sock_fprog program = {
		.len = (unsigned short)count,
		.filter = (struct sock_filter *)filter,
	};

	/* All threads, should there be any. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_TSYNC, &program) ?
		       -EPERM :
		       0;
}

static int cell_allow_list(void)
{
	const u32 self = (u32)getpid();
	const struct sock_filter filter[] = {
		/* Not of this machine: 32-bit calls, and x32. */
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		/* Waiting, time, randomness: first, because most frequent. */
		ALLOW(SYS_futex),
		ALLOW(SYS_clock_gettime),
		ALLOW(SYS_clock_nanosleep),
		ALLOW(SYS_getcpu),
		ALLOW(SYS_getrandom),
		ALLOW(SYS_restart_syscall),
		ALLOW(SYS_sched_yield),
		ALLOW(SYS_sched_getaffinity),
		/* Files, by descriptors that were given. */
		ALLOW(SYS_preadv),
		ALLOW(SYS_pwritev),
		ALLOW(SYS_pwritev2),
		ALLOW(SYS_pread64),
		ALLOW(SYS_pwrite64),
		ALLOW(SYS_fdatasync),
		ALLOW(SYS_fallocate),
		ALLOW(SYS_lseek),
		ALLOW(SYS_sendfile),
		ALLOW(SYS_close),
		/* Memory. */
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_mremap),
		ALLOW(SYS_mprotect),
		ALLOW(SYS_madvise),
		ALLOW(SYS_brk),
		/* These only until cell_lock_code(), for the image. */
		ALLOW(SYS_newfstatat),
		ALLOW(SYS_fstat),
		ALLOW(SYS_fcntl),
		ALLOW(SYS_seccomp),
		/* Faults and interrupts of this process's own. */
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_rt_sigaction),
		ALLOW(SYS_rt_sigprocmask),
		ALLOW(SYS_sigaltstack),
		ALLOW(SYS_getpid),
		ALLOW(SYS_gettid),
		ALLOW(SYS_membarrier),
		/* Threads, not processes; abort(). */
		UNLESS(SYS_clone, 5),
		LOAD_ARGUMENT(0),
		UNLESS_ALL(THREAD_FLAGS, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		ALLOW(SYS_set_robust_list),
		ALLOW(SYS_rseq),
		ALLOW_WITH(SYS_tgkill, self),
		ALLOW(SYS_exit),
		ALLOW(SYS_exit_group),
		/* The two sockets to the parent. */
		ALLOW_WITH(SYS_recvmsg, CHANNEL_FD_PASSING),
		ALLOW_WITH(SYS_recvfrom, CHANNEL_FD_CONTROL),
		ALLOW(SYS_poll),
		/* What the C library tries, and can do without. */
		FAIL(SYS_clone3, ENOSYS),
		FAIL(SYS_prctl, EINVAL),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};

	return cell_filter(filter, sizeof(filter) / sizeof(*filter));
}

int cell_lock_code(void)
{
	const struct sock_filter filter[] = {
		LOAD(nr),
		/* The kernel may be asked for such pages: that is no crime. */
		UNLESS(SYS_mmap, 5),
		LOAD_ARGUMENT(2),
		UNLESS_ALL(PROT_EXEC, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
		UNLESS(SYS_mprotect, 5),
		LOAD_ARGUMENT(2),
		UNLESS_ALL(PROT_EXEC, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		RETURN(SECCOMP_RET_ALLOW),
		/* It tells of any path, also to who may open none. */
		UNLESS(SYS_newfstatat, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		UNLESS(SYS_fcntl, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		UNLESS(SYS_seccomp, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		RETURN(SECCOMP_RET_ALLOW),
	};

	return cell_filter(filter, sizeof(filter) / sizeof(*filter));
}

/* ---- Landlock -------------------------------------------------------- */

/* Declared here: the C library's headers may be older than the host. */
struct cell_ruleset {
	u64 handled_access_fs, handled_access_net, scoped;
};

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define LANDLOCK_VERSION 1 /* flag: tell the version of the interface */

/* All rights that version `abi` of the interface knows; none is granted. */
static struct cell_ruleset cell_all_rights(long abi)
{
	static const int file_rights[] = { 13, 14, 15, 15, 16 };
	struct cell_ruleset rules = { 0 };

	rules.handled_access_fs =
		(1ULL << file_rights[abi > 5 ? 4 : abi - 1]) - 1;
	if (abi >= 4)
		rules.handled_access_net = 3; /* bind and connect of TCP */
	if (abi >= 6)
		rules.scoped = 3; /* abstract sockets, signals */
	return rules;
}

static int cell_landlock(void)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	struct cell_ruleset rules;
	size_t bytes = sizeof(rules);
	long fd;

	if (abi < 1)
		return 0; /* this host has it not, or has it switched off */
	rules = cell_all_rights(abi);
	if (abi < 6)
		bytes = abi < 4 ? 8 : 16;
	fd = syscall(SYS_landlock_create_ruleset, &rules, bytes, 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		return -errno;
	close((int)fd);
	return 0;
}

/* ---- all of it ------------------------------------------------------- */

static int cell_limit_one(__rlimit_resource_t which, u64 soft, u64 hard)
{
	struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };
	struct rlimit now;

	if (getrlimit(which, &now))
		return -errno;
	if (limit.rlim_max > now.rlim_max)
		limit.rlim_max = now.rlim_max;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	return setrlimit(which, &limit) ? -errno : 0;
}

int cell_limit(const struct cell_limits *limits)
{
	u64 cpu = limits->cpu_seconds ? limits->cpu_seconds : RLIM_INFINITY;
	int result;

	/* The parent raises these two, softly, with every disk that needs it. */
	result = cell_limit_one(RLIMIT_DATA, limits->data_bytes, RLIM_INFINITY);
	if (!result)
		result = cell_limit_one(RLIMIT_FSIZE, limits->file_bytes,
					RLIM_INFINITY);
	if (!result)
		result = cell_limit_one(RLIMIT_CPU, cpu,
					limits->cpu_seconds ? cpu + 1 : cpu);
	if (!result)
		result = cell_limit_one(RLIMIT_NOFILE, limits->descriptors,
					limits->descriptors);
	if (!result)
		result = cell_limit_one(RLIMIT_CORE, 0, 0);
	if (!result)
		result = cell_limit_one(RLIMIT_MEMLOCK, 0, 0);
	return result;
}

int cell_lock_down(void)
{
	int result;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	result = cell_landlock();
	return result ? result : cell_allow_list();
}
