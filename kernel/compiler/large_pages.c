// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put before the C library of the compiler (LD_PRELOAD): its memory is to lie in large pages.
 *
 * GCC keeps what it reads in pieces of 2 MB, which it maps by itself. Some 40 MB for
 * an object of the kernel are ten thousand page faults otherwise.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LARGE_PAGE (2UL << 20)

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
	void *mapped = (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);

	/* Advice: where it is not taken, small pages do. */
	if (mapped != MAP_FAILED && (flags & MAP_ANONYMOUS) && length >= LARGE_PAGE)
		madvise(mapped, length, MADV_HUGEPAGE);
	return mapped;
}

/* What programs with large files call it. */
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));
