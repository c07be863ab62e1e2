// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel from its opening to its closing, and the registry of all of them.
 *
 * The registry is a table that signal handlers read without a lock: a slot
 * gives an address range and, when it is in use, the kernel. Structures of
 * closed kernels are kept for the next one, never freed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "group.h"
#include "sample.h"
#include "own.h"

struct host_slot {
	struct host_kernel *kernel;
	u64 start, end;
};

static struct host_slot host_slots[KERNELS];
static u32 host_slots_used; /* slots from here on have never been used */
static pthread_mutex_t host_registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_kernel *host_free_kernels;

/* ---- the registry ---------------------------------------------------- */

static int host_register(struct host_kernel *kernel)
{
	struct host_slot *slot = host_slots;
	int result = -ENOSPC;

	pthread_mutex_lock(&host_registry_lock);
	while (slot < host_slots + KERNELS && slot->kernel)
		slot++;
	if (slot < host_slots + KERNELS) {
		slot->start = kernel->base;
		slot->end = kernel->base + kernel->bytes;
		__atomic_store_n(&slot->kernel, kernel, __ATOMIC_RELEASE);
		if (slot - host_slots >= host_slots_used)
			__atomic_store_n(&host_slots_used,
					 slot - host_slots + 1,
					 __ATOMIC_RELEASE);
		result = 0;
	}
	pthread_mutex_unlock(&host_registry_lock);
	return result;
}

static void host_unregister(struct host_kernel *kernel)
{
	struct host_slot *slot;

	pthread_mutex_lock(&host_registry_lock);
	for (slot = host_slots; slot < host_slots + host_slots_used; slot++)
		if (slot->kernel == kernel)
			__atomic_store_n(&slot->kernel, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&host_registry_lock);
}

/* For signal handlers: whose reservation is that? */
struct host_kernel *host_kernel_of_address(u64 address)
{
	u32 used = __atomic_load_n(&host_slots_used, __ATOMIC_ACQUIRE);
	struct host_kernel *kernel;
	struct host_slot *slot;

	for (slot = host_slots; slot < host_slots + used; slot++) {
		kernel = __atomic_load_n(&slot->kernel, __ATOMIC_ACQUIRE);
		if (kernel && address >= slot->start && address < slot->end)
			return kernel;
	}
	return NULL;
}

void host_each_kernel(void (*function)(struct host_kernel *kernel, u64 value),
		      u64 value)
{
	struct host_slot *slot;

	pthread_mutex_lock(&host_registry_lock);
	for (slot = host_slots; slot < host_slots + host_slots_used; slot++)
		if (slot->kernel)
			function(slot->kernel, value);
	pthread_mutex_unlock(&host_registry_lock);
}

void host_registry_hold(void (*function)(struct host_kernel *kernel, u64))
{
	struct host_slot *slot;

	pthread_mutex_lock(&host_registry_lock);
	for (slot = host_slots; slot < host_slots + host_slots_used; slot++)
		if (slot->kernel)
			function(slot->kernel, 0);
}

void host_registry_release(void (*function)(struct host_kernel *kernel, u64))
{
	struct host_slot *slot;

	for (slot = host_slots; slot < host_slots + host_slots_used; slot++)
		if (slot->kernel)
			function(slot->kernel, 0);
	pthread_mutex_unlock(&host_registry_lock);
}

/* ---- life ------------------------------------------------------------ */

static struct host_kernel *host_kernel_new(void)
{
	struct host_kernel *kernel;

	pthread_mutex_lock(&host_registry_lock);
	kernel = host_free_kernels;
	if (kernel)
		host_free_kernels = kernel->next_free;
	pthread_mutex_unlock(&host_registry_lock);
	if (!kernel)
		kernel = aligned_alloc(64, (sizeof(*kernel) + 63) & ~63UL);
	if (!kernel)
		return NULL;
	memset(kernel, 0, sizeof(*kernel));
	kernel->memfd = -1;
	kernel->bias = NOBODY;
	kernel->last_wait = &kernel->waits;
	pthread_mutex_init(&kernel->lock, NULL);
	pthread_mutex_init(&kernel->fault_lock, NULL);
	return kernel;
}

static void host_kernel_free(struct host_kernel *kernel)
{
	host_unregister(kernel);
	host_sampler_exit(kernel);
	host_process_exit(kernel);
	host_disk_exit(kernel);
	host_inject_exit(kernel);
	host_unload(kernel);
	host_memory_exit(kernel);
	host_log_exit(&kernel->log);
	host_capture_exit(&kernel->capture);
	free(kernel->command_line);
	kernel->command_line = NULL;
	pthread_mutex_lock(&host_registry_lock);
	kernel->next_free = host_free_kernels;
	host_free_kernels = kernel;
	pthread_mutex_unlock(&host_registry_lock);
}

/* The machine that the kernel will find. */
static void host_describe(struct host_kernel *kernel,
			  const struct host_options *options)
{
	struct ll_cpu *cpu = kernel->cpu;

	kernel->ops = host_default_ops;
	cpu->ops = &kernel->ops;
	cpu->host = kernel;
	cpu->memory = kernel->memory;
	cpu->memory_bytes = kernel->memory_bytes;
	cpu->arena = kernel->arena;
	cpu->vmalloc = kernel->vmalloc;
	cpu->vmalloc_bytes = kernel->vmalloc_bytes;
	cpu->user = kernel->user;
	cpu->user_bytes = kernel->user_bytes;
	cpu->command_line = kernel->command_line;
	cpu->clock = options->virtual_clock ? LL_CLOCK_VIRTUAL : LL_CLOCK_REAL;
	cpu->boundary_version = LL_BOUNDARY_VERSION;
	cpu->boot_realtime = options->boot_realtime;
	memcpy(cpu->seed, options->seed, sizeof(cpu->seed));
}

