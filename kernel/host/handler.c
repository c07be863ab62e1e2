// SPDX-License-Identifier: GPL-2.0-only
/*
 * Getting hold of the signals of faults, and passing on what is not ours just as
 * if we were not there.
 *
 * Another library may install its handler after ours. host_fault_reclaim()
 * puts ours back in front. That handler then believes that ours is the one
 * before it, and may restore it and fault again: a fault that has been passed
 * on and comes back ends with the default action.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fault.h"

/* x87, SSE, AVX, AVX-512. Never the rest: protection keys, tiles. */
#define VECTOR_STATES 0xe7
#define FXSAVE_BYTES 512
#define XSAVE_HEADER_BYTES 64
#define CPUID_OSXSAVE (1 << 27)

u32 host_vector_mask;
u32 host_vector_bytes = FXSAVE_BYTES + XSAVE_HEADER_BYTES;

static const int host_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };

#define SIGNALS (sizeof(host_signals) / sizeof(*host_signals))

static struct host_previous {
	struct sigaction action;
	bool reclaimed;
	u64 address, ip; /* passed on most recently */
	u32 depth; /* of being passed on */
} host_previous[SIGNALS];

static pthread_mutex_t host_handler_lock = PTHREAD_MUTEX_INITIALIZER;
static bool host_installed;

static void host_measure_vectors(void)
{
	u32 a, b, c, d, state, end;

	__cpuid(1, a, b, c, d);
	if (!(c & CPUID_OSXSAVE))
		return;
	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	host_vector_mask = a & VECTOR_STATES;
	for (state = 2; state < 8; state++) {
		if (!(host_vector_mask >> state & 1))
			continue;
		__cpuid_count(0xd, state, a, b, c, d);
		end = (a + b + 63) & ~63U;
		if (end > host_vector_bytes)
			host_vector_bytes = end;
	}
}

static int host_install(int signal, struct sigaction *previous)
{
	struct sigaction action = {
		.sa_sigaction = host_fault_handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	sigemptyset(&action.sa_mask);
	return sigaction(signal, &action, previous) ? -errno : 0;
}

/* With the first kernel. */
int host_fault_init(void)
{
	int result = 0;
	u32 i;

	pthread_mutex_lock(&host_handler_lock);
	if (!host_installed) {
		host_measure_vectors();
		for (i = 0; i < SIGNALS && !result; i++)
			result = host_install(host_signals[i],
					      &host_previous[i].action);
		host_installed = !result;
	}
	pthread_mutex_unlock(&host_handler_lock);
	return result;
}

bool host_fault_reclaim(void)
{
	struct sigaction action;
	bool reclaimed = false;
	u32 i;

	pthread_mutex_lock(&host_handler_lock);
	for (i = 0; i < SIGNALS && host_installed; i++) {
		sigaction(host_signals[i], NULL, &action);
		if ((action.sa_flags & SA_SIGINFO) &&
		    action.sa_sigaction == host_fault_handler)
			continue;
		host_previous[i].action = action;
		host_previous[i].reclaimed = true;
		host_previous[i].depth = 0;
		host_install(host_signals[i], NULL);
		reclaimed = true;
	}
	pthread_mutex_unlock(&host_handler_lock);
	return reclaimed;
}

/* The default action: for a fault of the processor by faulting again. */
static void host_fault_default(int signal, siginfo_t *info)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(signal, &action, NULL);
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal,
			info);
}

/* Passed on, and here again without anything having changed? */
static bool host_came_back(struct host_previous *previous, siginfo_t *info,
			   ucontext_t *context)
{
	u64 ip = context->uc_mcontext.gregs[REG_RIP];
	u64 address = (u64)info->si_addr;
	bool again = previous->depth ||
		     (previous->ip == ip && previous->address == address);

	previous->ip = ip;
	previous->address = address;
	return previous->reclaimed && again;
}

/* What the kernel would do: block signals, forget the handler, call it. */
static void host_call_handler(struct sigaction *action, int signal,
			      siginfo_t *info, void *context)
{
	struct sigaction handler = *action;
	sigset_t blocked = handler.sa_mask, before;

	if (!(handler.sa_flags & SA_NODEFER))
		sigaddset(&blocked, signal);
	if (handler.sa_flags & SA_RESETHAND)
		action->sa_handler = SIG_DFL;
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	if (handler.sa_flags & SA_SIGINFO)
		handler.sa_sigaction(signal, info, context);
	else
		handler.sa_handler(signal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct host_previous *host_previous_of(int signal)
{
	u32 i = 0;

	while (host_signals[i] != signal)
		i++;
	return &host_previous[i];
}

void host_fault_chain(int signal, siginfo_t *info, void *context)
{
	struct host_previous *previous = host_previous_of(signal);
	struct sigaction *action = &previous->action;
	bool ignored = !(action->sa_flags & SA_SIGINFO) &&
		       action->sa_handler == SIG_IGN;
	bool fatal = !(action->sa_flags & SA_SIGINFO) &&
		     action->sa_handler == SIG_DFL;
	int error = errno;

	/* A fault of the processor cannot be ignored. */
	if (ignored && info->si_code <= 0)
		return;
	if (ignored || fatal || host_came_back(previous, info, context)) {
		host_fault_default(signal, info);
	} else {
		previous->depth++;
		host_call_handler(action, signal, info, context);
		previous->depth--;
	}
	errno = error;
}
