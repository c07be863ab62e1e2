// SPDX-License-Identifier: GPL-2.0-only
/*
 * What belongs to an entry: owner, extended attributes, mode, times, in this
 * order. A new owner takes the setuid bit and file capabilities away, an ACL
 * changes the mode, everything changes times.
 *
 * A target may take a value and keep another one (FAT rounds times): in the end
 * it is asked what it has, and what differs is noted as lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "copy_inside.h"

/* s u c S i a d A j t D T C P of chattr(1); others say how a file is stored. */
#define KEEP_CHATTR 0x2083c0ffu

static bool keep_begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/*
 * A format's own view of what others have by another name is left out: of XFS
 * its ACLs, of NTFS owner and mode ("$LXUID" and so on, those of Windows' Linux).
 */
static bool keep_is_wanted(const char *name)
{
	if (keep_begins(name, "system."))
		return keep_begins(name, "system.posix_acl_");
	return !keep_begins(name, "trusted.SGI_ACL_") &&
	       !keep_begins(name, "$LX");
}

/*
 * A path for calls that take no descriptor: through the parent's on the host,
 * where the tree may change; from the root in a kernel, where /proc may be
 * missing. False: it is too long.
 */
static bool keep_path(struct host_copy *copy, struct host_copy_end *side,
		      size_t index, const struct copy_name *name,
		      const char *last, char *to)
{
	const struct host_walk_entry *entry = &copy->entries[index];
	const char *top = entry->path_bytes ? side->name : "";
	int bytes;

	if (!side->end.side)
		bytes = snprintf(to, COPY_PATH_BYTES, "/proc/self/fd/%d/%s",
				 side->parent, last);
	else
		bytes = snprintf(to, COPY_PATH_BYTES, "%s/%s/%.*s/%s",
				 side->dir_path, top, (int)name->parent_bytes,
				 copy->paths + entry->path_at, last);
	return bytes < COPY_PATH_BYTES;
}

static void keep_attribute(struct host_copy *copy, size_t index, int from,
			   int to, const char *from_path, const char *to_path,
			   const char *name)
{
	s64 bytes = end_getxattr(&copy->from.end, from, from_path, name,
				 copy->value, COPY_LIST_BYTES);
	s64 code;

	if (!host_result_is_plain(&copy->from.end.result) ||
	    bytes == -ENODATA) /* it has just gone */
		return;
	code = bytes < 0 ? bytes :
			   end_setxattr(&copy->to.end, to, to_path, name,
					copy->value, (u64)bytes);
	if (code < 0 && host_result_is_plain(&copy->to.end.result))
		copy_problem(copy, index, HOST_COPY_LOST_XATTR, code, name);
}

static void keep_attributes(struct host_copy *copy, size_t index,
			    const struct copy_name *name, int from, int to,
			    const char *to_name)
{
	char *from_path = copy->full, *to_path = copy->full + COPY_PATH_BYTES;
	s64 bytes;

	if (from < 0 &&
	    !keep_path(copy, &copy->from, index, name, name->from, from_path)) {
		copy_problem(copy, index, HOST_COPY_LOST_XATTR, -ENAMETOOLONG,
			     "(those of the source)");
		return;
	}
	bytes = end_listxattr(&copy->from.end, from, from_path, copy->names,
			      COPY_LIST_BYTES);
	if (bytes <= 0) {
		if (bytes < 0 && bytes != -EOPNOTSUPP &&
		    host_result_is_plain(&copy->from.end.result))
			copy_problem(copy, index, HOST_COPY_LOST_XATTR, bytes,
				     "(the list of them)");
		return;
	}
	copy->names[bytes] = 0;
	if (to < 0 &&
	    !keep_path(copy, &copy->to, index, name, to_name, to_path)) {
		copy_problem(copy, index, HOST_COPY_LOST_XATTR, -ENAMETOOLONG,
			     copy->names);
		return;
	}
	for (const char *attribute = copy->names;
	     attribute < copy->names + bytes;
	     attribute += strlen(attribute) + 1)
		if (*attribute && keep_is_wanted(attribute))
			keep_attribute(copy, index, from, to, from_path,
				       to_path, attribute);
}

static u32 keep_mode(struct host_copy *copy, const struct host_statx *status)
{
	return status->mode & 07777 & copy->mode_mask;
}

static void keep_clamp(const struct host_copy *copy,
		       struct host_statx_time *time)
{
	if (time->seconds < copy->newest)
		return;
	time->seconds = copy->newest;
	time->nanoseconds = 0;
}

