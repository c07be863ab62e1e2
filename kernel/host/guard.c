// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard pages: the lowest page of each kernel stack, without access, so that a
 * stack which overflows is noticed before it writes to its neighbour.
 *
 * The kernel says when a stack begins and ends (ops->guard_stack); which pages are
 * guards is kept here, a bit for each page, because a page may be mapped anew
 * behind the kernel's back (a granule that moves into the memfd) and must be
 * made a guard again then. Signal handlers read the bits of the kernel that
 * their own thread is inside of.
 *
 * A host from Linux 6.15 on marks the pages (madvise). With an older one each
 * guard takes two mappings of the host's table, of which all else that maps
 * memory needs some as well: no more than GUARDS are made in a process then,
 * and a stack beyond that, or one that the host refuses, goes without.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "internal.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define GUARD_BITS 64

static u32 host_guards;
static bool host_marks; /* the host can mark pages of all kinds of memory */

/* Linux 6.13 and 6.14 can mark private memory only, but not a granule that moved. */
static void host_guard_find_out(void)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	host_marks = !madvise(page, PAGE_BYTES, MADV_GUARD_INSTALL);
	munmap(page, PAGE_BYTES);
}

static int host_guard_forbid(u64 address)
{
	if (host_marks)
		return madvise((void *)address, PAGE_BYTES, MADV_GUARD_INSTALL);
	return mprotect((void *)address, PAGE_BYTES, PROT_NONE);
}

static int host_guard_allow(u64 address)
{
	if (host_marks)
		return madvise((void *)address, PAGE_BYTES, MADV_GUARD_REMOVE);
	/* Only ever joins mappings: there is no reason to be refused. */
	return mprotect((void *)address, PAGE_BYTES, PROT_READ | PROT_WRITE);
}

u64 host_guard_bytes(struct host_kernel *kernel)
{
	u64 pages = kernel->memory_bytes / PAGE_BYTES + 1;

	return (pages / GUARD_BITS + 1) * sizeof(u64);
}

int host_guard_init(struct host_kernel *kernel)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, host_guard_find_out);
	kernel->guards = calloc(1, host_guard_bytes(kernel));
	kernel->nr_guards = 0;
	return kernel->guards ? 0 : -ENOMEM;
}

void host_guard_exit(struct host_kernel *kernel)
{
	__atomic_sub_fetch(&host_guards, kernel->nr_guards, __ATOMIC_RELAXED);
	kernel->nr_guards = 0;
	free(kernel->guards);
	kernel->guards = NULL;
}

static u64 *host_guard_word(struct host_kernel *kernel, u64 page, u64 *bit)
{
	*bit = 1ULL << page % GUARD_BITS;
	return kernel->guards + page / GUARD_BITS;
}

bool host_is_guard(struct host_kernel *kernel, u64 address)
{
	u64 offset = address - kernel->memory, bit;

	if (offset >= kernel->memory_bytes || !kernel->guards)
		return false;
	return *host_guard_word(kernel, offset / PAGE_BYTES, &bit) & bit;
}

static void host_guard_put_up(struct host_kernel *kernel, u64 address)
{
	u64 page = (address - kernel->memory) / PAGE_BYTES, bit;
	u64 *word = host_guard_word(kernel, page, &bit);

	u32 guards = __atomic_add_fetch(&host_guards, 1, __ATOMIC_RELAXED);

	if ((guards > GUARDS && !host_marks) || host_guard_forbid(address)) {
		__atomic_sub_fetch(&host_guards, 1, __ATOMIC_RELAXED);
		return;
	}
	*word |= bit;
	kernel->nr_guards++;
	/* Nobody will read it. It is zero if it is memory again, as if marked. */
	if (kernel->trimming && !host_marks)
		madvise((void *)address, PAGE_BYTES, MADV_DONTNEED);
}

static void host_guard_take_down(struct host_kernel *kernel, u64 address)
{
	u64 page = (address - kernel->memory) / PAGE_BYTES, bit;
	u64 *word = host_guard_word(kernel, page, &bit);

	if (host_guard_allow(address))
		abort();
	*word &= ~bit;
	kernel->nr_guards--;
	__atomic_sub_fetch(&host_guards, 1, __ATOMIC_RELAXED);
}

/* ops->guard_stack */
void host_guard(void *host, u64 address, u32 on)
{
	struct host_kernel *kernel = host;

	if (address - kernel->memory >= kernel->memory_bytes ||
	    host_is_guard(kernel, address) == (on != 0))
		return;
	if (on)
		host_guard_put_up(kernel, address);
	else
		host_guard_take_down(kernel, address);
}

/* These pages were mapped anew, with all access: guards are guards again. */
void host_guard_renew(struct host_kernel *kernel, u64 start, u64 bytes)
{
	u64 address;

	for (address = start; address < start + bytes; address += PAGE_BYTES)
		if (host_is_guard(kernel, address))
			host_guard_forbid(address);
}

/*
 * The guards are to be these. `anew`: the memory has been mapped anew, with all
 * access.
 */
void host_guard_restore(struct host_kernel *kernel, const u64 *guards,
			bool anew)
{
	u64 words = host_guard_bytes(kernel) / sizeof(u64), at, bits;
	u64 first, address;

	for (at = 0; at < words; at++) {
		bits = anew ? kernel->guards[at] | guards[at] :
			      kernel->guards[at] ^ guards[at];
		first = kernel->memory + at * GUARD_BITS * PAGE_BYTES;
		for (; bits; bits &= bits - 1) {
			u64 bit = bits & -bits;

			address = first + __builtin_ctzll(bits) * PAGE_BYTES;
			if (kernel->guards[at] & bit) {
				kernel->guards[at] &= ~bit;
				kernel->nr_guards--;
				__atomic_sub_fetch(&host_guards, 1,
						   __ATOMIC_RELAXED);
				if (!anew)
					host_guard_allow(address);
			}
			if (guards[at] & bit)
				host_guard_put_up(kernel, address);
		}
	}
}
