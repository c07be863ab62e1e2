// SPDX-License-Identifier: GPL-2.0-only
/*
 * Content of files, holes included. Of a file no more is read than its status
 * has said, so that one that grows, or an image that lies, has an end; a file
 * that is said to be empty is read until it ends, for those of /proc say so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "copy_inside.h"

#define DATA_BLOCK_BYTES 4096ULL /* of zeros that become a hole */
#define DATA_SECTOR_BYTES 512

struct copy_file {
	struct host_copy *copy;
	size_t index;
	int from, to;
	u64 size;
	u64 written; /* the end of what was written */
};

static bool data_is_zero(const char *data, u64 bytes)
{
	return !data[0] && !memcmp(data, data + 1, bytes - 1);
}

static bool data_put(struct copy_file *file, const char *data, u64 bytes,
		     u64 offset)
{
	struct host_copy *copy = file->copy;

	while (bytes) {
		s64 done = end_pwrite(&copy->to.end, file->to, data, bytes,
				      offset);

		if (!host_result_is_plain(&copy->to.end.result))
			return false;
		if (done <= 0) {
			copy_problem(copy, file->index, HOST_COPY_WRITE,
				     done ? done : -EIO, NULL);
			return false;
		}
		data += done;
		bytes -= (u64)done;
		offset += (u64)done;
		file->written = offset;
	}
	return true;
}

/* The same without the blocks that are zero. */
static bool data_put_sparse(struct copy_file *file, const char *data, u64 bytes,
			    u64 offset)
{
	u64 at = 0, start = 0;

	while (at < bytes) {
		u64 part = bytes - at < DATA_BLOCK_BYTES ? bytes - at :
							   DATA_BLOCK_BYTES;

		if (data_is_zero(data + at, part)) {
			if (!data_put(file, data + start, at - start,
				      offset + start))
				return false;
			start = at + part;
		}
		at += part;
	}
	return data_put(file, data + start, bytes - start, offset + start);
}

/* Bytes from `at` to `end`, or to where the file ends before. */
static bool data_range(struct copy_file *file, u64 at, u64 end)
{
	struct host_copy *copy = file->copy;

	while (at < end) {
		u64 wanted = end - at < COPY_BUFFER_BYTES ? end - at :
							    COPY_BUFFER_BYTES;
		s64 done = end_pread(&copy->from.end, file->from, copy->buffer,
				     wanted, at);

		if (!copy_goes_on(copy))
			return false;
		if (done < 0)
			copy_problem(copy, file->index, HOST_COPY_READ, done,
				     NULL);
		if (done <= 0)
			return !done;
		*copy->counter += (u64)done;
		if (*copy->counter > copy->most) {
			copy_problem(copy, file->index, HOST_COPY_READ, -EFBIG,
				     NULL);
			return false;
		}
		if (copy->sparse == HOST_COPY_SPARSE_ALWAYS ?
			    !data_put_sparse(file, copy->buffer, (u64)done,
					     at) :
			    !data_put(file, copy->buffer, (u64)done, at))
			return false;
		at += (u64)done;
	}
	return true;
}

/* What lies between holes. */
static bool data_extents(struct copy_file *file)
{
	struct host_end *end = &file->copy->from.end;
	u64 at = 0;

	while (at < file->size) {
		s64 data = end_lseek(end, file->from, at, SEEK_DATA), hole;

		if (!copy_goes_on(file->copy))
			return false;
		if (data == -ENXIO)
			return true; /* nothing but a hole is left */
		/* It cannot say, or goes backwards: all of it is data. */
		if (data < (s64)at)
			return data_range(file, at, file->size);
		hole = end_lseek(end, file->from, (u64)data, SEEK_HOLE);
		if (hole <= data || (u64)hole > file->size)
			hole = (s64)file->size;
		if (!data_range(file, (u64)data, (u64)hole))
			return false;
		at = (u64)hole;
	}
	return true;
}

bool copy_data(struct host_copy *copy, size_t index, u64 size, u64 blocks,
	       int from, int to)
{
	struct copy_file file = { copy, index, from, to, size, 0 };
	bool whole;
	s64 code;

	if (!size)
		return copy->exact || data_range(&file, 0, INT64_MAX);
	if (copy->sparse != HOST_COPY_SPARSE_NEVER &&
	    blocks < (size + DATA_SECTOR_BYTES - 1) / DATA_SECTOR_BYTES)
		whole = data_extents(&file);
	else
		whole = data_range(&file, 0, size);
	if (!whole || file.written >= size)
		return whole;
	/* The hole at the end; a file that has shrunk gets one, too. */
	code = end_truncate(&copy->to.end, to, size);
	if (code < 0 && host_result_is_plain(&copy->to.end.result))
		copy_problem(copy, index, HOST_COPY_WRITE, code, NULL);
	return code >= 0;
}

/* ---- comparing ------------------------------------------------------- */

static s64 data_get(struct host_copy *copy, struct host_end *end, size_t index,
		    int fd, char *to, u64 offset)
{
	s64 done = end_pread(end, fd, to, COPY_BUFFER_BYTES / 2, offset);

	if (done < 0 && host_result_is_plain(&end->result))
		copy_problem(copy, index, HOST_COPY_READ, done, NULL);
	return done;
}

static void data_differs(struct host_copy *copy, size_t index, u64 offset)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)offset);
	copy_problem(copy, index, HOST_COPY_DIFFERS, 0, text);
}

void copy_compare_data(struct host_copy *copy, size_t index, int from, int to)
{
	char *one = copy->buffer, *other = one + COPY_BUFFER_BYTES / 2;
	u64 offset = 0;

	for (;;) {
		s64 here = data_get(copy, &copy->from.end, index, from, one,
				    offset);
		s64 there = here < 0 ? here :
				       data_get(copy, &copy->to.end, index, to,
						other, offset);
		s64 both = here < there ? here : there;

		if (both < 0 || !copy_goes_on(copy))
			return;
		*copy->counter += (u64)both;
		if (memcmp(one, other, (size_t)both)) {
			for (; *one == *other; one++, other++)
				offset++;
			data_differs(copy, index, offset);
			return;
		}
		offset += (u64)both;
		if (!both && here != there) /* one ends before the other */
			data_differs(copy, index, offset);
		if (!both)
			return;
	}
}
