// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading a kernel image: an ELF file that is position independent and needs
 * nothing but to be mapped and to have its pointers relocated. The dynamic
 * loader has no part in it, so that any number of kernels can be loaded.
 *
 * Each kernel is one reservation of address space with this fixed layout, so
 * that everything about a kernel can be copied relative to its base:
 *
 *	text | data, bss | arena | guard | vmalloc window | guard | user window
 *	                 ^ struct ll_cpu.arena
 *	     ^ struct ll_cpu.memory: the first physical page
 *
 * Text is mapped from the file and never written, so all kernels share it.
 * Data is mapped privately from the file; relocating touches (and so copies)
 * the pages with pointers. The rest is reserved without access.
 *
 * An image is refused, with a sentence in struct host_error, unless it is of
 * exactly this form. Its content is trusted: it is code.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "internal.h"

#ifndef DT_RELR
#define DT_RELRSZ 35
#define DT_RELR 36
#endif

struct host_image {
	const char *path;
	int fd;
	Elf64_Ehdr header;
	Elf64_Phdr text, data, dynamic;
};

int host_fail(struct host_error *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (error)
		vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

static u64 host_round_up(u64 value, u64 step)
{
	return (value + step - 1) / step * step;
}

static int host_read_header(struct host_image *image, struct host_error *error)
{
	Elf64_Ehdr *header = &image->header;

	if (pread(image->fd, header, sizeof(*header), 0) != sizeof(*header) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG))
		return host_fail(error, -ENOEXEC,
				 "%s is not a kernel image: not an ELF file",
				 image->path);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_machine != EM_X86_64 || header->e_type != ET_DYN ||
	    header->e_phentsize != sizeof(Elf64_Phdr) ||
	    header->e_phnum > IMAGE_SEGMENTS)
		return host_fail(error, -ENOEXEC,
				 "%s is not a kernel image: not a position "
				 "independent ELF file for x86-64",
				 image->path);
	return 0;
}

/* What is mapped is there, and small enough to be calculated with. */
static bool host_segment_fits(const Elf64_Phdr *segment, u64 file_bytes)
{
	return segment->p_vaddr <= IMAGE_MAX_BYTES &&
	       segment->p_memsz <= IMAGE_MAX_BYTES && segment->p_filesz &&
	       segment->p_filesz <= segment->p_memsz &&
	       segment->p_filesz <= file_bytes &&
	       segment->p_offset <= file_bytes - segment->p_filesz;
}

static int host_check_sizes(struct host_image *image, struct host_error *error)
{
	const Elf64_Phdr *data = &image->data, *dynamic = &image->dynamic;
	struct stat status;

	if (fstat(image->fd, &status))
		return host_fail(error, -errno, "cannot examine %s: %s",
				 image->path, strerror(errno));
	if (!host_segment_fits(&image->text, status.st_size) ||
	    !host_segment_fits(data, status.st_size))
		return host_fail(error, -ENOEXEC,
				 "%s is truncated, or its segments are not "
				 "those of a kernel image",
				 image->path);
	/* The dynamic section is read where it will be mapped. */
	if (dynamic->p_vaddr < data->p_vaddr ||
	    dynamic->p_vaddr % sizeof(u64) ||
	    dynamic->p_filesz > data->p_filesz ||
	    dynamic->p_vaddr - data->p_vaddr >
		    data->p_filesz - dynamic->p_filesz)
		return host_fail(error, -ENOEXEC, "%s has no relocations",
				 image->path);
	return 0;
}

static int host_read_segments(struct host_image *image,
			      struct host_error *error)
{
	Elf64_Phdr segments[IMAGE_SEGMENTS], *segment;
	ssize_t bytes = image->header.e_phnum * sizeof(*segments);
	int loads = 0;

	if (pread(image->fd, segments, bytes, image->header.e_phoff) != bytes)
		return host_fail(error, -ENOEXEC, "%s is truncated",
				 image->path);
	for (segment = segments; segment < segments + image->header.e_phnum;
	     segment++) {
		if (segment->p_type == PT_DYNAMIC)
			image->dynamic = *segment;
		if (segment->p_type != PT_LOAD)
			continue;
		if (loads++ == 0)
			image->text = *segment;
		else
			image->data = *segment;
	}
	if (loads != 2 || image->text.p_flags != (PF_R | PF_X) ||
	    image->text.p_offset || image->text.p_vaddr ||
	    image->data.p_flags != (PF_R | PF_W) ||
	    image->data.p_vaddr % GRANULE_BYTES ||
	    image->data.p_offset % PAGE_BYTES ||
	    image->data.p_vaddr < image->text.p_memsz ||
	    image->data.p_memsz < image->data.p_filesz)
		return host_fail(error, -ENOEXEC,
				 "%s is not a kernel image: it must have one "
				 "segment of text and one of data",
				 image->path);
	return host_check_sizes(image, error);
}

