/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel in a process of its own, locked in: the same functions as host.h
 * (struct host_side), carried out over a channel. This half is in the process
 * of the embedding program; the other is the program of kernel/jail/cell.
 *
 * The death of that process, however caused, is the death of the kernel: calls
 * answer with result.dead, dead() says how it died, gone() that it did.
 * Nothing here waits for the cell without looking whether it is alive and
 * whether the embedding wants the call to end. A call that goes on for
 * JAIL_GRACE_NS after that ends with the cell.
 *
 * After fork() the child process has no part in its parent's kernels: its calls
 * find them dead.
 */
#ifndef LIBLINUX_JAIL_H
#define LIBLINUX_JAIL_H

#include "side.h"

extern const struct host_side jail_side;

#endif /* LIBLINUX_JAIL_H */
