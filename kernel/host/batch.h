/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Many system calls for one question: a directory, a whole tree. They are made
 * here and not by the embedding, so that they can be made wherever the kernel
 * is. What is found is gathered in growing arrays of plain bytes.
 *
 * A batch ends early when a call has no result of its own (see
 * host_result_is_plain()), when memory is out, or when `stop` says so.
 */
#ifndef LIBLINUX_BATCH_H
#define LIBLINUX_BATCH_H

#include "host.h"
#include "statx.h"

struct host_array {
	char *data;
	size_t bytes, room;
};

/* Room for `bytes` more, which count as used; NULL: out of memory. */
void *host_array_add(struct host_array *array, size_t bytes);
void host_array_free(struct host_array *array);

/* Of getdents64. */
struct host_dirent {
	u64 ino;
	s64 offset;
	uint16_t bytes;
	unsigned char type;
	char name[];
};

/*
 * A damaged directory may come back to an earlier place of itself and so have
 * no end. One record is remembered, and another one after each doubling of
 * their number (Brent's algorithm): if it comes again, the directory goes in
 * circles, and is answered with EUCLEAN as other damage is.
 */
struct host_circle {
	u64 seen, next; /* records so far, and which one to remember next */
	u64 ino;
	s64 offset;
	char name[256];
};

bool host_goes_in_circles(struct host_circle *circle,
			  const struct host_dirent *dirent);

static inline bool host_is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static inline bool host_result_is_plain(const struct host_result *result)
{
	return !(result->dead | result->deadlock | result->interrupted |
		 result->reentered);
}

struct host_listing {
	struct host_result result; /* of the last call */
	s64 code; /* 0, or -errno */
	struct host_array dents; /* struct host_dirent, with dots */
	bool (*stop)(void *argument); /* or NULL */
	void *stop_argument;
};

/*
 * The entries of a directory, by its path, or by a descriptor when `path` is
 * NULL; its position is at the beginning afterwards.
 */
void host_list(struct host_process *process, const char *path, int fd,
	       struct host_listing *listing);

/* What is kept of struct statx. */
#define HOST_STATX_KEPT_BYTES offsetof(struct host_statx, spare)

struct host_walk_entry {
	u64 path_at; /* in `paths`, zero-terminated */
	u64 path_bytes;
	char status[HOST_STATX_KEPT_BYTES] __attribute__((aligned(8)));
	u64 parent; /* its directory's index, while the walk goes on */
	u64 volume; /* what differs between two mounts of one device */
};

struct host_walk_error {
	u64 path_at;
	u64 path_bytes;
	s64 number;
};

struct host_walk {
	struct host_result result; /* of the last call */
	s64 code; /* 0, or the -errno of opening the top */
	struct host_array paths;
	struct host_array entries; /* struct host_walk_entry */
	struct host_array errors; /* struct host_walk_error */
	bool follow_mounts;
	bool with_top; /* as entry 0, with an empty path; not followed */
	u64 most; /* entries; with more the code is -E2BIG. 0: any number */
	bool out_of_memory;
	bool (*stop)(void *argument); /* or NULL */
	void *stop_argument;
	/* While it runs. */
	u32 questions; /* occasions to ask `stop` */
	struct host_process *process;
	char *dents;
	size_t *entered; /* a hash table of indices + 1, 0 is free */
	size_t nr_entered, entered_room;
	struct host_statx top;
};

/*
 * Everything below `path`, by breadth, with the status of each. Without a
 * process: of the host.
 */
void host_walk(struct host_process *process, const char *path,
	       struct host_walk *walk);
void host_walk_free(struct host_walk *walk);

#endif /* LIBLINUX_BATCH_H */
