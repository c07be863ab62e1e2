// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host that misbehaves: entries of the kernel's table of host calls that fail
 * on a schedule and otherwise do what the ordinary ones do.
 *
 * The entries are single words, which the kernel reads for each call, so they
 * may be exchanged while it runs. What they refer to stays until the kernel is
 * closed: a call may be in one of them when it is taken out.
 *
 * The draws are made by the runner only. Whether a request fails is decided
 * when it comes in, before it is known whether a disk is the embedding's. Then a
 * torn write leaves the kernel like any other, and is cut off where it is served.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "disk.h"

struct host_injector {
	struct host_injection injection;
	u64 state[HOST_INJECTIONS];
	u64 counts[HOST_INJECTIONS];
	/* A torn write that the embedding has to serve, and how much of it. */
	struct ll_io *torn;
	u64 torn_bytes;
	struct host_injector *older;
};

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom generators). */
static u64 host_draw(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static struct host_injector *host_injector(void *host)
{
	struct host_kernel *kernel = host;

	return __atomic_load_n(&kernel->injector, __ATOMIC_ACQUIRE);
}

static bool host_happens(struct host_injector *injector,
			 enum host_injection_kind kind)
{
	u64 chance = injector->injection.chance[kind];

	if (!chance ||
	    (host_draw(&injector->state[kind]) >= chance && chance != ~0ULL))
		return false;
	__atomic_add_fetch(&injector->counts[kind], 1, __ATOMIC_RELAXED);
	return true;
}

/* ---- the entries ----------------------------------------------------- */

/* Do only the first `bytes` of a write. */
static int host_write_part(const struct ll_io *io, u64 bytes, bool on_host)
{
	struct ll_iovec segments[DISK_SEGMENTS];
	struct ll_io part = *io;

	part.bytes = bytes;
	part.segments = segments;
	for (part.nr_segments = 0; bytes; part.nr_segments++) {
		struct ll_iovec *segment = &segments[part.nr_segments];

		*segment = io->segments[part.nr_segments];
		if (segment->bytes > bytes)
			segment->bytes = bytes;
		bytes -= segment->bytes;
	}
	if (!part.bytes)
		return 0;
	return host_disk_do(&part, on_host);
}

/* The first of its sectors, how many is drawn; then the write has failed. */
static int host_tear(struct host_injector *injector, struct ll_io *io)
{
	struct host_disk *disk = io->handle;
	u64 sectors = io->bytes / disk->sector_bytes, bytes;

	if (io->nr_segments > DISK_SEGMENTS || !sectors)
		return injector->injection.error;
	bytes = host_draw(&injector->state[HOST_INJECT_TORN]) % sectors *
		disk->sector_bytes;
	if (host_write_part(io, bytes, false) == LL_IO_NEEDS_HOST) {
		injector->torn = io;
		injector->torn_bytes = bytes;
		return LL_IO_NEEDS_HOST;
	}
	return injector->injection.error;
}

bool host_inject_serve(struct host_kernel *kernel, struct ll_io *io,
		       int *result)
{
	struct host_injector *injector = host_injector(kernel);

	if (likely(!injector || injector->torn != io))
		return false;
	injector->torn = NULL;
	host_write_part(io, injector->torn_bytes, true);
	*result = injector->injection.error;
	return true;
}

static int host_inject_disk_io(void *host, struct ll_io *io)
{
	struct host_injector *injector = host_injector(host);
	bool fails;

	switch (io->op) {
	case LL_IO_READ:
		fails = host_happens(injector, HOST_INJECT_READ);
		break;
	case LL_IO_FLUSH:
		fails = host_happens(injector, HOST_INJECT_FLUSH);
		break;
	default:
		fails = host_happens(injector, HOST_INJECT_WRITE);
		if (!fails && io->op == LL_IO_WRITE &&
		    host_happens(injector, HOST_INJECT_TORN))
			return host_tear(injector, io);
	}
	return fails ? injector->injection.error : host_disk_io(host, io);
}

static int host_inject_alias(void *host, u64 address, u64 offset, u64 bytes,
			     u32 protection)
{
	if (host_happens(host_injector(host), HOST_INJECT_ALIAS))
		return -ENOMEM;
	return host_memory_alias(host, address, offset, bytes, protection);
}

static u64 host_ahead_monotonic(void *host)
{
	struct host_kernel *kernel = host;

	return host_monotonic(host) + kernel->clock_ahead;
}

/* Only ever ahead: a monotonic clock that goes back is another machine. */
static u64 host_inject_monotonic(void *host)
{
	struct host_injector *injector = host_injector(host);
	struct host_kernel *kernel = host;

	if (host_self.inside == kernel &&
	    host_happens(injector, HOST_INJECT_CLOCK))
		kernel->clock_ahead +=
			host_draw(&injector->state[HOST_INJECT_CLOCK]) %
			(injector->injection.jump_ns + 1);
	return host_ahead_monotonic(host);
}

/* ---- in and out ------------------------------------------------------ */

static void host_exchange(struct host_kernel *kernel, bool misbehave)
{
	struct ll_host_ops *ops = &kernel->ops;

	/* What has jumped stays ahead. */
	__atomic_store_n(&ops->monotonic,
			 misbehave ? host_inject_monotonic :
				     host_ahead_monotonic,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&ops->disk_io,
			 misbehave ? host_inject_disk_io : host_disk_io,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&ops->alias,
			 misbehave ? host_inject_alias : host_memory_alias,
			 __ATOMIC_RELEASE);
}

int host_kernel_inject(struct host_kernel *kernel,
		       const struct host_injection *injection)
{
	struct host_injector *injector;
	int kind;

	if (!injection) {
		if (kernel->injector)
			host_exchange(kernel, false);
		return 0;
	}
	injector = calloc(1, sizeof(*injector));
	if (!injector)
		return -ENOMEM;
	injector->injection = *injection;
	for (kind = 0; kind < HOST_INJECTIONS; kind++) {
		injector->state[kind] = injection->seed + kind;
		injector->state[kind] = host_draw(&injector->state[kind]);
	}
	injector->older = kernel->injector;
	__atomic_store_n(&kernel->injector, injector, __ATOMIC_RELEASE);
	host_exchange(kernel, true);
	return 0;
}

void host_kernel_injected(struct host_kernel *kernel,
			  u64 counts[HOST_INJECTIONS])
{
	struct host_injector *injector = host_injector(kernel);
	int kind;

	for (kind = 0; kind < HOST_INJECTIONS; kind++)
		counts[kind] = injector ?
				       __atomic_load_n(&injector->counts[kind],
						       __ATOMIC_RELAXED) :
				       0;
}

void host_inject_exit(struct host_kernel *kernel)
{
	struct host_injector *injector;

	while ((injector = kernel->injector)) {
		kernel->injector = injector->older;
		free(injector);
	}
	kernel->clock_ahead = 0;
}
