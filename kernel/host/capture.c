// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that pass a captured interface, kept until they are taken, as enhanced
 * packet blocks of pcapng: a file is these behind a header. The kernel adds,
 * whoever wants takes. What there is no memory for is counted and left out.
 *
 * Source: draft-ietf-opsawg-pcapng, section 4.3.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "internal.h"

#define BLOCK_PACKET 6
#define OPTION_FLAGS 2
#define FIRST_BYTES (64UL << 10)

/* In front of the frame. */
struct block_head {
	u32 type, total, interface, time_high, time_low, captured, original;
};

/* Behind it and its padding. */
struct block_tail {
	unsigned short code, length;
	u32 flags;
	u32 end_of_options;
	u32 total;
};

void host_capture_init(struct host_capture *capture)
{
	memset(capture, 0, sizeof(*capture));
	pthread_mutex_init(&capture->lock, NULL);
}

void host_capture_exit(struct host_capture *capture)
{
	free(capture->blocks);
	capture->blocks = NULL;
	capture->bytes = capture->room = 0;
}

static char *host_capture_room(struct host_capture *capture, u64 bytes)
{
	u64 room = capture->room ? capture->room : FIRST_BYTES;
	char *blocks;

	while (room < capture->bytes + bytes)
		room *= 2;
	if (room != capture->room) {
		blocks = realloc(capture->blocks, room);
		if (!blocks)
			return NULL;
		capture->blocks = blocks;
		capture->room = room;
	}
	return capture->blocks + capture->bytes;
}

/* ops->frame */
void host_capture_frame(void *host, const struct ll_frame *frame)
{
	struct host_capture *capture = &((struct host_kernel *)host)->capture;
	u64 padded = (frame->bytes + 3ULL) & ~3ULL;
	u64 total =
		sizeof(struct block_head) + padded + sizeof(struct block_tail);
	struct block_head head = {
		.type = BLOCK_PACKET,
		.total = total,
		.interface = frame->interface,
		.time_high = frame->time >> 32,
		.time_low = frame->time,
		.captured = frame->bytes,
		.original = frame->bytes,
	};
	struct block_tail tail = {
		.code = OPTION_FLAGS,
		.length = sizeof(tail.flags),
		.flags = frame->direction,
		.total = total,
	};
	char *to;
	u32 i;

	pthread_mutex_lock(&capture->lock);
	to = host_capture_room(capture, total);
	if (to) {
		capture->bytes += total;
		memcpy(to, &head, sizeof(head));
		to += sizeof(head);
		for (i = 0; i < frame->nr_segments; i++) {
			memcpy(to, frame->segments[i].base,
			       frame->segments[i].bytes);
			to += frame->segments[i].bytes;
		}
		memset(to, 0, padded - frame->bytes);
		to += padded - frame->bytes;
		memcpy(to, &tail, sizeof(tail));
	} else {
		capture->lost++;
	}
	pthread_mutex_unlock(&capture->lock);
}

u64 host_kernel_captured(struct host_kernel *kernel, void **blocks, u64 *lost)
{
	struct host_capture *capture = &kernel->capture;
	u64 bytes;

	pthread_mutex_lock(&capture->lock);
	*blocks = capture->blocks;
	*lost = capture->lost;
	bytes = capture->bytes;
	capture->blocks = NULL;
	capture->bytes = capture->room = capture->lost = 0;
	pthread_mutex_unlock(&capture->lock);
	return bytes;
}
