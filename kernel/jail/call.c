// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls. What an argument points to is copied into memory of the
 * channel, where the kernel finds it, and back; long reads and writes go by in
 * pieces (see cell/transfer.c), copied by this side while the kernel works on
 * the next. Memory of the channel itself is passed as it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include "keeper.h"

#define SPAN_ALIGN 64

static bool jail_is_shared(struct jail *jail, u64 address, u64 bytes)
{
	u64 offset = address - jail->window;
	u64 end = USER_WINDOW_BYTES + sizeof(struct channel);

	return offset < end && bytes <= end - offset;
}

/* With a zero behind it, for strings. */
static u64 jail_span_bytes(const struct host_span *span)
{
	return (span->bytes + SPAN_ALIGN) & ~(SPAN_ALIGN - 1ULL);
}

/* ---- one call -------------------------------------------------------- */

struct jail_copies {
	u64 args[6]; /* as the kernel gets them */
	char *at[6]; /* of each span, or NULL: shared */
	u64 heap; /* or 0 */
};

static bool jail_copy_in(struct jail *jail, struct jail_slot *slot,
			 const u64 args[6], const struct host_spans *spans,
			 struct jail_copies *copies)
{
	char *to = slot->area;
	u64 bytes = 0;
	u32 at;

	for (at = 0; at < spans->count; at++)
		bytes += jail_span_bytes(&spans->span[at]);
	if (bytes > CHANNEL_CALL_BYTES) {
		copies->heap = jail_allocate((struct host_kernel *)jail, bytes);
		if (!copies->heap)
			return false;
		to = (char *)copies->heap;
	}
	for (at = 0; at < spans->count; at++) {
		const struct host_span *span = &spans->span[at];
		u64 from = args[span->argument];

		copies->at[at] = NULL;
		if (!from || jail_is_shared(jail, from, span->bytes))
			continue;
		if (span->ways & HOST_SPAN_IN) {
			memcpy(to, (void *)from, span->bytes);
			to[span->bytes] = 0;
		}
		copies->at[at] = to;
		copies->args[span->argument] = (u64)to;
		to += jail_span_bytes(span);
	}
	return true;
}

static void jail_copy_out(struct jail *jail, const u64 args[6],
			  const struct host_spans *spans,
			  const struct jail_copies *copies,
			  struct host_result *result)
{
	u32 at;

	for (at = 0; at < spans->count; at++) {
		const struct host_span *span = &spans->span[at];
		u64 bytes = span->bytes;

		if (span->ways & HOST_SPAN_RESULT) {
			if (result->value > 0 && (u64)result->value > bytes) {
				jail_liar(
					jail,
					"it has read more than was asked for");
				jail_result_dead(result);
				return;
			}
			bytes = result->value > 0 ? (u64)result->value : 0;
		}
		if ((span->ways & HOST_SPAN_OUT) && copies->at[at])
			memcpy((void *)args[span->argument], copies->at[at],
			       bytes);
	}
}

static void jail_call_once(struct jail_process *process, struct jail_slot *slot,
			   s64 nr, const u64 args[6],
			   const struct host_spans *spans,
			   struct host_result *result)
{
	struct jail *jail = process->jail;
	struct jail_copies copies;

	if (!spans || !spans->count) {
		jail_request(jail, slot, CHANNEL_CALL, process->handle, nr,
			     args, result);
		return;
	}
	copies.heap = 0;
	memcpy(copies.args, args, sizeof(copies.args));
	if (!jail_copy_in(jail, slot, args, spans, &copies)) {
		*result = (struct host_result){ .value = -ENOMEM };
		return;
	}
	if (jail_request(jail, slot, CHANNEL_CALL, process->handle, nr,
			 copies.args, result))
		jail_copy_out(jail, args, spans, &copies, result);
	/* A dead cell's memory goes with the channel; a living one's may be in use. */
	if (copies.heap && !result->dead)
		jail_free((struct host_kernel *)jail, copies.heap);
}

/* ---- long transfers -------------------------------------------------- */

static char *jail_piece(struct jail_slot *slot, u32 piece)
{
	return slot->area + piece % CHANNEL_PIECES * CHANNEL_PIECE_BYTES;
}

static bool jail_has_piece(struct jail_slot *slot)
{
	return channel_load(&slot->shared->produced) != slot->consumed ||
	       jail_is_finished(slot);
}

