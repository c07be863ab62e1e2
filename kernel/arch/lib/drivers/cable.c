// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cables: pairs of Ethernet devices, each of which gets what the other sends,
 * after the time that a real cable would take. `ip link` kind "cable".
 *
 * A frame that is sent occupies its end for length / rate. The next one waits in
 * the device, and with it the queue is stopped, so that more waiting frames are
 * the business of the queueing discipline, as with real hardware. Then it is on
 * the line, for delay +- jitter, where it may be lost, doubled, or overtake
 * others. What is sent on the line arrives, also when the sender is down by then.
 *
 * Frames are as long as the MTU says, unless nothing is emulated: then big ones
 * with unfinished checksums pass, as between the devices of a veth pair.
 *
 * All parameters are those of a direction and belong to the end that sends.
 * How they are set: cable_link.c. Chance comes from the kernel's random numbers,
 * and so from its seed.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/math64.h>
#include <linux/random.h>
#include <net/sch_generic.h>
#include <asm/lib.h>
#include "cable.h"

#define CABLE_QUEUE_FRAMES 100
#define CABLE_OFFLOADS                                                      \
	(NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | \
	 NETIF_F_SCTP_CRC | NETIF_F_HIGHDMA | NETIF_F_GSO_SOFTWARE |        \
	 NETIF_F_GSO_ENCAP_ALL)

struct cable_cb {
	ktime_t arrival;
};

static struct cable_cb *cable_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct cable_cb) > sizeof(skb->cb));
	return (struct cable_cb *)skb->cb;
}

static bool cable_emulates(const struct cable_end *end)
{
	const struct cable_line *line = &end->line;

	return line->rate || line->delay || line->jitter || line->loss ||
	       line->duplicate || line->reorder;
}

static bool cable_happens(struct cable_end *end, u32 chance)
{
	return chance &&
	       (chance == U32_MAX || prandom_u32_state(&end->chance) < chance);
}

/* Tell the host of a frame, as it is on the line. */
static void cable_tell(struct sk_buff *skb, u32 number, u32 direction)
{
	struct ll_iovec segments[1 + MAX_SKB_FRAGS];
	struct sk_buff *linear = NULL;
	struct ll_frame frame = {
		.interface = number - 1,
		.direction = direction,
		.time = ktime_get_real_ns(),
		.segments = segments,
		.nr_segments = 1,
		.bytes = skb->len,
	};
	int i;

	if (skb_has_frag_list(skb)) {
		linear = skb_copy(skb, GFP_ATOMIC);
		if (!linear)
			return;
		skb = linear;
	}
	segments[0].base = skb->data;
	segments[0].bytes = skb_headlen(skb);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		segments[frame.nr_segments].base = skb_frag_address(frag);
		segments[frame.nr_segments++].bytes = skb_frag_size(frag);
	}
	lib_cpu.ops->frame(lib_cpu.host, &frame);
	kfree_skb(linear);
}

/* Hand a frame to the device at the other end. */
static void cable_deliver(struct cable_end *end, struct sk_buff *skb)
{
	struct net_device *dev;
	struct cable_end *peer;
	unsigned int length = skb->len;

	rcu_read_lock();
	dev = rcu_dereference(end->peer);
	if (unlikely(!dev)) {
		kfree_skb(skb);
		goto out;
	}
	peer = netdev_priv(dev);
	if (unlikely(peer->capture_in))
		cable_tell(skb, peer->capture_in, LL_FRAME_IN);
	if (__dev_forward_skb(dev, skb) == NET_RX_SUCCESS &&
	    __netif_rx(skb) == NET_RX_SUCCESS) {
		peer->rx_packets++;
		peer->rx_bytes += length;
	} else {
		peer->rx_dropped++;
	}
out:
	rcu_read_unlock();
}

static u64 cable_delay(struct cable_end *end)
{
	const struct cable_line *line = &end->line;
	u64 delay = line->delay;
	u64 jitter = line->jitter;

	if (cable_happens(end, line->reorder))
		return 0;
	if (!jitter)
		return delay;
	/* Evenly between delay - jitter and delay + jitter. */
	delay += mul_u64_u32_shr(2 * jitter, prandom_u32_state(&end->chance),
				 32);
	return delay > jitter ? delay - jitter : 0;
}

