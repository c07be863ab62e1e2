/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libslirp runs in a child, and is begun anew when it dies: to the host that is a
 * router that was switched off and on. Its connections are lost, its frames wait in
 * the socket meanwhile, and ports that were forwarded are forwarded again, for they
 * are remembered in memory that all children share.
 *
 * Every death is told on the standard output, as "died SIGNAL". After
 * KEEPER_DEATHS of them within KEEPER_PERIOD_MS it says "gave up" and ends. A call
 * of libslirp that takes KEEPER_STUCK_SECONDS of processor time is a death too.
 */
#ifndef LIBLINUX_SLIRP_KEEPER_H
#define LIBLINUX_SLIRP_KEEPER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define KEEPER_DEATHS 10
#define KEEPER_PERIOD_MS 10000
#define KEEPER_STUCK_SECONDS 5
#define KEEPER_FORWARDS 4096

struct keeper_forward {
	int udp, host_port, guest_port;
	struct in_addr host, guest;
};

/* What outlives a child. */
struct keeper {
	bool ready; /* it has been said */
	int nr_forwards;
	struct keeper_forward forwards[KEEPER_FORWARDS];
};

/*
 * Returns in each child, with what is to be remembered; in the parent never: that
 * ends as its last child did. NULL when there is no memory.
 */
struct keeper *keeper_begin(void);

/* The child is about to call libslirp, or has come back from it. */
void keeper_step(void);

#endif /* LIBLINUX_SLIRP_KEEPER_H */
