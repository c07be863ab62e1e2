// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host side keeps for each host thread: an id, a cache of its tasks,
 * which kernel it is inside of, and an alternate signal stack, on which faults
 * of kernel code are taken. When the thread ends, its tasks go back to the
 * pools of their processes.
 *
 * The thread-local structure is in static TLS, because the signal handler
 * reads it: it must stay small. Code that runs on a fiber must not use it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include "internal.h"

__thread struct host_thread host_self;

static pthread_key_t host_thread_key;
static pthread_once_t host_thread_once = PTHREAD_ONCE_INIT;
static u64 host_thread_ids;

static void host_thread_end(void *argument)
{
	struct host_thread *self = argument;
	stack_t none = { .ss_flags = SS_DISABLE };

	host_each_kernel(host_threads_forget, self->id);
	memset(self->cache, 0, sizeof(self->cache));
	/* Should the thread make another call it is a new one. */
	self->id = 0;
	if (self->alternate_stack) {
		sigaltstack(&none, NULL);
		munmap(self->alternate_stack, ALTERNATE_STACK_BYTES);
		self->alternate_stack = NULL;
	}
}

static void host_thread_key_make(void)
{
	pthread_key_create(&host_thread_key, host_thread_end);
}

static void host_thread_stack(void)
{
	stack_t stack;

	if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_DISABLE))
		return;
	stack.ss_sp = mmap(NULL, ALTERNATE_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return;
	stack.ss_size = ALTERNATE_STACK_BYTES;
	stack.ss_flags = 0;
	if (sigaltstack(&stack, NULL))
		munmap(stack.ss_sp, ALTERNATE_STACK_BYTES);
	else
		host_self.alternate_stack = stack.ss_sp;
}

/* Once for every thread, before it makes its first call. */
void host_thread_prepare(void)
{
	if (host_self.id)
		return;
	pthread_once(&host_thread_once, host_thread_key_make);
	host_self.id =
		__atomic_add_fetch(&host_thread_ids, 1, __ATOMIC_RELAXED);
	pthread_setspecific(host_thread_key, &host_self);
	host_thread_stack();
}

u64 host_thread_become(u64 id)
{
	u64 before;

	host_thread_prepare();
	before = host_self.id;
	host_self.id = id ? id :
			    __atomic_add_fetch(&host_thread_ids, 1,
					       __ATOMIC_RELAXED);
	memset(host_self.cache, 0, sizeof(host_self.cache));
	return before;
}

void host_thread_leave_tasks(void)
{
	host_each_kernel(host_threads_forget, host_self.id);
	memset(host_self.cache, 0, sizeof(host_self.cache));
}

void host_thread_rename(void)
{
	if (host_self.id)
		host_self.id = __atomic_add_fetch(&host_thread_ids, 1,
						  __ATOMIC_RELAXED);
}

void host_callback_begin(struct host_kernel *kernel,
			 struct host_callback *callback)
{
	callback->kernel = kernel;
	callback->next = host_self.callbacks;
	host_self.callbacks = callback;
}

void host_callback_end(struct host_callback *callback)
{
	host_self.callbacks = callback->next;
}

bool host_in_callback(struct host_kernel *kernel)
{
	struct host_callback *callback;

	for (callback = host_self.callbacks; callback;
	     callback = callback->next)
		if (callback->kernel == kernel)
			return true;
	return false;
}
