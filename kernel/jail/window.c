// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the jailed kernel maps (mmap), as memory of this process too.
 *
 * The user window of the kernel lies at the same addresses here. Its pages are
 * in a file that both have, which this process made and whose size nobody can
 * change: what the cell puts into it is data, and never a bus error. When the
 * kernel shows a page in its window, or hides one, the cell's thread that is
 * inside asks its thread here, which waits, to do the same, and goes on when
 * that is done. So this half shows nothing that the kernel has taken away, and a
 * page that was cleaned is no longer writable here when its content is read.
 *
 * A page that is not there faults here; the thread asks the cell for it, on the
 * stack that faulted and outside of signal context (host/fault.c). If it holds
 * a lock of the embedding's, that is given up while it sleeps, and nothing of
 * the embedding is asked meanwhile whether the call shall end.
 *
 * A page that is not to be had (a file that was cut off, a disk that cannot be
 * read, a cell that does not want to) must not be the end of this process: it is
 * that of the cell, and the page is empty, as are all that are first touched
 * when the kernel is dead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include "keeper.h"
#include "window.h"

/* A page that a thread waits for; on its stack, in a list under `lock`. */
struct jail_wanted {
	u64 address;
	bool is_write, shown;
	struct jail_wanted *next, **link;
};

static bool jail_in_window(const struct jail *jail, u64 address, u64 bytes)
{
	u64 offset = address - jail->window;

	return bytes && !(address % PAGE_BYTES) && !(bytes % PAGE_BYTES) &&
	       offset < USER_WINDOW_BYTES &&
	       bytes <= USER_WINDOW_BYTES - offset;
}

/* ---- what the cell asks for ------------------------------------------ */

static void jail_note_shown(struct jail *jail, u64 address, u64 bytes,
			    u32 protection)
{
	struct jail_wanted *wanted;

	pthread_mutex_lock(&jail->lock);
	for (wanted = jail->wanted; wanted; wanted = wanted->next)
		if (wanted->address - address < bytes &&
		    (!wanted->is_write || (protection & LL_PROT_WRITE)))
			wanted->shown = true;
	pthread_mutex_unlock(&jail->lock);
}

static int jail_show(struct jail *jail, u64 address, u64 offset, u64 bytes,
		     u32 protection)
{
	u64 file_bytes = CHANNEL_ARENA_BYTES(jail->memory_bytes);
	int flags = PROT_READ;

	/* Never executable: it is somebody else's. */
	if (!jail_in_window(jail, address, bytes) || offset % PAGE_BYTES ||
	    offset > file_bytes || bytes > file_bytes - offset ||
	    !(protection & LL_PROT_READ) ||
	    protection & ~(u32)(LL_PROT_READ | LL_PROT_WRITE))
		return -EINVAL;
	if (protection & LL_PROT_WRITE)
		flags |= PROT_WRITE;
	if (mmap((void *)address, bytes, flags, MAP_SHARED | MAP_FIXED,
		 jail->arena, (off_t)offset) == MAP_FAILED)
		return -ENOMEM; /* its table of mappings is full */
	jail_note_shown(jail, address, bytes, protection);
	return 0;
}

static int jail_conceal(u64 address, u64 bytes)
{
	return mmap((void *)address, bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		    0) == MAP_FAILED ?
		       -ENOMEM :
		       0;
}

int jail_window_serve(struct jail *jail, struct jail_slot *slot, u32 op)
{
	struct channel_slot *shared = slot->shared;
	u64 address = channel_once(shared->post_at);
	u64 offset = channel_once(shared->post_offset);
	u64 bytes = channel_once(shared->post_bytes);
	u32 protection = channel_once(shared->post_flags);
	int code = -EINVAL;

	if (op == CHANNEL_SHOW)
		code = jail_show(jail, address, offset, bytes, protection);
	else if (jail_in_window(jail, address, bytes))
		code = jail_conceal(address, bytes);
	if (code == -EINVAL)
		jail_liar(jail, "it wanted to show memory that is not its own");
	return code;
}

/* ---- faults ---------------------------------------------------------- */

/* The kernel is dead, and who touches its memory cannot be told of that here. */
static bool jail_empty_page(u64 address)
{
	return mmap((void *)(address & ~(PAGE_BYTES - 1)), PAGE_BYTES,
		    PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) != MAP_FAILED;
}

static void jail_want(struct jail *jail, struct jail_wanted *wanted)
{
	pthread_mutex_lock(&jail->lock);
	wanted->next = jail->wanted;
	wanted->link = &jail->wanted;
	if (wanted->next)
		wanted->next->link = &wanted->next;
	jail->wanted = wanted;
	pthread_mutex_unlock(&jail->lock);
}

static void jail_want_no_more(struct jail *jail, struct jail_wanted *wanted)
{
	pthread_mutex_lock(&jail->lock);
	*wanted->link = wanted->next;
	if (wanted->next)
		wanted->next->link = wanted->link;
	pthread_mutex_unlock(&jail->lock);
}

/* Why the cell cannot be asked, or does not give the page; NULL: it is there. */
static const char *jail_ask_page(struct jail *jail, u64 address, bool is_write)
{
	struct jail_wanted wanted = { .address = address,
				      .is_write = is_write };
	const u64 args[6] = { address, is_write };
	struct host_result result;
	struct jail_slot *slot = jail_enter(jail, &result);

	/* In a call of its own already: somebody's copy for it met a page. */
	if (result.reentered || (slot && !jail_is_finished(slot)))
		return "memory that it maps was touched by the code of its disks";
	if (!slot)
		return result.dead ? "it is dead" :
				     "too many threads use its memory";
	jail_want(jail, &wanted);
	jail_request(jail, slot, CHANNEL_FAULT, 0, 0, args, &result);
	jail_want_no_more(jail, &wanted);
	if (result.dead)
		return "it is dead";
	/* Else the same access would fault for ever. */
	if (!result.value && !wanted.shown)
		return "it has not shown the page that it says";
	return result.value ?
		       "a page of a mapping could not be had: it is behind the end of its file, or cannot be read, or is not mapped so" :
		       NULL;
}


static bool jail_provide(u64 address, bool is_write)
{
	struct jail *jail = jail_find(address);
	const char *problem = "it is dead";
	bool there;

	if (!jail)
		return false;
	if (jail_is_ours(jail)) {
		jail_faulting = &jail->embedding;
		problem = jail_ask_page(jail, address, is_write);
		jail_faulting = NULL;
	}
	if (problem && jail_is_ours(jail) &&
	    !__atomic_load_n(&jail->dead, __ATOMIC_ACQUIRE))
		jail_liar(jail, problem);
	there = !problem || jail_empty_page(address);
	jail_let_go_of(jail);
	return there;
}

/* ---- coming and going ------------------------------------------------ */

int jail_window_init(struct jail *jail)
{
	int code = host_fault_init();

	return code ? code :
		      host_window_add(jail->window, USER_WINDOW_BYTES,
				      jail_provide);
}

void jail_window_exit(struct jail *jail)
{
	host_window_remove(jail->window);
}

/* In a child of fork(): what is the parent's is not to be seen here. */
void jail_window_forked(struct jail *jail)
{
	jail_conceal(jail->window, USER_WINDOW_BYTES);
}
