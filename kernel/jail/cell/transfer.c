// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long reads and writes, in pieces: while the kernel fills one, the parent
 * empties another, and all of them stay in the processor's cache.
 *
 * Only files may be read on after a first piece: a pipe or socket may have no
 * more for a long time, and a short answer is right for them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "cell.h"

struct cell_transfer {
	struct host_process *process;
	u64 count, done;
	struct host_result result; /* of the last call */
};

static bool cell_is_file(struct cell_transfer *transfer, u64 fd)
{
	struct host_statx status;
	struct host_result result;
	const u64 args[6] = { fd, (u64) "", HOST_AT_EMPTY_PATH, HOST_STATX_MASK,
			      (u64)&status };

	host_process_call(transfer->process, SYS_statx, args, &result);
	return !result.value && (S_ISREG(status.mode) || S_ISBLK(status.mode));
}

static s64 cell_piece(struct cell_transfer *transfer, u32 piece, u64 bytes)
{
	char *memory = cell_area + piece % CHANNEL_PIECES * CHANNEL_PIECE_BYTES;
	const u64 args[6] = { cell_slot->args[0], (u64)memory, bytes,
			      cell_slot->args[3] + transfer->done };

	host_process_call(transfer->process, cell_slot->nr, args,
			  &transfer->result);
	return transfer->result.value;
}

static u64 cell_piece_bytes(const struct cell_transfer *transfer)
{
	u64 left = transfer->count - transfer->done;

	return left < CHANNEL_PIECE_BYTES ? left : CHANNEL_PIECE_BYTES;
}

/* An error after some bytes is for the next call to find, as ever. */
static void cell_transferred(struct cell_transfer *transfer)
{
	cell_answer(&transfer->result);
	if (transfer->done && !transfer->result.dead)
		cell_slot->value = (s64)transfer->done;
}

static bool cell_has_room(struct channel_slot *slot)
{
	return slot->produced - channel_load(&slot->consumed) < CHANNEL_PIECES;
}

void cell_read(void)
{
	struct cell_transfer transfer = {
		.process = cell_process(cell_slot->handle),
		.count = cell_slot->args[2],
	};
	bool file = cell_is_file(&transfer, cell_slot->args[0]);
	u64 bytes;
	s64 value;

	do {
		u32 piece = cell_slot->produced;

		cell_wait(cell_has_room);
		bytes = cell_piece_bytes(&transfer);
		value = cell_piece(&transfer, piece, bytes);
		if (value <= 0)
			break;
		transfer.done += (u64)value;
		cell_slot->piece_bytes[piece % CHANNEL_PIECES] = (u32)value;
		cell_publish(&cell_slot->produced, piece + 1);
	} while (file && (u64)value == bytes &&
		 transfer.done < transfer.count &&
		 host_result_is_plain(&transfer.result));
	cell_transferred(&transfer);
}

static bool cell_has_piece(struct channel_slot *slot)
{
	return channel_load(&slot->filled) != slot->emptied;
}

void cell_write(void)
{
	struct cell_transfer transfer = {
		.process = cell_process(cell_slot->handle),
		.count = cell_slot->args[2],
	};
	u64 bytes;
	s64 value;

	do {
		u32 piece = cell_slot->emptied;

		cell_wait(cell_has_piece);
		bytes = cell_piece_bytes(&transfer);
		value = cell_piece(&transfer, piece, bytes);
		if (value <= 0)
			break;
		transfer.done += (u64)value;
		cell_publish(&cell_slot->emptied, piece + 1);
	} while ((u64)value == bytes && transfer.done < transfer.count &&
		 host_result_is_plain(&transfer.result));
	cell_transferred(&transfer);
}