static bool keep_same_time(const struct host_statx_time *one,
			   const struct host_statx_time *other)
{
	return one->seconds == other->seconds &&
	       one->nanoseconds == other->nanoseconds;
}

static void keep_check(struct host_copy *copy, size_t index, u32 keep,
		       const struct host_statx *wanted,
		       const struct host_statx *found)
{
	if ((keep & HOST_COPY_OWNER) &&
	    (wanted->uid != found->uid || wanted->gid != found->gid))
		copy_problem(copy, index, HOST_COPY_LOST_OWNER, 0, NULL);
	if ((keep & HOST_COPY_MODE) &&
	    keep_mode(copy, wanted) != (found->mode & 07777u))
		copy_problem(copy, index, HOST_COPY_LOST_MODE, 0, NULL);
	if ((keep & HOST_COPY_TIMES) &&
	    (!keep_same_time(&wanted->mtime, &found->mtime) ||
	     !keep_same_time(&wanted->atime, &found->atime)))
		copy_problem(copy, index, HOST_COPY_LOST_TIMES, 0, NULL);
}

/* One of owner, mode, times has been set; what failed is not checked again. */
static void keep_result(struct host_copy *copy, size_t index, u32 bit,
			enum host_copy_trouble trouble, s64 code, u32 *check)
{
	if (code >= 0 || !(*check & bit))
		return;
	*check &= ~bit;
	if (host_result_is_plain(&copy->to.end.result))
		copy_problem(copy, index, trouble, code, NULL);
}

u32 copy_chattr(struct host_copy *copy, size_t index, int from)
{
	u32 flags;

	if (!(copy->keep & HOST_COPY_CHATTR) || from < 0 ||
	    end_get_flags(&copy->from.end, from, &flags) < 0)
		return 0;
	copy->notes[index].chattr = flags & KEEP_CHATTR;
	return flags & KEEP_CHATTR;
}

#define KEEP_FIRST 6 /* "i" and "a", before it, forbid all others */

/* One by one, since one that is refused is not to be in the way of others. */
void copy_set_chattr(struct host_copy *copy, size_t index, int to)
{
	static const char letters[32] = "sucSiadA------jtDT-----C-----P";
	u32 wanted = copy->notes[index].chattr, flags;
	s64 code = end_get_flags(&copy->to.end, to, &flags);

	for (u32 at = 0; at < 32 && copy_goes_on(copy); at++) {
		u32 number = (at + KEEP_FIRST) % 32, bit = 1u << number;
		const char letter[2] = { letters[number] };

		if (!(wanted & ~flags & bit))
			continue;
		if (code >= 0)
			code = end_set_flags(&copy->to.end, to, flags | bit);
		if (code >= 0)
			code = end_get_flags(&copy->to.end, to, &flags);
		if ((code < 0 || !(flags & bit)) && copy_goes_on(copy))
			copy_problem(copy, index, HOST_COPY_LOST_CHATTR,
				     code < 0 ? code : 0, letter);
	}
}

void copy_belongings(struct host_copy *copy, size_t index,
		     const struct copy_name *name, int from, int to,
		     const char *to_name)
{
	struct host_end *end = &copy->to.end;
	int dir = copy->to.parent;
	u32 keep = copy->keep, check = keep;
	struct host_statx status, found;

	copy_status(copy, index, &status);
	keep_clamp(copy, &status.atime);
	keep_clamp(copy, &status.mtime);
	if (S_ISLNK(status.mode))
		check = keep &= ~(u32)HOST_COPY_MODE; /* it has none */
	if (keep & HOST_COPY_OWNER)
		keep_result(copy, index, HOST_COPY_OWNER, HOST_COPY_LOST_OWNER,
			    end_chown(end, to, dir, to_name, status.uid,
				      status.gid),
			    &check);
	if (keep & HOST_COPY_XATTRS)
		keep_attributes(copy, index, name, from, to, to_name);
	if (!S_ISLNK(status.mode))
		keep_result(copy, index, HOST_COPY_MODE, HOST_COPY_LOST_MODE,
			    end_chmod(end, to, dir, to_name,
				      keep_mode(copy, &status)),
			    &check);
	if (keep & HOST_COPY_TIMES)
		keep_result(copy, index, HOST_COPY_TIMES, HOST_COPY_LOST_TIMES,
			    end_utimes(end, to, dir, to_name, &status), &check);
	if (!(check & (HOST_COPY_OWNER | HOST_COPY_MODE | HOST_COPY_TIMES)) ||
	    !copy_goes_on(copy))
		return;
	if (end_statx(end, to < 0 ? dir : to, to < 0 ? to_name : "", &found) >=
	    0)
		keep_check(copy, index, check, &status, &found);
}
