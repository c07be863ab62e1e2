// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the channel that is not of one call: for calls with large buffers,
 * and for buffers that are to have an address which means the same to the
 * kernel. Whole pages, first fit; what is given back is empty afterwards.
 *
 * What is taken is known here and not in the channel.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include "keeper.h"

struct jail_range {
	u64 start, bytes;
	struct jail_range *next; /* at a higher address */
};

u64 jail_allocate(struct host_kernel *kernel, u64 bytes)
{
	struct jail *jail = jail_of(kernel);
	struct jail_range *range, **link = &jail->ranges;
	u64 start = (u64)jail->channel->heap;
	u64 end = start + CHANNEL_HEAP_BYTES;

	if (!bytes || bytes > CHANNEL_HEAP_BYTES || !jail_is_ours(jail))
		return 0;
	bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	range = malloc(sizeof(*range));
	if (!range)
		return 0;
	pthread_mutex_lock(&jail->lock);
	while (*link && (*link)->start - start < bytes) {
		start = (*link)->start + (*link)->bytes;
		link = &(*link)->next;
	}
	if (!*link && end - start < bytes) {
		pthread_mutex_unlock(&jail->lock);
		free(range);
		return 0;
	}
	*range = (struct jail_range){ start, bytes, *link };
	*link = range;
	pthread_mutex_unlock(&jail->lock);
	return start;
}

void jail_free(struct host_kernel *kernel, u64 address)
{
	struct jail *jail = jail_of(kernel);
	struct jail_range *range, **link = &jail->ranges;

	if (!jail_is_ours(jail))
		return;
	pthread_mutex_lock(&jail->lock);
	while (*link && (*link)->start != address)
		link = &(*link)->next;
	range = *link;
	if (range) {
		/* First: who gets it next may write to it at once. */
		madvise((void *)range->start, range->bytes, MADV_REMOVE);
		*link = range->next;
	}
	pthread_mutex_unlock(&jail->lock);
	free(range);
}

void jail_heap_exit(struct jail *jail)
{
	struct jail_range *range;

	while ((range = jail->ranges)) {
		jail->ranges = range->next;
		free(range);
	}
}