static int host_no_room(struct host_error *error, u64 bytes)
{
	return host_fail(error, -errno,
			 "cannot reserve %llu GiB of address space: %s",
			 (unsigned long long)(bytes / GIB), strerror(errno));
}

/* `kernel->bytes` anywhere, so that the base is `into` behind a boundary. */
static int host_reserve_anywhere(struct host_kernel *kernel, u64 into,
				 struct host_error *error)
{
	u64 slack = 2 * WINDOW_ALIGN_BYTES, end;
	char *start;

	start = mmap(NULL, kernel->bytes + slack, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return host_no_room(error, kernel->bytes);
	kernel->base = host_round_up((u64)start, WINDOW_ALIGN_BYTES) + into;
	end = kernel->base + kernel->bytes;
	if (kernel->base > (u64)start)
		munmap(start, kernel->base - (u64)start);
	if (end < (u64)start + kernel->bytes + slack)
		munmap((void *)end, (u64)start + kernel->bytes + slack - end);
	return 0;
}

/* The same with the user window at `user`, and nothing behind it. */
static int host_reserve_at(struct host_kernel *kernel, u64 user, u64 into,
			   u64 arena_end, struct host_error *error)
{
	u64 base = user -
		   host_round_up(into + arena_end, WINDOW_ALIGN_BYTES) -
		   2 * GUARD_BYTES - kernel->vmalloc_bytes + into;

	kernel->bytes = user + kernel->user_bytes - base;
	if (user % WINDOW_ALIGN_BYTES || base >= user ||
	    mmap((void *)base, kernel->bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			 MAP_FIXED_NOREPLACE,
		 -1, 0) != (void *)base)
		return host_no_room(error, kernel->bytes);
	kernel->base = base;
	return 0;
}

/* Decide on all addresses and reserve them. `user`: of the window, or 0. */
static int host_reserve(struct host_kernel *kernel, struct host_image *image,
			u64 memory_bytes, u64 user, struct host_error *error)
{
	u64 bss_end, arena_end, into;
	int result;

	bss_end = host_round_up(image->data.p_vaddr + image->data.p_memsz,
				PAGE_BYTES);
	arena_end = bss_end + host_round_up(memory_bytes, PAGE_BYTES);
	kernel->vmalloc_bytes = VMALLOC_WINDOW_PER_MEMORY *
				host_round_up(memory_bytes, WINDOW_ALIGN_BYTES);
	if (kernel->vmalloc_bytes < VMALLOC_WINDOW_MIN_BYTES)
		kernel->vmalloc_bytes = VMALLOC_WINDOW_MIN_BYTES;
	kernel->user_bytes = USER_WINDOW_BYTES;
	kernel->bytes = host_round_up(arena_end, WINDOW_ALIGN_BYTES) +
			WINDOW_ALIGN_BYTES + GUARD_BYTES +
			kernel->vmalloc_bytes + GUARD_BYTES +
			kernel->user_bytes;
	/* A large page shall begin with the arena, and the bss end just in it. */
	into = host_round_up(-bss_end % WINDOW_ALIGN_BYTES, GRANULE_BYTES);
	result = user ? host_reserve_at(kernel, user, into, arena_end, error) :
			host_reserve_anywhere(kernel, into, error);
	if (result)
		return result;

	kernel->memory = kernel->base + image->data.p_vaddr;
	kernel->arena = kernel->base + bss_end;
	kernel->memory_bytes = arena_end - image->data.p_vaddr;
	kernel->vmalloc =
		host_round_up(kernel->base + arena_end, WINDOW_ALIGN_BYTES) +
		GUARD_BYTES;
	kernel->user = kernel->vmalloc + kernel->vmalloc_bytes + GUARD_BYTES;
	return 0;
}

/*
 * Boot fills the beginning of the arena. Large pages there save two thousand
 * faults, which cost more than all of the boot's own work where the machine is
 * a virtual one itself.
 */
static void host_advise(struct host_kernel *kernel)
{
	u64 start = kernel->arena & ~(WINDOW_ALIGN_BYTES - 1);

	if (kernel->memory + kernel->memory_bytes - start <
	    4 * LARGE_PAGES_BYTES)
		return;
	/* Advice: a host without large pages is only slower. */
	madvise((void *)start, LARGE_PAGES_BYTES, MADV_HUGEPAGE);
}

static int host_map(struct host_kernel *kernel, struct host_image *image,
		    struct host_error *error)
{
	u64 file_end = kernel->memory + image->data.p_filesz;
	u64 file_pages = host_round_up(image->data.p_filesz, PAGE_BYTES);

