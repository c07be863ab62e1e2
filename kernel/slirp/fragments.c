// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments of IPv4, put together before libslirp sees them: Debian's libslirp
 * 4.7.0 ends with SIGBUS when the last one of a datagram comes first (its lists are
 * read before they are written, which its C allows the compiler to do).
 *
 * The way of RFC 791 (3.2): a buffer and a table of the blocks of eight bytes that
 * are there. A fragment that overlaps another ends its datagram, as in Linux; one
 * that came twice is ignored. When all places are taken the oldest datagram goes.
 */
#include <stddef.h>
#include <string.h>
#include "door.h"

#define FRAGMENTS_DATAGRAMS 16
#define FRAGMENTS_LIFE_MS 30000 /* as in Linux, net.ipv4.ipfrag_time */
#define FRAGMENTS_BLOCK_BYTES 8
#define FRAGMENTS_BLOCKS (65536 / FRAGMENTS_BLOCK_BYTES)
#define FRAGMENTS_HEADER_BYTES 60
#define FRAGMENTS_DATA (DOOR_ETHERNET_BYTES + FRAGMENTS_HEADER_BYTES)

struct fragments {
	int64_t began; /* 0: free */
	unsigned char key[11]; /* of the header: id, protocol, addresses */
	int header; /* 0: the first one is not there yet */
	int length; /* of the data; 0: the last one is not there yet */
	int blocks; /* that are there */
	int end; /* of what is there */
	uint64_t there[FRAGMENTS_BLOCKS / 64];
	/* Ethernet and IP end where the data begin. */
	unsigned char frame[FRAGMENTS_DATA + 65536];
};

static struct fragments fragments[FRAGMENTS_DATAGRAMS];

static void fragments_key(const unsigned char *ip, unsigned char *key)
{
	memcpy(key, ip + 4, 2);
	key[2] = ip[9];
	memcpy(key + 3, ip + 12, 8);
}

static struct fragments *fragments_find(const unsigned char *ip, int64_t now)
{
	struct fragments *one, *oldest = fragments;
	unsigned char key[sizeof(one->key)];

	fragments_key(ip, key);
	for (one = fragments; one < fragments + FRAGMENTS_DATAGRAMS; one++) {
		if (one->began && now - one->began > FRAGMENTS_LIFE_MS)
			one->began = 0;
		if (one->began && !memcmp(one->key, key, sizeof(key)))
			return one;
		if (one->began < oldest->began)
			oldest = one;
	}
	memset(oldest, 0, offsetof(struct fragments, frame));
	memcpy(oldest->key, key, sizeof(key));
	oldest->began = now;
	return oldest;
}

/* How many of these blocks are there; and from now on all are. */
static int fragments_mark(struct fragments *one, int first, int count)
{
	int at, there = 0;

	for (at = first; at < first + count; at++) {
		uint64_t bit = 1ULL << (at % 64);

		there += !!(one->there[at / 64] & bit);
		one->there[at / 64] |= bit;
	}
	one->blocks += count - there;
	return there;
}

/* The header that the datagram will have, and what is in front of it. */
static void fragments_head(struct fragments *one, const unsigned char *frame,
			   int header)
{
	memcpy(one->frame + FRAGMENTS_DATA - header - DOOR_ETHERNET_BYTES, frame,
	       header + DOOR_ETHERNET_BYTES);
	one->header = header;
}

/* The checksum over a header: 0 when there is a right one in it. */
static uint16_t fragments_sum(const unsigned char *ip, int header)
{
	uint32_t sum = 0;
	int at;

	for (at = 0; at < header; at += 2)
		sum += door_u16(ip + at);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static void fragments_finish(unsigned char *ip, int header, int length)
{
	door_put16(ip + 2, length);
	door_put16(ip + 6, 0);
	door_put16(ip + 10, 0);
	door_put16(ip + 10, fragments_sum(ip, header));
}

static bool fragments_whole(struct fragments *one, struct door_frame *frame)
{
	int header = one->header, length = header + one->length;

	if (!header || !one->length ||
	    one->blocks * FRAGMENTS_BLOCK_BYTES < one->length)
		return false;
	one->began = 0;
	if (length > 65535)
		return false;
	frame->data =
		one->frame + FRAGMENTS_DATA - header - DOOR_ETHERNET_BYTES;
	frame->bytes = DOOR_ETHERNET_BYTES + length;
	fragments_finish(frame->data + DOOR_ETHERNET_BYTES, header, length);
	return true;
}

bool door_fragment(struct door_frame *frame, int header, int64_t now)
{
	unsigned char *ip = frame->data + DOOR_ETHERNET_BYTES;
	int at = (door_u16(ip + 6) & 0x1fff) * FRAGMENTS_BLOCK_BYTES;
	int bytes = frame->bytes - DOOR_ETHERNET_BYTES - header;
	bool more = ip[6] & 0x20;
	int blocks = (bytes + FRAGMENTS_BLOCK_BYTES - 1) / FRAGMENTS_BLOCK_BYTES;
	struct fragments *one;
	int there;

	if (!bytes || at + bytes > 65535 - DOOR_IP4_BYTES ||
	    (more && bytes % FRAGMENTS_BLOCK_BYTES) ||
	    fragments_sum(ip, header))
		return false;
	one = fragments_find(ip, now);
	there = fragments_mark(one, at / FRAGMENTS_BLOCK_BYTES, blocks);
	if (there == blocks)
		return false;
	/* Two ends, or something beyond the end, cannot be either. */
	if (there || (one->length && (!more || at >= one->length)) ||
	    (!more && at + bytes < one->end)) {
		one->began = 0;
		return false;
	}
	memcpy(one->frame + FRAGMENTS_DATA + at, ip + header, bytes);
	if (!at)
		fragments_head(one, frame->data, header);
	if (!more)
		one->length = at + bytes;
	if (at + bytes > one->end)
		one->end = at + bytes;
	return fragments_whole(one, frame);
}
