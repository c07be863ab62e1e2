// SPDX-License-Identifier: GPL-2.0-only
/*
 * In the place of an isolated kernel's process: one that was taken over. It
 * starts as it should, and then answers in the way that -DLIE says. The parent
 * must end it, or raise, and never be harmed.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "batch.h"
#include "channel.h"

#define BIG 0x4000000000000000ULL

enum lie {
	MORE_THAN_ASKED = 1, /* every result is large */
	PIECES_TOO_LONG,
	PIECES_OF_NOTHING,
	PIECES_WITHOUT_END,
	RECORDS_OF_NOTHING, /* of listdir */
	NAMES_WITHOUT_END,
	PATHS_ELSEWHERE, /* of walk */
	ANSWERS_WITHOUT_END,
	DISKS_OF_OTHERS,
	ANYTHING,
	MEMORY_OF_OTHERS, /* to be shown or hidden; the call says which */
	NO_PAGES, /* that fault */
	PAGES_IN_WORDS, /* and are not shown */
	PAGES_OF_NOISE, /* shown, and changed all the time */
	PATHS_THAT_LEAD_OUT, /* of a tree that is extracted */
};

static struct channel *channel;

static u64 noise(void)
{
	static u64 state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill(char *area, size_t bytes, int value)
{
	size_t at;

	if (value >= 0)
		memset(area, value, bytes);
	for (at = 0; value < 0 && at < bytes; at += sizeof(u64)) {
		u64 word = noise() >> (noise() % 64);

		memcpy(area + at, &word, sizeof(word));
	}
}

static void piece(struct channel_slot *slot, u32 bytes)
{
	slot->piece_bytes[slot->produced % CHANNEL_PIECES] = bytes;
	channel_store(&slot->produced, slot->produced + 1);
	channel_ring(&slot->parent);
}

static void pieces(struct channel_slot *slot, u32 bytes, int count)
{
	while (count--) {
		while (slot->produced - channel_load(&slot->consumed) >=
		       CHANNEL_PIECES)
			usleep(100);
		piece(slot, bytes);
	}
}

/* Ask for what is not there, or not ours to touch. */
static void post(struct channel_slot *slot, u64 disk, u32 op, u64 offset,
		 u64 bytes)
{
	slot->post_at = disk;
	slot->post_op = op;
	slot->post_offset = offset;
	slot->post_bytes = bytes;
	channel_store(&slot->posted, slot->posted + 1);
	channel_ring(&slot->parent);
	while (channel_load(&slot->served) != slot->posted)
		usleep(100);
	if (!slot->served_result)
		_exit(77); /* it was done: the parent has failed */
}

/* The parent ends us at the first of these, whichever comes first. */
static void memory_of_others(struct channel_slot *slot)
{
	const u64 user = channel->header.user, page = 4096;
	const u64 file = CHANNEL_ARENA_BYTES(channel->header.memory_bytes);
	const u32 both = LL_PROT_READ | LL_PROT_WRITE;
	const struct {
		u32 op, flags;
		u64 address, offset, bytes;
	} wishes[] = {
		{ CHANNEL_SHOW, both, 0x400000, 0, page },
		{ CHANNEL_SHOW, both, (u64)channel, 0, page },
		{ CHANNEL_SHOW, both, user - page, 0, page },
		{ CHANNEL_SHOW, both, user, file, page },
		{ CHANNEL_SHOW, both, user, file - page, 2 * page },
		{ CHANNEL_SHOW, both, user, -page, page },
		{ CHANNEL_SHOW, both, user + 1, 0, page },
		{ CHANNEL_SHOW, both, user, 1, page },
		{ CHANNEL_SHOW, both, user, 0, 0 },
		{ CHANNEL_SHOW, both, user, 0, -page },
		{ CHANNEL_SHOW, both, user, 0, 65 * GIB },
		{ CHANNEL_SHOW, LL_PROT_EXEC | both, user, 0, page },
		{ CHANNEL_SHOW, LL_PROT_WRITE, user, 0, page },
		{ CHANNEL_HIDE, 0, (u64)channel, 0, page },
		{ CHANNEL_HIDE, 0, 0x400000, 0, page },
		{ CHANNEL_HIDE, 0, user, 0, 65 * GIB },
		{ CHANNEL_HIDE, 0, user, 0, page + 1 },
	};
	u64 which = (u64)slot->nr;

	slot->value = sizeof(wishes) / sizeof(*wishes);
	if (which >= (u64)slot->value)
		return;
	slot->post_flags = wishes[which].flags;
	post(slot, wishes[which].address, wishes[which].op,
	     wishes[which].offset, wishes[which].bytes);
}

/* The page is there, and gone, and another one, while it is looked at. */
static void pages_of_noise(struct channel_slot *slot)
{
	u64 page = slot->args[0] & ~4095ULL;
	int turn;

	slot->value = 0;
	for (turn = 0; turn < 20; turn++) {
		slot->post_at = page;
		slot->post_op = turn % 2 ? CHANNEL_HIDE : CHANNEL_SHOW;
		slot->post_flags = LL_PROT_READ | LL_PROT_WRITE;
		slot->post_offset = noise() % 1000 * 4096;
		slot->post_bytes = 4096;
		channel_store(&slot->posted, slot->posted + 1);
		channel_ring(&slot->parent);
		while (channel_load(&slot->served) != slot->posted)
			;
	}
	if (noise() % 4)
		return;
	slot->post_op = CHANNEL_SHOW;
	channel_store(&slot->posted, slot->posted + 1);
	channel_ring(&slot->parent);
	while (channel_load(&slot->served) != slot->posted)
		;
}

struct made_up {
	const char *path;
	unsigned int mode;
	u64 parent;
};

/* Entries that nobody can have made, the outside of the target in most. */
static const struct made_up tree[] = {
	{ "", S_IFDIR | 0755, -1 },
	{ "..", S_IFDIR | 0777, 0 },
	{ "../outside/1", S_IFREG | 0644, 1 },
	{ "../outside", S_IFDIR | 0755, 0 },
	{ "../outside/2", S_IFREG | 0644, 3 },
	{ "/outside/3", S_IFREG | 0644, 0 },
	{ "/", S_IFDIR | 0644, 0 },
	{ ".", S_IFDIR | 0777, 0 },
	{ "link", S_IFLNK | 0777, 0 },
	{ "link", S_IFDIR | 0777, 0 },
	{ "link/4", S_IFREG | 0644, 9 },
	{ "link/5", S_IFREG | 0644, 0 },
	{ "sub", S_IFDIR | 0755, 0 },
	{ "sub/../../outside/6", S_IFREG | 0644, 12 },
	{ "sub/link", S_IFLNK | 0777, 12 },
	{ "sub/link/7", S_IFREG | 0644, 12 },
	{ "sub/fine", S_IFREG | 0644, 12 },
	{ "sub/fine", S_IFREG | 0644, 12 },
	{ "", S_IFREG | 0644, -1 },
	{ "sub/", S_IFREG | 0644, BIG },
};

/* As many bytes as a file is said to have; where all links lead. */
#define MADE_UP_BYTES 7
#define MADE_UP_LINK "../outside"

static void make_up_tree(struct channel_slot *slot, char *area)
{
	size_t count = sizeof(tree) / sizeof(*tree), at;
	char *to = area;
	u64 path_at = 0;

	for (at = 0; at < count; at++)
		to = stpcpy(to, tree[at].path) + 1;
	slot->counts[0] = (u64)(to - area);
	for (at = 0; at < count; at++) {
		struct host_walk_entry entry = {
			.path_at = path_at,
			.path_bytes = strlen(tree[at].path),
			.parent = tree[at].parent,
		};
		struct host_statx status = {
			.mode = (uint16_t)tree[at].mode,
			.nlink = 1,
			.ino = at,
			.size = MADE_UP_BYTES,
			.blocks = 8,
		};

		memcpy(entry.status, &status, sizeof(entry.status));
		memcpy(to, &entry, sizeof(entry));
		to += sizeof(entry);
		path_at += entry.path_bytes + 1;
	}
	slot->counts[1] = count * sizeof(struct host_walk_entry);
}

static void make_up_answer(struct channel_slot *slot, char *area)
{
	switch (slot->nr) {
	case SYS_openat:
	case SYS_openat2:
		slot->value = 3;
		break;
	case SYS_pread64:
		slot->value = MADE_UP_BYTES;
		break;
	case SYS_readlinkat:
		strcpy(area + 64, MADE_UP_LINK); /* behind a short name */
		slot->value = sizeof(MADE_UP_LINK) - 1;
		break;
	case SYS_getcwd:
		strcpy(area, "/");
		slot->value = 2;
		break;
	}
}

static void lie(struct channel_slot *slot, char *area)
{
	slot->value = 0;
	slot->flags = 0;
	memset(slot->counts, 0, sizeof(slot->counts));
	switch (LIE) {
	case MORE_THAN_ASKED:
		slot->value = 0x7fffffff;
		break;
	case PIECES_TOO_LONG:
		pieces(slot, 0xfffffff0, slot->op == CHANNEL_READ);
		break;
	case PIECES_OF_NOTHING:
		pieces(slot, 0, slot->op == CHANNEL_READ ? 1000 : 0);
		break;
	case PIECES_WITHOUT_END:
		pieces(slot, CHANNEL_PIECE_BYTES,
		       slot->op == CHANNEL_READ ? 1000 : 0);
		break;
	case RECORDS_OF_NOTHING:
		fill(area, 4096, 0);
		slot->counts[0] = 4096;
		break;
	case NAMES_WITHOUT_END:
		fill(area, 4096, 'x');
		area[16] = 24;
		area[17] = 0;
		slot->counts[0] = 24;
		break;
	case PATHS_ELSEWHERE:
		fill(area, CHANNEL_CALL_BYTES, 0x7f);
		slot->counts[0] = 8;
		slot->counts[1] = 8192;
		slot->counts[2] = 8192;
		break;
	case ANSWERS_WITHOUT_END:
		slot->counts[0] = BIG;
		slot->counts[1] = slot->counts[2] = 3 * BIG;
		break;
	case DISKS_OF_OTHERS:
		if (slot->op != CHANNEL_CALL)
			break;
		post(slot, 5, LL_IO_READ, 0, 4096);
		post(slot, BIG, LL_IO_READ, 0, 4096);
		post(slot, 0, LL_IO_WRITE, 0, 4096); /* it is read-only */
		post(slot, 0, LL_IO_READ, BIG, 4096);
		post(slot, 0, LL_IO_READ, 0, BIG);
		post(slot, 0, LL_IO_READ, 1 << 20, 4096);
		post(slot, 0, LL_IO_READ, -4096ULL, 8192);
		post(slot, 0, 77, 0, 4096);
		break;
	case MEMORY_OF_OTHERS:
		if (slot->op == CHANNEL_CALL)
			memory_of_others(slot);
		break;
	case NO_PAGES:
		if (slot->op == CHANNEL_FAULT)
			slot->value = -14;
		else
			slot->value = (s64)channel->header.user;
		break;
	case PAGES_IN_WORDS:
		if (slot->op != CHANNEL_FAULT)
			slot->value = (s64)channel->header.user;
		break;
	case PAGES_OF_NOISE:
		slot->value = (s64)channel->header.user;
		if (slot->op == CHANNEL_FAULT)
			pages_of_noise(slot);
		break;
	case ANYTHING:
		fill(area, 65536, -1);
		slot->value = (s64)(noise() >> (noise() % 64));
		slot->flags = noise() & ~(u32)CHANNEL_DEAD;
		slot->counts[0] = noise() % 70000;
		slot->counts[1] = noise() % 70000;
		slot->counts[2] = noise() % 70000;
		slot->tid = (u32)noise();
		break;
	case PATHS_THAT_LEAD_OUT:
		if (slot->op == CHANNEL_WALK)
			make_up_tree(slot, area);
		else
			make_up_answer(slot, area);
		break;
	}
}

int main(void)
{
	struct channel_header *first = mmap(NULL, sizeof(*first), PROT_READ,
					    MAP_SHARED, CHANNEL_FD_MEMORY, 0);
	struct channel_slot *slot;

	if (first == MAP_FAILED)
		return 1;
	channel = mmap((void *)first->address, sizeof(*channel),
		       PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		       CHANNEL_FD_MEMORY, 0);
	if (channel == MAP_FAILED)
		return 1;
	memset(channel->header.release, 'r', CHANNEL_RELEASE_BYTES);
	memset(channel->header.syscalls, '1', CHANNEL_SYSCALLS_BYTES);
	channel_store(&channel->header.state, CHANNEL_READY);
	channel_ring(&channel->header.boot);
	slot = &channel->slots[0];
	while (getppid() != 1) {
		if (channel_load(&slot->request) == slot->finished) {
			usleep(100);
			continue;
		}
		lie(slot, channel->areas[0]);
		channel_store(&slot->finished, slot->request);
		channel_ring(&slot->parent);
	}
	return 0;
}