	if (mmap((void *)kernel->base, image->text.p_filesz,
		 PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, image->fd,
		 0) == MAP_FAILED ||
	    mmap((void *)kernel->memory, file_pages, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, image->fd,
		 image->data.p_offset) == MAP_FAILED ||
	    mmap((void *)(kernel->memory + file_pages),
		 kernel->memory_bytes - file_pages, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		 0) == MAP_FAILED)
		return host_fail(error, -errno, "cannot map %s: %s",
				 image->path, strerror(errno));
	kernel->text_bytes = host_round_up(image->text.p_filesz, PAGE_BYTES);
	memset((void *)file_end, 0, kernel->memory + file_pages - file_end);
	host_advise(kernel);
	return 0;
}

static bool host_in_data(struct host_kernel *kernel, u64 address)
{
	return address - kernel->memory < kernel->arena - kernel->memory - 7;
}

static int host_relocate_relr(struct host_kernel *kernel, const u64 *entry,
			      const u64 *end)
{
	u64 *where = NULL, bits;
	int bit;

	for (; entry < end; entry++) {
		if (!(*entry & 1)) {
			where = (u64 *)(kernel->base + *entry);
			if (!host_in_data(kernel, (u64)where))
				return -ENOEXEC;
			*where++ += kernel->base;
			continue;
		}
		if (!where || !host_in_data(kernel, (u64)(where + 62)))
			return -ENOEXEC;
		for (bits = *entry >> 1, bit = 0; bits; bits >>= 1, bit++)
			if (bits & 1)
				where[bit] += kernel->base;
		where += 63;
	}
	return 0;
}

static int host_relocate_rela(struct host_kernel *kernel,
			      const Elf64_Rela *entry, const Elf64_Rela *end)
{
	for (; entry + 1 <= end; entry++) {
		if (ELF64_R_TYPE(entry->r_info) == R_X86_64_NONE)
			continue;
		if (ELF64_R_TYPE(entry->r_info) != R_X86_64_RELATIVE ||
		    !host_in_data(kernel, kernel->base + entry->r_offset))
			return -ENOEXEC;
		*(u64 *)(kernel->base + entry->r_offset) =
			kernel->base + entry->r_addend;
	}
	return 0;
}

/* A half entry at the end would be read as a whole one. */
static bool host_table_fits(u64 offset, u64 bytes, u64 limit)
{
	return bytes <= limit && offset <= limit - bytes &&
	       offset % sizeof(u64) == 0 && bytes % sizeof(u64) == 0;
}

static int host_relocate(struct host_kernel *kernel, struct host_image *image,
			 struct host_error *error)
{
	const Elf64_Dyn *dynamic =
		(void *)(kernel->base + image->dynamic.p_vaddr);
	const Elf64_Dyn *end =
		dynamic + image->dynamic.p_filesz / sizeof(*dynamic);
	u64 values[IMAGE_DYNAMIC_ENTRIES] = { 0 }, limit = image->text.p_filesz;
	char *base = (char *)kernel->base;
	int result;

	for (; dynamic < end && dynamic->d_tag != DT_NULL; dynamic++)
		if ((u64)dynamic->d_tag < IMAGE_DYNAMIC_ENTRIES)
			values[dynamic->d_tag] = dynamic->d_un.d_val;
	if (!host_table_fits(values[DT_RELA], values[DT_RELASZ], limit) ||
	    !host_table_fits(values[DT_RELR], values[DT_RELRSZ], limit))
		return host_fail(error, -ENOEXEC,
				 "%s has relocations outside of its text",
				 image->path);
	result = host_relocate_rela(
		kernel, (void *)(base + values[DT_RELA]),
		(void *)(base + values[DT_RELA] + values[DT_RELASZ]));
	if (!result)
		result = host_relocate_relr(
			kernel, (void *)(base + values[DT_RELR]),
			(void *)(base + values[DT_RELR] + values[DT_RELRSZ]));
	if (result)
		return host_fail(error, result,
				 "%s has a relocation that is not relative",
				 image->path);
	return 0;
}

static bool host_in_text(struct host_kernel *kernel, struct host_image *image,
			 u64 address)
{
	return address - kernel->base < image->text.p_filesz;
}

/* What an image says of itself is believed, if it was relocated at all. */
static bool host_description_fits(struct host_kernel *kernel,
				  struct host_image *image,
				  const struct ll_image *found)
{
	u64 cpu = (u64)found->cpu;

	return cpu % sizeof(u64) == 0 && host_in_data(kernel, cpu) &&
	       host_in_data(kernel, cpu + sizeof(*found->cpu)) &&
	       host_in_data(kernel, (u64)found->release) &&
	       host_in_data(kernel, (u64)found->syscalls) &&
	       host_in_text(kernel, image, (u64)found->enter) &&
	       host_in_text(kernel, image, (u64)found->fault) &&
	       host_in_text(kernel, image, found->text_start) &&
	       host_in_text(kernel, image, found->text_end - 1) &&
	       found->text_start < found->text_end;
}

static int host_check(struct host_kernel *kernel, struct host_image *image,
		      struct host_error *error)
{
	struct ll_image *found = (void *)(kernel->base + image->header.e_entry);