/* In the order of arrival; most of the time that is the end. */
static void cable_fly(struct cable_end *end, struct sk_buff *skb, ktime_t now)
{
	ktime_t arrival = ktime_add_ns(now, cable_delay(end));
	struct sk_buff *before = skb_peek_tail(&end->flying);

	cable_cb(skb)->arrival = arrival;
	while (before && cable_cb(before)->arrival > arrival)
		before = skb_queue_is_first(&end->flying, before) ?
				 NULL :
				 skb_queue_prev(&end->flying, before);
	if (before)
		__skb_queue_after(&end->flying, before, skb);
	else
		__skb_queue_head(&end->flying, skb);
	if (skb_peek(&end->flying) == skb)
		hrtimer_start(&end->arrived, arrival, HRTIMER_MODE_ABS_SOFT);
}

/* Begin to send a frame: no longer its sender's, it is on the line when all of it is sent. */
static void cable_launch(struct cable_end *end, struct sk_buff *skb,
			 ktime_t start)
{
	u64 bits_ns = (u64)skb->len * BITS_PER_BYTE * NSEC_PER_SEC;

	end->free = start;
	if (end->line.rate)
		end->free =
			ktime_add_ns(start, div64_u64(bits_ns, end->line.rate));
	skb_orphan(skb);
	if (cable_happens(end, end->line.loss)) {
		end->lost++;
		kfree_skb(skb);
		return;
	}
	if (cable_happens(end, end->line.duplicate)) {
		struct sk_buff *second = skb_clone(skb, GFP_ATOMIC);

		if (second)
			cable_fly(end, second, end->free);
	}
	cable_fly(end, skb, end->free);
}

/* The frame before is sent: now the one that waits. */
static enum hrtimer_restart cable_sent(struct hrtimer *timer)
{
	struct cable_end *end = container_of(timer, struct cable_end, sent);
	struct sk_buff *skb;

	spin_lock(&end->lock);
	skb = end->waiting;
	end->waiting = NULL;
	/* By the time when the line was free: what the clock ran since is not lost. */
	if (skb)
		cable_launch(end, skb, end->free);
	spin_unlock(&end->lock);
	netif_wake_queue(end->dev);
	return HRTIMER_NORESTART;
}

static enum hrtimer_restart cable_arrived(struct hrtimer *timer)
{
	struct cable_end *end = container_of(timer, struct cable_end, arrived);
	ktime_t now = ktime_get();
	struct sk_buff *skb;

	spin_lock(&end->lock);
	while ((skb = skb_peek(&end->flying)) &&
	       cable_cb(skb)->arrival <= now) {
		__skb_unlink(skb, &end->flying);
		spin_unlock(&end->lock);
		cable_deliver(end, skb);
		spin_lock(&end->lock);
	}
	if (skb)
		hrtimer_start(timer, cable_cb(skb)->arrival,
			      HRTIMER_MODE_ABS_SOFT);
	spin_unlock(&end->lock);
	return HRTIMER_NORESTART;
}

static netdev_tx_t cable_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);
	unsigned int length = skb->len;
	ktime_t now;

	end->tx_packets++;
	end->tx_bytes += length;
	lib_cpu.frames++;
	skb_tx_timestamp(skb);
	if (unlikely(end->capture_out))
		cable_tell(skb, end->capture_out, LL_FRAME_OUT);
	if (!cable_emulates(end)) {
		cable_deliver(end, skb);
		return NETDEV_TX_OK;
	}
	spin_lock(&end->lock);
	now = ktime_get();
	if (end->free > now) {
		netif_stop_queue(dev);
		end->waiting = skb;
		hrtimer_start(&end->sent, end->free, HRTIMER_MODE_ABS_SOFT);
	} else {
		cable_launch(end, skb, now);
	}
	spin_unlock(&end->lock);
	return NETDEV_TX_OK;
}

