// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of windows; see window.h. Signal handlers read it without a lock: an
 * entry is valid while its end is not zero, which is written last and taken
 * back first.
 */
#include <errno.h>
#include <pthread.h>
#include "limits.h"
#include "window.h"

static struct {
	u64 start, end;
} host_windows[KERNELS];

static u32 host_windows_used; /* entries from here on have never been used */
static pthread_mutex_t host_windows_lock = PTHREAD_MUTEX_INITIALIZER;
static host_window_provider host_provider;

int host_window_add(u64 start, u64 bytes, host_window_provider provider)
{
	u32 at = 0;

	pthread_mutex_lock(&host_windows_lock);
	__atomic_store_n(&host_provider, provider, __ATOMIC_RELEASE);
	while (at < KERNELS && host_windows[at].end)
		at++;
	if (at < KERNELS) {
		__atomic_store_n(&host_windows[at].start, start,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&host_windows[at].end, start + bytes,
				 __ATOMIC_RELEASE);
		if (at >= host_windows_used)
			__atomic_store_n(&host_windows_used, at + 1,
					 __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&host_windows_lock);
	return at < KERNELS ? 0 : -ENOSPC;
}

void host_window_remove(u64 start)
{
	u32 at;

	pthread_mutex_lock(&host_windows_lock);
	for (at = 0; at < host_windows_used; at++)
		if (host_windows[at].end && host_windows[at].start == start)
			__atomic_store_n(&host_windows[at].end, 0,
					 __ATOMIC_RELEASE);
	pthread_mutex_unlock(&host_windows_lock);
}

bool host_window_has(u64 address)
{
	u32 used = __atomic_load_n(&host_windows_used, __ATOMIC_ACQUIRE), at;

	for (at = 0; at < used; at++)
		if (address < __atomic_load_n(&host_windows[at].end,
					      __ATOMIC_ACQUIRE) &&
		    address >= __atomic_load_n(&host_windows[at].start,
					       __ATOMIC_RELAXED))
			return true;
	return false;
}

bool host_window_provide(u64 address, bool is_write)
{
	return __atomic_load_n(&host_provider, __ATOMIC_ACQUIRE)(address,
								 is_write);
}
