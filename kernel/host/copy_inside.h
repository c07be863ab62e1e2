/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the copy have to tell each other: copy.c has the passes,
 * copy_path.c names and directories, copy_make.c creates entries, copy_data.c
 * their content, copy_keep.c all that belongs to them.
 */
#ifndef LIBLINUX_COPY_INSIDE_H
#define LIBLINUX_COPY_INSIDE_H

#include "copy.h"

#define COPY_NONE SIZE_MAX
#define COPY_BUFFER_BYTES (1 << 20)
#define COPY_LIST_BYTES 65536 /* XATTR_LIST_MAX, XATTR_SIZE_MAX */
#define COPY_PATH_BYTES 4096

/* The last part of an entry's path, and how long what is before it is. */
struct copy_name {
	char from[256], to[256];
	size_t parent_bytes;
};

/* Both ends can still be called, and nobody wants to stop. */
bool copy_goes_on(struct host_copy *copy);
/* Note a problem; `text` may be NULL. */
void copy_problem(struct host_copy *copy, size_t index,
		  enum host_copy_trouble trouble, s64 code, const char *text);
/* Content; false, and noted, when it is not complete. */
bool copy_data(struct host_copy *copy, size_t index, u64 size, u64 blocks,
	       int from, int to);
/* Is the content the same? What is not is noted. */
void copy_compare_data(struct host_copy *copy, size_t index, int from, int to);
/*
 * What belongs to an entry: with open files, or by its name in the source and
 * `to_name` in the target when they are -1.
 */
void copy_belongings(struct host_copy *copy, size_t index,
		     const struct copy_name *name, int from, int to,
		     const char *to_name);
/* Note the source's flags of chattr(1). */
u32 copy_chattr(struct host_copy *copy, size_t index, int from);
/* Set them; of an open file of the target. */
void copy_set_chattr(struct host_copy *copy, size_t index, int to);
void copy_status(const struct host_copy *copy, size_t index,
		 struct host_statx *status);

/* Of an entry; false when it has none that may be used. */
bool copy_name(struct host_copy *copy, size_t index, struct copy_name *name);
/* A directory below the top, by so many bytes of a path; or -errno. */
int copy_open_below(struct host_copy_end *side, const char *path, size_t bytes);
/* Open the directories of an entry; false, and noted, when that cannot be. */
bool copy_enter(struct host_copy *copy, size_t index,
		const struct copy_name *name);
void copy_leave_parent(struct host_copy_end *side);
/* The note of an entry's directory; NULL of the top's. */
const struct host_copy_note *copy_parent_note(struct host_copy *copy,
					      size_t index);
/* Has a call of the target failed? It is noted then. */
bool copy_to_failed(struct host_copy *copy, size_t index,
		    enum host_copy_trouble trouble, s64 code);
/* The pass MAKE; `of`: the entry that it is another name of, or -1. */
void copy_make(struct host_copy *copy, size_t index, s64 of);

#endif /* LIBLINUX_COPY_INSIDE_H */