/* Take what is there. -1: a lie. All pieces but the last are whole. */
static s64 jail_take_pieces(struct jail_slot *slot, char *to, u64 before,
			    u64 room)
{
	u32 produced = channel_load(&slot->shared->produced), bytes;
	u64 done = 0;

	if (produced - slot->consumed > CHANNEL_PIECES)
		return -1;
	while (slot->consumed != produced) {
		bytes = channel_once(slot->shared->piece_bytes[slot->consumed %
							       CHANNEL_PIECES]);
		if (!bytes || bytes > CHANNEL_PIECE_BYTES ||
		    bytes > room - done ||
		    (before + done) % CHANNEL_PIECE_BYTES)
			return -1;
		memcpy(to + done, jail_piece(slot, slot->consumed), bytes);
		done += bytes;
		channel_store(&slot->shared->consumed, ++slot->consumed);
		channel_ring(&slot->shared->cell);
	}
	return (s64)done;
}

static void jail_read(struct jail_process *process, struct jail_slot *slot,
		      s64 nr, const u64 args[6], u64 room,
		      struct host_result *result)
{
	struct jail *jail = process->jail;
	u64 done = 0;
	bool finished;
	s64 taken;

	slot->consumed = channel_load(&slot->shared->produced);
	channel_store(&slot->shared->consumed, slot->consumed);
	jail_begin(slot, CHANNEL_READ, process->handle, nr, args);
	do {
		if (!jail_await(jail, slot, jail_has_piece)) {
			jail_result_dead(result);
			return;
		}
		/* In this order: nothing comes after the end. */
		finished = jail_is_finished(slot);
		taken = jail_take_pieces(slot, (char *)args[1] + done, done,
					 room - done);
		if (taken >= 0)
			done += (u64)taken;
	} while (!finished && taken >= 0);
	if (taken >= 0)
		jail_answer(jail, slot, result);
	if (taken < 0 || (!result->dead && result->value >= 0 &&
			  (u64)result->value != done)) {
		jail_liar(jail, "it has not read what it says");
		jail_result_dead(result);
	}
}

static bool jail_has_room(struct jail_slot *slot)
{
	return slot->filled - channel_load(&slot->shared->emptied) <
		       CHANNEL_PIECES ||
	       jail_is_finished(slot);
}

static void jail_write(struct jail_process *process, struct jail_slot *slot,
		       s64 nr, const u64 args[6], struct host_result *result)
{
	struct jail *jail = process->jail;
	const char *from = (const char *)args[1];
	u64 left = args[2], part;

	slot->filled = channel_load(&slot->shared->emptied);
	channel_store(&slot->shared->filled, slot->filled);
	jail_begin(slot, CHANNEL_WRITE, process->handle, nr, args);
	while (left) {
		if (!jail_await(jail, slot, jail_has_room)) {
			jail_result_dead(result);
			return;
		}
		if (jail_is_finished(slot))
			break; /* an error, or a short write */
		part = left < CHANNEL_PIECE_BYTES ? left : CHANNEL_PIECE_BYTES;
		memcpy(jail_piece(slot, slot->filled), from, part);
		from += part;
		left -= part;
		channel_store(&slot->shared->filled, ++slot->filled);
		channel_ring(&slot->shared->cell);
	}
	if (!jail_await(jail, slot, jail_is_finished)) {
		jail_result_dead(result);
		return;
	}
	jail_answer(jail, slot, result);
	if (result->value > 0 && (u64)result->value > args[2]) {
		jail_liar(jail, "it has written more than was asked for");
		jail_result_dead(result);
	}
}

/* ---- which of them --------------------------------------------------- */

/* A single buffer, the second argument, longer than a piece. */
static bool jail_is_long(struct jail *jail, const u64 args[6],
			 const struct host_spans *spans, u32 way)
{
	const struct host_span *span = spans ? spans->span : NULL;

	return span && spans->count == 1 && span->argument == 1 &&
	       (span->ways & way) && span->bytes > CHANNEL_PIECE_BYTES &&
	       args[2] > CHANNEL_PIECE_BYTES && args[2] <= span->bytes &&
	       !jail_is_shared(jail, args[1], span->bytes);
}

void jail_call(struct host_process *process, s64 nr, const u64 args[6],
	       const struct host_spans *spans, struct host_result *result)
{
	struct jail_process *caller = (struct jail_process *)process;
	struct jail *jail = caller->jail;
	struct jail_slot *slot = jail_enter(jail, result);

	if (!slot)
		return;
	if ((nr == SYS_read || nr == SYS_pread64) &&
	    jail_is_long(jail, args, spans, HOST_SPAN_OUT))
		jail_read(caller, slot, nr, args, args[2], result);
	else if ((nr == SYS_write || nr == SYS_pwrite64) &&
		 jail_is_long(jail, args, spans, HOST_SPAN_IN))
		jail_write(caller, slot, nr, args, result);
	else
		jail_call_once(caller, slot, nr, args, spans, result);
}