/*
 * There is a carrier unless the other end has been put down. An end that was
 * not up yet does not count: the first to come up would be without a carrier
 * then, and when it gets one the kernel takes notice after up to a second.
 */
static int cable_open(struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(end->peer);
	struct cable_end *other;

	if (!peer)
		return -ENOTCONN;
	other = netdev_priv(peer);
	end->was_up = true;
	netif_start_queue(dev);
	if (other->was_up && !(peer->flags & IFF_UP)) {
		netif_carrier_off(dev);
		return 0;
	}
	netif_carrier_on(dev);
	if (!netif_carrier_ok(peer)) {
		netif_carrier_on(peer);
		dev_activate(peer);
	}
	return 0;
}

static int cable_stop(struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(end->peer);

	netif_stop_queue(dev);
	if (peer)
		netif_carrier_off(peer);
	/* What waits in the device is lost. */
	hrtimer_cancel(&end->sent);
	spin_lock_bh(&end->lock);
	kfree_skb(end->waiting);
	end->waiting = NULL;
	spin_unlock_bh(&end->lock);
	return 0;
}

static void cable_stats(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct cable_end *end = netdev_priv(dev);

	stats->tx_packets = end->tx_packets;
	stats->tx_bytes = end->tx_bytes;
	stats->tx_carrier_errors = end->lost;
	stats->rx_packets = end->rx_packets;
	stats->rx_bytes = end->rx_bytes;
	stats->rx_dropped = end->rx_dropped;
}

static netdev_features_t cable_fix_features(struct net_device *dev,
					    netdev_features_t features)
{
	if (cable_emulates(netdev_priv(dev)))
		features &= ~(NETIF_F_GSO_MASK | NETIF_F_GSO_SOFTWARE);
	return features;
}

static int cable_iflink(const struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);
	struct net_device *peer;
	int index;

	rcu_read_lock();
	peer = rcu_dereference(end->peer);
	index = peer ? peer->ifindex : 0;
	rcu_read_unlock();
	return index;
}

static void cable_uninit(struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);

	hrtimer_cancel(&end->sent);
	hrtimer_cancel(&end->arrived);
	__skb_queue_purge(&end->flying);
}

static const struct net_device_ops cable_ops = {
	.ndo_uninit = cable_uninit,
	.ndo_open = cable_open,
	.ndo_stop = cable_stop,
	.ndo_start_xmit = cable_xmit,
	.ndo_get_stats64 = cable_stats,
	.ndo_fix_features = cable_fix_features,
	.ndo_get_iflink = cable_iflink,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_features_check = passthru_features_check,
};

static int cable_settings(struct net_device *dev,
			  struct ethtool_link_ksettings *settings)
{
	struct cable_end *end = netdev_priv(dev);
	u64 megabits = div64_u64(end->line.rate, 1000000);

	settings->base.speed = megabits ? min_t(u64, megabits, INT_MAX) :
					  SPEED_10000;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_TP;
	settings->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

static const struct ethtool_ops cable_ethtool_ops = {
	.get_link = ethtool_op_get_link,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_link_ksettings = cable_settings,
};

void cable_setup(struct net_device *dev)
{
	struct cable_end *end = netdev_priv(dev);

	ether_setup(dev);
	dev->netdev_ops = &cable_ops;
	dev->ethtool_ops = &cable_ethtool_ops;
	dev->needs_free_netdev = true;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->tx_queue_len = CABLE_QUEUE_FRAMES;
	dev->max_mtu = ETH_MAX_MTU;
	dev->features |= CABLE_OFFLOADS;
	dev->hw_features = CABLE_OFFLOADS;
	dev->hw_enc_features = CABLE_OFFLOADS;
	dev->vlan_features = CABLE_OFFLOADS;
	netif_set_tso_max_size(dev, GSO_MAX_SIZE);

	end->dev = dev;
	spin_lock_init(&end->lock);
	__skb_queue_head_init(&end->flying);
	hrtimer_init(&end->sent, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	hrtimer_init(&end->arrived, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	end->sent.function = cable_sent;
	end->arrived.function = cable_arrived;
	prandom_seed_state(&end->chance, get_random_u64());
}
