// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's sight of the user window. What the memory unit shows or hides
 * there is posted to the thread of the parent that waits for this one, which is
 * the runner: there is one, for the kernel runs only in requests. Both functions
 * run on a fiber, and wait for the parent as long as that takes two system calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include "cell.h"

/* Where the parent can have anything; of the runner. */
static u64 cell_shown_first = ~0ULL, cell_shown_last;

static int cell_post_window(u32 op, u64 address, u64 offset, u64 bytes,
			    u32 protection)
{
	struct channel_slot *slot = cell_slot;

	slot->post_at = address;
	slot->post_op = op;
	slot->post_flags = protection;
	slot->post_offset = offset;
	slot->post_bytes = bytes;
	cell_publish(&slot->posted, slot->posted + 1);
	cell_wait(cell_is_served);
	return (int)slot->served_result;
}

int cell_show(void *context, u64 address, u64 offset, u64 bytes, u32 protection)
{
	(void)context;
	/* While it boots nobody waits, and nobody has a mapping to look at. */
	if (!cell_slot)
		return 0;
	/* What can be written can be read: the host knows no other. */
	if (protection & LL_PROT_WRITE)
		protection |= LL_PROT_READ;
	protection &= LL_PROT_READ | LL_PROT_WRITE;
	if (!protection)
		return 0;
	if (address < cell_shown_first)
		cell_shown_first = address;
	if (address + bytes > cell_shown_last)
		cell_shown_last = address + bytes;
	return cell_post_window(CHANNEL_SHOW, address, offset, bytes,
				protection);
}

int cell_hide(void *context, u64 address, u64 bytes)
{
	bool whole = bytes == USER_WINDOW_BYTES;

	(void)context;
	/* All of it always: a page may be there that no kernel has shown. */
	if (!cell_slot || (!whole && (address >= cell_shown_last ||
				      address + bytes <= cell_shown_first)))
		return 0;
	if (address <= cell_shown_first && address + bytes >= cell_shown_last) {
		cell_shown_first = ~0ULL;
		cell_shown_last = 0;
	}
	return cell_post_window(CHANNEL_HIDE, address, 0, bytes, 0);
}

void cell_fault(void)
{
	struct host_result result = {
		.value = host_kernel_touch(cell_kernel, cell_slot->args[0],
					   cell_slot->args[1]),
	};

	result.dead = result.value == -EOWNERDEAD;
	cell_answer(&result);
}
