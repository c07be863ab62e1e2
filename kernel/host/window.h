/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Addresses of this process whose pages somebody provides who is no kernel in
 * it: the windows of jailed kernels (kernel/jail/window.c). The handler of
 * faults asks here when no kernel of this process knows an address.
 */
#ifndef LIBLINUX_WINDOW_H
#define LIBLINUX_WINDOW_H

#include <stdbool.h>
#include "boundary.h"

/*
 * Make the page there: true when the access can be tried again. Not in signal
 * context, on the stack that faulted, all registers saved; may sleep.
 */
typedef bool (*host_window_provider)(u64 address, bool is_write);

/* There is one provider for all windows. 0, or -ENOSPC. */
int host_window_add(u64 start, u64 bytes, host_window_provider provider);
void host_window_remove(u64 start);
/* For signal handlers. */
bool host_window_has(u64 address);
bool host_window_provide(u64 address, bool is_write);

#endif /* LIBLINUX_WINDOW_H */
