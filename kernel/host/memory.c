// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory unit: physical pages of a kernel, shown at more than one address.
 *
 * The arena is hybrid. It begins as private memory, which is cheap to fork and
 * to restore. A page that the kernel wants to show at a second address must be
 * in a file, so its granule moves then: the content is copied into the
 * kernel's memfd, at the same offset, and mapped shared over the granule. It
 * never moves back. The memfd is made with the first alias and is sparse.
 *
 * All three operations run on a fiber. Its stack may lie in the very granule
 * that is moving, and what is written to it between the copy and the new
 * mapping would be lost: a granule is moved on the stack of the host thread,
 * where it entered the kernel. `struct ll_cpu`, which other threads write to
 * under `lock`, may lie in the granule as well: it is moved under `lock`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"

#define GRANULE_BITS 64

int host_memory_init(struct host_kernel *kernel)
{
	u64 granules = kernel->memory_bytes / GRANULE_BYTES + 1;

	kernel->memfd = -1;
	kernel->region.start = kernel->memory;
	kernel->region.bytes = kernel->memory_bytes;
	kernel->region.solid = kernel->arena - kernel->memory;
	kernel->granules = calloc(granules / GRANULE_BITS + 1, sizeof(u64));
	kernel->copied = calloc(granules / GRANULE_BITS + 1, sizeof(u64));
	return kernel->granules && kernel->copied ? host_guard_init(kernel) :
						    -ENOMEM;
}

void host_memory_exit(struct host_kernel *kernel)
{
	if (kernel->memfd >= 0)
		close(kernel->memfd);
	kernel->memfd = -1;
	host_region_forget(&kernel->region);
	free(kernel->granules);
	free(kernel->copied);
	kernel->granules = kernel->copied = NULL;
	host_guard_exit(kernel);
}

static bool host_granule_get(const u64 *bits, u64 granule)
{
	return bits[granule / GRANULE_BITS] >> granule % GRANULE_BITS & 1;
}

void host_granule_set(u64 *bits, u64 granule)
{
	bits[granule / GRANULE_BITS] |= 1ULL << granule % GRANULE_BITS;
}

bool host_granule_is_shared(struct host_kernel *kernel, u64 granule)
{
	return host_granule_get(kernel->granules, granule);
}

bool host_granule_is_elsewhere(struct host_kernel *kernel, u64 granule)
{
	return host_granule_get(kernel->granules, granule) ||
	       host_granule_get(kernel->copied, granule);
}

/* All are mapped from a snapshot now. */
void host_granules_own(struct host_kernel *kernel)
{
	u64 granules = kernel->memory_bytes / GRANULE_BYTES + 1;

	memset(kernel->copied, 0, (granules / GRANULE_BITS + 1) * sizeof(u64));
}

static int host_memfd(struct host_kernel *kernel)
{
	int fd;

	if (kernel->memfd >= 0)
		return 0;
	fd = memfd_create("liblinux", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, kernel->memory_bytes)) {
		close(fd);
		return -ENOMEM;
	}
	kernel->memfd = fd;
	return 0;
}

bool host_page_is_zero(const u64 *page)
{
	const u64 *end = page + PAGE_BYTES / sizeof(*page);
	u64 bits = 0;

	for (; page < end && !bits; page += 8)
		bits = page[0] | page[1] | page[2] | page[3] | page[4] |
		       page[5] | page[6] | page[7];
	return !bits;
}

/*
 * After boot: the large pages that made it fast are two thirds empty. What is
 * zero goes back, in runs that are worth a call; it is zero again when it is
 * touched. Half a millisecond, for half of the memory of a kernel.
 */
void host_memory_trim(struct host_kernel *kernel)
{
	u64 address = kernel->arena;
	u64 end = address + LARGE_PAGES_BYTES;
	u64 run = 0;

	if (end > kernel->memory + kernel->memory_bytes)
		end = kernel->memory + kernel->memory_bytes;
	for (; address <= end; address += PAGE_BYTES) {
		u64 granule = (address - kernel->memory) / GRANULE_BYTES;

		if (address < end && !host_granule_is_shared(kernel, granule) &&
		    !host_is_guard(kernel, address) &&
		    host_page_is_zero((const u64 *)address)) {
			run += PAGE_BYTES;
			continue;
		}
		if (run >= TRIM_BYTES)
			madvise((void *)(address - run), run, MADV_DONTNEED);
		run = 0;
	}
}

/*
 * A disk is attached: inodes and pages of files are about to fill the arena.
 * What boot did not touch may come in large pages as well, as far as most jobs
 * go. Without a disk a kernel stays small.
 */
void host_memory_enlarge(struct host_kernel *kernel)
{
	/* Where host_advise() ended. */
	u64 start = (kernel->arena & ~(WINDOW_ALIGN_BYTES - 1)) +
		    LARGE_PAGES_BYTES;
	u64 end = kernel->memory + kernel->memory_bytes;

	if (end > start + LARGE_PAGES_DISK_BYTES)
		end = start + LARGE_PAGES_DISK_BYTES;
	if (kernel->enlarged || start >= end)
		return;
	kernel->enlarged = true;
	/* Advice: a host without large pages is only slower. */
	madvise((void *)start, end - start, MADV_HUGEPAGE);
}

struct host_move {
	struct host_kernel *kernel;
	u64 offset, bytes;
	int result;
};

