/* SPDX-License-Identifier: GPL-2.0-only */
/* One end of a cable: the device is cable.c, its making and changing cable_link.c. */
#ifndef LIB_CABLE_H
#define LIB_CABLE_H

#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/prandom.h>
#include <linux/skbuff.h>

/* What a frame that is sent meets. Chances: 2^32 - 1 for always. */
struct cable_line {
	u64 rate; /* bits per second, 0 for no limit */
	u64 delay; /* nanoseconds */
	u64 jitter;
	u32 loss;
	u32 duplicate;
	u32 reorder; /* to arrive without delay */
};

struct cable_end {
	struct net_device *dev;
	struct net_device __rcu *peer;
	struct cable_line line;
	bool was_up;
	u32 capture_in, capture_out;
	spinlock_t lock;
	/* When all that was begun is sent; what waits for that; what flies. */
	ktime_t free;
	struct sk_buff *waiting;
	struct sk_buff_head flying;
	struct hrtimer sent;
	struct hrtimer arrived;
	struct rnd_state chance;
	u64 tx_packets, tx_bytes, lost;
	u64 rx_packets, rx_bytes, rx_dropped;
};

/* The device without its settings, which are all zero: what is sent arrives. */
void cable_setup(struct net_device *dev);

#endif
