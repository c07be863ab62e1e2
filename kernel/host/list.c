// SPDX-License-Identifier: GPL-2.0-only
/*
 * The entries of one directory: the records of getdents64, gathered as they
 * are. And the growing arrays of all batches.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "batch.h"
#include "limits.h"

static bool host_array_set(struct host_array *array, char *data, size_t room)
{
	if (!data)
		return false;
	array->data = data;
	array->room = room;
	return true;
}

/*
 * An array that has become large will be larger: address space costs nothing,
 * and it is filled from end to end, when a fault for each page would take longer
 * than large pages do. They come only where there are no small ones yet.
 */
static bool host_array_enlarge(struct host_array *array, size_t room)
{
	char *old = array->data, *data = malloc(room);
	u64 start = (u64)data & ~(PAGE_BYTES - 1);

	if (!host_array_set(array, data, room))
		return false;
	madvise((void *)start, room & ~(PAGE_BYTES - 1), MADV_HUGEPAGE);
	if (array->bytes)
		memcpy(data, old, array->bytes);
	free(old);
	return true;
}

static bool host_array_grow(struct host_array *array, size_t bytes)
{
	size_t used = array->bytes + bytes;
	size_t room = used + used / 2 + PAGE_BYTES;

	if (array->room < ARRAY_LARGE_BYTES && room >= ARRAY_LARGE_BYTES)
		return host_array_enlarge(array, room + ARRAY_ROOM_BYTES);
	return host_array_set(array, realloc(array->data, room), room);
}

void *host_array_add(struct host_array *array, size_t bytes)
{
	if (array->room - array->bytes < bytes &&
	    !host_array_grow(array, bytes))
		return NULL;
	array->bytes += bytes;
	return array->data + array->bytes - bytes;
}

void host_array_free(struct host_array *array)
{
	free(array->data);
	*array = (struct host_array){ 0 };
}

bool host_goes_in_circles(struct host_circle *circle,
			  const struct host_dirent *dirent)
{
	if (circle->seen++ == circle->next) {
		circle->next = 2 * circle->next + 1;
		circle->offset = dirent->offset;
		circle->ino = dirent->ino;
		strncpy(circle->name, dirent->name, sizeof(circle->name) - 1);
		return false;
	}
	return dirent->offset == circle->offset && dirent->ino == circle->ino &&
	       !strncmp(dirent->name, circle->name, sizeof(circle->name) - 1);
}

/* Of the records that have just come. */
static bool host_list_ends(struct host_circle *circle, const char *records,
			   s64 bytes)
{
	for (s64 at = 0; at < bytes;) {
		const struct host_dirent *dirent = (const void *)(records + at);

		if (host_goes_in_circles(circle, dirent))
			return false;
		at += dirent->bytes;
	}
	return true;
}

static s64 host_list_call(struct host_process *process,
			  struct host_listing *listing, s64 nr, u64 first,
			  u64 second, u64 third)
{
	const u64 args[6] = { first, second, third };

	host_process_call(process, nr, args, &listing->result);
	return listing->result.value;
}

static bool host_list_goes_on(struct host_listing *listing)
{
	return host_result_is_plain(&listing->result) &&
	       !(listing->stop && listing->stop(listing->stop_argument));
}

/* 0 or -errno; what is wrong besides is in the result. */
static s64 host_list_read(struct host_process *process,
			  struct host_listing *listing, int fd)
{
	struct host_circle circle = { 0 };
	char *room;
	s64 bytes;

	do {
		room = host_array_add(&listing->dents, DENTS_BYTES);
		if (!room)
			return -ENOMEM;
		bytes = host_list_call(process, listing, SYS_getdents64,
				       (u64)fd, (u64)room, DENTS_BYTES);
		listing->dents.bytes -= DENTS_BYTES;
		if (!host_list_ends(&circle, room, bytes))
			return -EUCLEAN;
		if (bytes > 0)
			listing->dents.bytes += (size_t)bytes;
	} while (bytes > 0 && host_list_goes_on(listing));
	return bytes < 0 ? bytes : 0;
}

static s64 host_list_path(struct host_process *process,
			  struct host_listing *listing, const char *path)
{
	const u64 args[6] = { (u64)AT_FDCWD, (u64)path,
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC };
	struct host_result result;
	s64 fd, code;

	host_process_call(process, SYS_openat, args, &listing->result);
	fd = listing->result.value;
	if (fd < 0)
		return fd;
	code = host_list_read(process, listing, (int)fd);
	if (listing->result.dead)
		return code;
	/* Closing must not hide the result that reading stopped for. */
	result = listing->result;
	host_list_call(process, listing, SYS_close, (u64)fd, 0, 0);
	if (host_result_is_plain(&listing->result))
		listing->result = result;
	return code;
}

static s64 host_list_fd(struct host_process *process,
			struct host_listing *listing, int fd)
{
	s64 code;

	code = host_list_call(process, listing, SYS_lseek, (u64)fd, 0,
			      SEEK_SET);
	if (code < 0)
		return code == -ESPIPE ? -ENOTDIR : code;
	code = host_list_read(process, listing, fd);
	if (code >= 0 && host_list_goes_on(listing))
		host_list_call(process, listing, SYS_lseek, (u64)fd, 0,
			       SEEK_SET);
	return code;
}

void host_list(struct host_process *process, const char *path, int fd,
	       struct host_listing *listing)
{
	listing->code = path ? host_list_path(process, listing, path) :
			       host_list_fd(process, listing, fd);
}