/* Runs on the stack of the host thread. */
static void host_move_granule(void *argument)
{
	struct host_move *move = argument;
	struct host_kernel *kernel = move->kernel;
	char *address = (char *)kernel->memory + move->offset;
	int fd = kernel->memfd, result = 0;
	u64 done;

	for (done = 0; done < move->bytes; done += PAGE_BYTES) {
		if (host_is_guard(kernel, (u64)address + done) ||
		    host_page_is_zero((u64 *)(address + done)))
			continue;
		if (pwrite(fd, address + done, PAGE_BYTES,
			   move->offset + done) != (ssize_t)PAGE_BYTES) {
			result = -ENOMEM;
			break;
		}
	}
	if (!result &&
	    mmap(address, move->bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, move->offset) == MAP_FAILED)
		result = -ENOMEM;
	if (!result)
		host_guard_renew(kernel, (u64)address, move->bytes);
	move->result = result;
}

static int host_share_granule(struct host_kernel *kernel, u64 granule)
{
	u64 cpu = (u64)kernel->cpu - kernel->memory;
	struct host_move move = {
		.kernel = kernel,
		.offset = granule * GRANULE_BYTES,
		.bytes = GRANULE_BYTES,
	};
	struct host_move *outside;
	bool lock;

	if (move.bytes > kernel->memory_bytes - move.offset)
		move.bytes = kernel->memory_bytes - move.offset;
	/* What is read into it meanwhile would be lost as well. */
	if (kernel->nr_reads)
		host_reader_drain(kernel);
	lock = cpu < move.offset + move.bytes &&
	       cpu + sizeof(struct ll_cpu) > move.offset;
	if (lock)
		pthread_mutex_lock(&kernel->lock);
	/* `move` too must not be in the granule when it is written to. */
	outside = (void *)(((u64)kernel->cpu->host_stack - 128 - sizeof(move)) &
			   ~63ULL);
	*outside = move;
	host_on_stack(host_move_granule, outside, outside);
	move.result = outside->result;
	if (lock)
		pthread_mutex_unlock(&kernel->lock);
	if (move.result)
		return move.result;
	host_granule_set(kernel->granules, granule);
	kernel->statistics.aliased_bytes += move.bytes;
	return 0;
}

static bool host_in_window(struct host_kernel *kernel, u64 address, u64 bytes)
{
	u64 in_vmalloc = address - kernel->vmalloc;
	u64 in_user = address - kernel->user;

	return (in_vmalloc < kernel->vmalloc_bytes &&
		bytes <= kernel->vmalloc_bytes - in_vmalloc) ||
	       (in_user < kernel->user_bytes &&
		bytes <= kernel->user_bytes - in_user);
}

/* ops->alias */
int host_memory_alias(void *host, u64 address, u64 offset, u64 bytes,
		      u32 protection)
{
	struct host_kernel *kernel = host;
	int result, flags = 0;
	u64 granule;

	if (!bytes || offset >= kernel->memory_bytes ||
	    bytes > kernel->memory_bytes - offset ||
	    !host_in_window(kernel, address, bytes))
		return -EINVAL;
	result = host_memfd(kernel);
	for (granule = offset / GRANULE_BYTES;
	     !result && granule <= (offset + bytes - 1) / GRANULE_BYTES;
	     granule++)
		if (!host_granule_is_shared(kernel, granule))
			result = host_share_granule(kernel, granule);
	if (result)
		return result;
	if (protection & LL_PROT_READ)
		flags |= PROT_READ;
	if (protection & LL_PROT_WRITE)
		flags |= PROT_WRITE;
	/* Who else sees it must not execute it, nor need we. */
	if ((protection & LL_PROT_EXEC) && !kernel->embedding.show)
		flags |= PROT_EXEC;
	if (mmap((void *)address, bytes, flags, MAP_SHARED | MAP_FIXED,
		 kernel->memfd, offset) == MAP_FAILED)
		return -errno;
	kernel->statistics.aliases++;
	if (kernel->embedding.show && address >= kernel->user)
		return kernel->embedding.show(kernel->embedding.context,
					      address, offset, bytes,
					      protection);
	return 0;
}

static int host_hide(u64 start, u64 bytes)
{
	return mmap((void *)start, bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		    0) == MAP_FAILED ?
		       -errno :
		       0;
}

/* From us, and from whoever else sees the user window. */
static int host_hide_from_all(struct host_kernel *kernel, u64 start, u64 bytes)
{
	int error = host_hide(start, bytes);

	if (!error && kernel->embedding.hide && start >= kernel->user)
		error = kernel->embedding.hide(kernel->embedding.context, start,
					       bytes);
	return error;
}

/* ops->unalias */
int host_memory_unalias(void *host, u64 address, u64 bytes)
{
	struct host_kernel *kernel = host;

	int error;

	if (!host_in_window(kernel, address, bytes))
		return -EINVAL;
	error = host_hide_from_all(kernel, address, bytes);
	if (!error)
		kernel->statistics.unaliases++;
	return error;
}

int host_memory_forget_aliases(struct host_kernel *kernel)
{
	u64 granules = kernel->memory_bytes / GRANULE_BYTES + 1;
	int error = host_hide(kernel->vmalloc, kernel->vmalloc_bytes);

	if (!error)
		error = host_hide_from_all(kernel, kernel->user,
					   kernel->user_bytes);
	memset(kernel->granules, 0,
	       (granules / GRANULE_BITS + 1) * sizeof(u64));
	if (kernel->memfd_given) {
		/* A granule that moves writes only what is not zero. */
		if (fallocate(kernel->memfd,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      (off_t)kernel->memory_bytes) &&
		    !error)
			error = -errno;
		return error;
	}
	close(kernel->memfd);
	kernel->memfd = -1;
	return error;
}