static int host_kernel_boot(struct host_kernel *kernel,
			    struct host_error *error)
{
	static const u64 none[6];
	struct host_result result;
	int code = host_boot(kernel, &result);

	if (result.dead) {
		if (error && error->report) {
			host_kernel_report(kernel, error->report);
			error->dead = true;
		}
		return host_fail(error, code, "the kernel died at boot: %s",
				 kernel->dead_text);
	}
	if (code)
		return host_fail(error, code, "the kernel did not boot: %s",
				 strerror(-code));
	host_memory_trim(kernel);
	code = host_process_init(kernel);
	if (!code) {
		/* Stacks of the boot's tasks, which live long. */
		kernel->trimming = true;
		host_process_call(kernel->init, LL_CALL_GUARD, none, &result);
		kernel->trimming = false;
		code = result.value;
	}
	if (code)
		return host_fail(error, code,
				 "init's tasks could not be made: %s",
				 strerror(-code));
	return 0;
}

int host_kernel_open(const struct host_options *options,
		     struct host_kernel **opened, struct host_error *error)
{
	struct host_kernel *kernel = host_kernel_new();
	int code;

	if (!kernel)
		return host_fail(error, -ENOMEM, "out of memory");
	host_thread_prepare();
	host_fork_init();
	kernel->embedding = options->embedding;
	kernel->command_line =
		strdup(options->command_line ? options->command_line : "");
	code = host_load(kernel, options, error);
	if (code)
		goto failed;
	host_capture_init(&kernel->capture);
	code = host_memory_init(kernel);
	if (!code && options->memory_file.fd) {
		kernel->memfd = options->memory_file.fd;
		kernel->memfd_given = true;
		if (options->memory_file.bytes < kernel->memory_bytes)
			code = -EFBIG;
	}
	if (!code)
		code = host_log_init(&kernel->log);
	if (!code && !kernel->command_line)
		code = -ENOMEM;
	if (!code)
		code = host_fault_init();
	/* Nobody else's before it has booted: see fork.c. */
	kernel->owner = 1;
	if (!code)
		code = host_register(kernel);
	if (code) {
		host_fail(error, code, "cannot set up the kernel: %s",
			  strerror(-code));
		goto failed;
	}
	host_describe(kernel, options);
	code = host_kernel_boot(kernel, error);
	if (code)
		goto failed;
	*opened = kernel;
	return 0;
failed:
	host_kernel_free(kernel);
	return code;
}

int host_kernel_close(struct host_kernel *kernel)
{
	bool closed;

	if (!host_in_callback(kernel))
		host_own_revoke(kernel);
	pthread_mutex_lock(&kernel->lock);
	closed = !kernel->waits && (kernel->dead || host_own_shared(kernel));
	pthread_mutex_unlock(&kernel->lock);
	if (!closed)
		return -EBUSY;
	if (kernel->group)
		host_group_leave(kernel);
	host_kernel_free(kernel);
	return 0;
}

/* ---- questions ------------------------------------------------------- */

const char *host_kernel_release(struct host_kernel *kernel)
{
	return kernel->image->release;
}

const char *host_kernel_syscalls(struct host_kernel *kernel)
{
	return kernel->image->syscalls;
}

const char *host_kernel_dead(struct host_kernel *kernel)
{
	return __atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE) ?
		       kernel->dead_text :
		       NULL;
}

void host_kernel_report(struct host_kernel *kernel, struct host_report *report)
{
	report->base = kernel->base;
	pthread_mutex_lock(&kernel->lock);
	report->report = kernel->report;
	pthread_mutex_unlock(&kernel->lock);
	report->log_bytes =
		host_log_end(&kernel->log, report->log, sizeof(report->log));
}

struct host_process *host_kernel_init(struct host_kernel *kernel)
{
	return kernel->init;
}

struct ll_host_ops *host_kernel_ops(struct host_kernel *kernel)
{
	return &kernel->ops;
}

bool host_kernel_serves(struct host_kernel *kernel)
{
	return host_in_callback(kernel);
}

u64 host_kernel_now(struct host_kernel *kernel)
{
	if (kernel->group)
		return host_group_now(kernel);
	if (kernel->cpu->clock == LL_CLOCK_VIRTUAL)
		return __atomic_load_n(&kernel->cpu->virtual_now,
				       __ATOMIC_RELAXED);
	return kernel->ops.monotonic(kernel);
}

void host_kernel_user_window(struct host_kernel *kernel, u64 *start, u64 *bytes)
{
	*start = kernel->user;
	*bytes = kernel->user_bytes;
}

u64 host_kernel_text(struct host_kernel *kernel)
{
	return kernel->text_start;
}

void host_kernel_statistics(struct host_kernel *kernel,
			    struct host_statistics *statistics)
{
	*statistics = kernel->statistics;
	statistics->done = statistics->entries - statistics->host_exits -
			   statistics->idle_exits;
	/* Also for who looks on while the kernel runs. */
	statistics->frames =
		__atomic_load_n(&kernel->cpu->frames, __ATOMIC_RELAXED);
}
