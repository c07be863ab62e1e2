/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying entries of a tree that was walked (batch.h) to another place, with
 * everything that belongs to them. What is to be copied, in which order and how
 * strictly, is the embedding's to say; here is what has to be quick.
 *
 * Three passes make a copy. MAKE creates entries and their content, and all
 * that belongs to those which are no directories. FINISH, for the directories,
 * the deepest first, is what making their content would have changed or what
 * would have been in its way. FLAGS is what forbids all further changes.
 *
 * Two more passes belong to it: REMOVE takes away what MAKE has created, and
 * COMPARE looks whether files that both ends have are the same.
 *
 * What does not work is noted as a problem, and the copy goes on with the next
 * entry; of what was created and could not be completed nothing is left. A
 * problem that belongs to no entry (no space, a kernel that has died) ends it.
 *
 * Nobody gets out of the tree: an entry's directory is opened without following
 * any link, and from there on only the last part of its path is used.
 */
#ifndef LIBLINUX_COPY_H
#define LIBLINUX_COPY_H

#include "batch.h"
#include "ends.h"

enum host_copy_pass {
	HOST_COPY_MAKE,
	HOST_COPY_FINISH,
	HOST_COPY_FLAGS,
	HOST_COPY_REMOVE, /* what MAKE has created, the last first */
	HOST_COPY_COMPARE, /* content of files that both ends have; no copy */
};

enum host_copy_keep {
	HOST_COPY_OWNER = 1,
	HOST_COPY_MODE = 2,
	HOST_COPY_TIMES = 4,
	HOST_COPY_XATTRS = 8, /* ACLs among them */
	HOST_COPY_CHATTR = 16,
	HOST_COPY_EMPTY = 32, /* and no content: only to see what is lost */
	HOST_COPY_FSYNC = 64, /* each file is on the disk before it is named */
};

enum host_copy_sparse {
	HOST_COPY_SPARSE_AUTO, /* holes stay holes */
	HOST_COPY_SPARSE_ALWAYS, /* and zeros become holes */
	HOST_COPY_SPARSE_NEVER,
};

enum host_copy_existing {
	HOST_COPY_REPLACE, /* by renaming what is complete */
	HOST_COPY_SKIP,
	HOST_COPY_REFUSE, /* EEXIST */
};

/* What did not work. From LINK on: something is lost, the entry is there. */
enum host_copy_trouble {
	HOST_COPY_NAME, /* no name that may be used */
	HOST_COPY_OPEN, /* the source */
	HOST_COPY_READ,
	HOST_COPY_CREATE,
	HOST_COPY_WRITE,
	HOST_COPY_RENAME,
	HOST_COPY_LOST_LINK, /* it is a file of its own */
	HOST_COPY_LOST_OWNER, /* error 0: the target has kept another one */
	HOST_COPY_LOST_MODE,
	HOST_COPY_LOST_TIMES,
	HOST_COPY_LOST_XATTR, /* with its name */
	HOST_COPY_LOST_CHATTR, /* with its letter */
	HOST_COPY_DIFFERS, /* COMPARE: with the offset of the first byte */
};

struct host_copy_problem {
	u64 index; /* of the entry */
	u32 trouble;
	int32_t error;
	u64 text_at, text_bytes; /* in `texts` */
};

/* What is remembered of an entry between the passes; zeroes at first. */
struct host_copy_note {
	u32 chattr; /* to be set by FLAGS */
	unsigned char made; /* it is there */
	unsigned char fresh; /* a directory that this copy has created */
	uint16_t reserved;
};

struct host_copy_end {
	struct host_end end;
	int dir; /* the directory that the top is in */
	const char *dir_path; /* its own, for calls that take no descriptor */
	const char *name; /* of the top in it */
	int top; /* the top, when it is a directory that is there; else -1 */
	/* While it runs: the directory of the current entry. */
	int parent; /* or -1 */
};

struct host_copy {
	const struct host_walk_entry *entries;
	size_t nr_entries;
	const char *paths;
	struct host_copy_note *notes; /* one for each entry */
	const s64 *indices; /* which entries, in which order */
	const s64 *links; /* NULL, or for each: whose other name it is, or -1 */
	size_t count;
	struct host_copy_end from, to;
	enum host_copy_pass pass;
	u32 keep; /* enum host_copy_keep */
	u32 mode_mask; /* of the modes */
	enum host_copy_sparse sparse;
	enum host_copy_existing existing;
	bool exact; /* of a file whose size is said to be 0 nothing is read */
	u64 most; /* bytes of data; more end the copy with EFBIG */
	s64 newest; /* later times, in seconds since the epoch, become this */
	const char *temporary; /* the name of what will be renamed */
	bool (*stop)(void *argument); /* or NULL */
	void *stop_argument;
	u64 *counter; /* bytes of data read so far; may be watched */
	/* The answer. */
	size_t done; /* how many of `count` */
	struct host_array problems, texts;
	bool out_of_memory;
	int fatal; /* errno of what ended it; its entry is the last problem */
	/* While it runs. */
	char *buffer, *names, *value, *full;
	size_t parent_of; /* an entry of the open parents; SIZE_MAX: none */
};

void host_copy_run(struct host_copy *copy);
void host_copy_free(struct host_copy *copy);

#endif /* LIBLINUX_COPY_H */