	if (!host_in_data(kernel, (u64)found) || found->magic != LL_IMAGE_MAGIC)
		return host_fail(error, -ENOEXEC,
				 "%s is not a kernel image: its entry point is "
				 "not a description of one",
				 image->path);
	if (found->boundary_version != LL_BOUNDARY_VERSION)
		return host_fail(error, -ENOEXEC,
				 "%s speaks version %u of the boundary, this "
				 "library speaks %u: build the image again",
				 image->path, found->boundary_version,
				 LL_BOUNDARY_VERSION);
	if (found->cpu_bytes != sizeof(struct ll_cpu))
		return host_fail(
			error, -ENOEXEC,
			"%s has a struct ll_cpu of %u bytes, this "
			"library has one of %zu: build the image again",
			image->path, found->cpu_bytes, sizeof(struct ll_cpu));
	if (!host_description_fits(kernel, image, found))
		return host_fail(error, -ENOEXEC,
				 "%s is damaged: its description of itself "
				 "points outside of it",
				 image->path);
	kernel->image = found;
	kernel->cpu = found->cpu;
	kernel->enter = found->enter;
	kernel->text_start = found->text_start;
	kernel->text_end = found->text_end;
	kernel->emergency_stack = found->emergency_stack;
	return 0;
}

/*
 * A file that is not in the host's memory is read from one end to the other
 * before it is mapped. Page faults would bring in what is touched, for as long,
 * and as pages that are mapped one by one: each later boot takes longer then.
 */
static void host_read_at_once(const struct host_image *image)
{
	u64 at, end = image->data.p_offset + image->data.p_filesz;
	char last, *buffer;
	struct iovec vector = { .iov_base = &last, .iov_len = 1 };

	if (preadv2(image->fd, &vector, 1, end - 1, RWF_NOWAIT) >= 0 ||
	    errno != EAGAIN)
		return;
	buffer = malloc(READ_AT_ONCE_BYTES);
	for (at = 0; buffer && at < end; at += READ_AT_ONCE_BYTES)
		if (pread(image->fd, buffer, READ_AT_ONCE_BYTES, at) <= 0)
			break;
	free(buffer);
}

static int host_load_image(struct host_kernel *kernel, struct host_image *image,
			   const struct host_options *options,
			   struct host_error *error)
{
	int result;

	result = host_read_header(image, error);
	if (!result)
		result = host_read_segments(image, error);
	/* A cell has the file from its parent, and may not ask. */
	if (!result && !options->image_fd)
		host_read_at_once(image);
	if (!result)
		result = host_reserve(kernel, image, options->memory_bytes,
				      options->user, error);
	if (!result)
		result = host_map(kernel, image, error);
	if (!result)
		result = host_relocate(kernel, image, error);
	if (!result)
		result = host_check(kernel, image, error);
	return result;
}

int host_load(struct host_kernel *kernel, const struct host_options *options,
	      struct host_error *error)
{
	struct host_image image = { .path = options->image };
	int result;

	if (options->memory_bytes < MEMORY_MIN_BYTES ||
	    options->memory_bytes > MEMORY_MAX_BYTES)
		return host_fail(error, -EINVAL,
				 "a kernel needs from %llu MiB to %llu GiB of "
				 "memory; %llu bytes were asked for",
				 MEMORY_MIN_BYTES / MIB, MEMORY_MAX_BYTES / GIB,
				 (unsigned long long)options->memory_bytes);
	image.fd = options->image_fd ?
			   options->image_fd :
			   open(options->image, O_RDONLY | O_CLOEXEC);
	if (image.fd < 0)
		return host_fail(error, -errno, "cannot open %s: %s",
				 options->image, strerror(errno));
	result = host_load_image(kernel, &image, options, error);
	if (!options->image_fd)
		close(image.fd);
	if (result)
		host_unload(kernel);
	return result;
}

void host_unload(struct host_kernel *kernel)
{
	if (kernel->base)
		munmap((void *)kernel->base, kernel->bytes);
	kernel->base = 0;
}
