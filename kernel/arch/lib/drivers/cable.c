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
 * They are set for both when a pair is made (RTM_NEWLINK with
 * CABLE_PEER), for one when it is changed. Chance comes from the kernel's
 * random numbers, and so from its seed.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/netdevice.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/skbuff.h>
#include <net/net_namespace.h>
#include <net/rtnetlink.h>
#include <net/sch_generic.h>
#include <asm/lib.h>

/* Attributes inside IFLA_INFO_DATA; src/liblinux/_network knows them too. */
enum {
	CABLE_UNSPEC,
	CABLE_PEER, /* nested: IFLA_IFNAME, _ADDRESS, _NEW_IFINDEX, _NET_NS_FD, _NET_NS_PID */
	CABLE_RATE, /* u64: bits per second, 0 for no limit */
	CABLE_DELAY, /* u64: nanoseconds */
	CABLE_JITTER, /* u64: nanoseconds */
	CABLE_LOSS, /* u32: chance, 2^32 - 1 for always */
	CABLE_DUPLICATE, /* u32 */
	CABLE_REORDER, /* u32: chance to arrive without delay */
	CABLE_CAPTURE_IN, /* u32: tell the host of frames that arrive, by this number - 1; 0: no more */
	CABLE_CAPTURE_OUT, /* u32: of frames that are sent */
	CABLE_PAD,
	CABLE_END,
};

#define CABLE_MAX (CABLE_END - 1)
#define CABLE_MAX_NS (1000ULL * NSEC_PER_SEC)
#define CABLE_QUEUE_FRAMES 100
#define CABLE_OFFLOADS                                                      \
	(NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | \
	 NETIF_F_SCTP_CRC | NETIF_F_HIGHDMA | NETIF_F_GSO_SOFTWARE |        \
	 NETIF_F_GSO_ENCAP_ALL)

struct cable_line {
	u64 rate;
	u64 delay;
	u64 jitter;
	u32 loss;
	u32 duplicate;
	u32 reorder;
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

static void cable_setup(struct net_device *dev)
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

static const struct nla_policy cable_policy[CABLE_MAX + 1] = {
	[CABLE_PEER] = { .type = NLA_NESTED },
	[CABLE_RATE] = { .type = NLA_U64 },
	[CABLE_DELAY] = { .type = NLA_U64 },
	[CABLE_JITTER] = { .type = NLA_U64 },
	[CABLE_LOSS] = { .type = NLA_U32 },
	[CABLE_DUPLICATE] = { .type = NLA_U32 },
	[CABLE_REORDER] = { .type = NLA_U32 },
	[CABLE_CAPTURE_IN] = { .type = NLA_U32 },
	[CABLE_CAPTURE_OUT] = { .type = NLA_U32 },
};

static const struct nla_policy cable_peer_policy[IFLA_MAX + 1] = {
	[IFLA_IFNAME] = { .type = NLA_STRING, .len = IFNAMSIZ - 1 },
	[IFLA_ADDRESS] = { .type = NLA_BINARY, .len = ETH_ALEN },
	[IFLA_NET_NS_FD] = { .type = NLA_U32 },
	[IFLA_NET_NS_PID] = { .type = NLA_U32 },
	[IFLA_NEW_IFINDEX] = { .type = NLA_U32 },
};

static int cable_read(struct nlattr *data[], struct cable_line *line,
		      struct netlink_ext_ack *extack)
{
	if (!data)
		return 0;
	if (data[CABLE_RATE])
		line->rate = nla_get_u64(data[CABLE_RATE]);
	if (data[CABLE_DELAY])
		line->delay = nla_get_u64(data[CABLE_DELAY]);
	if (data[CABLE_JITTER])
		line->jitter = nla_get_u64(data[CABLE_JITTER]);
	if (data[CABLE_LOSS])
		line->loss = nla_get_u32(data[CABLE_LOSS]);
	if (data[CABLE_DUPLICATE])
		line->duplicate = nla_get_u32(data[CABLE_DUPLICATE]);
	if (data[CABLE_REORDER])
		line->reorder = nla_get_u32(data[CABLE_REORDER]);
	if (line->delay > CABLE_MAX_NS || line->jitter > CABLE_MAX_NS) {
		NL_SET_ERR_MSG(extack, "delay and jitter are at most 1000 s");
		return -ERANGE;
	}
	return 0;
}

static void cable_copy(struct net_device *peer, struct nlattr *tb[])
{
	if (tb[IFLA_MTU])
		peer->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_TXQLEN])
		peer->tx_queue_len = nla_get_u32(tb[IFLA_TXQLEN]);
}

/* The namespace of the other end, with a reference; that of `net` itself when none is named. */
static struct net *cable_peer_net(struct net *net, struct nlattr *peer[])
{
	if (peer[IFLA_NET_NS_FD] || peer[IFLA_NET_NS_PID])
		return rtnl_link_get_net(net, peer);
	return get_net(net);
}

static struct rtnl_link_ops cable_link_ops;

static struct net_device *cable_make_peer(struct net *src_net,
					  struct nlattr *tb[],
					  struct nlattr *attributes[],
					  const struct cable_line *line)
{
	char name[IFNAMSIZ] = "eth%d";
	struct net_device *peer;
	struct cable_end *end;
	struct net *net;
	int error;

	if (attributes[IFLA_IFNAME])
		nla_strscpy(name, attributes[IFLA_IFNAME], IFNAMSIZ);
	net = cable_peer_net(src_net, attributes);
	if (IS_ERR(net))
		return ERR_CAST(net);
	peer = alloc_netdev(sizeof(struct cable_end), name, NET_NAME_USER,
			    cable_setup);
	if (!peer) {
		put_net(net);
		return ERR_PTR(-ENOMEM);
	}
	dev_net_set(peer, net);
	put_net(net);
	end = netdev_priv(peer);
	end->line = *line;
	cable_copy(peer, tb);
	if (attributes[IFLA_NEW_IFINDEX])
		peer->ifindex = nla_get_u32(attributes[IFLA_NEW_IFINDEX]);
	if (attributes[IFLA_ADDRESS] &&
	    nla_len(attributes[IFLA_ADDRESS]) == ETH_ALEN)
		eth_hw_addr_set(peer, nla_data(attributes[IFLA_ADDRESS]));
	else
		eth_hw_addr_random(peer);
	error = -EINVAL;
	if (is_valid_ether_addr(peer->dev_addr)) {
		peer->rtnl_link_ops = &cable_link_ops;
		error = register_netdevice(peer);
	}
	if (error) {
		free_netdev(peer);
		return ERR_PTR(error);
	}
	return peer;
}

static int cable_newlink(struct net *src_net, struct net_device *dev,
			 struct nlattr *tb[], struct nlattr *data[],
			 struct netlink_ext_ack *extack)
{
	struct nlattr *attributes[IFLA_MAX + 1] = {};
	struct cable_end *end = netdev_priv(dev);
	struct net_device *peer;
	int error;

	error = cable_read(data, &end->line, extack);
	if (error)
		return error;
	if (data && data[CABLE_PEER]) {
		/* "Deprecated": as for all of a link, the flag of nesting may be missing. */
		error = nla_parse_nested_deprecated(attributes, IFLA_MAX,
						    data[CABLE_PEER],
						    cable_peer_policy, extack);
		if (error)
			return error;
	}
	peer = cable_make_peer(src_net, tb, attributes, &end->line);
	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (!tb[IFLA_ADDRESS])
		eth_hw_addr_random(dev);
	error = register_netdevice(dev);
	if (error) {
		unregister_netdevice(peer);
		return error;
	}
	rcu_assign_pointer(end->peer, peer);
	end = netdev_priv(peer);
	rcu_assign_pointer(end->peer, dev);
	return 0;
}

static int cable_changelink(struct net_device *dev, struct nlattr *tb[],
			    struct nlattr *data[],
			    struct netlink_ext_ack *extack)
{
	struct cable_end *end = netdev_priv(dev);
	struct cable_line line = end->line;
	int error;

	if (data && data[CABLE_PEER]) {
		NL_SET_ERR_MSG(extack, "a cable keeps its other end");
		return -EINVAL;
	}
	error = cable_read(data, &line, extack);
	if (error)
		return error;
	spin_lock_bh(&end->lock);
	if (data && data[CABLE_CAPTURE_IN])
		end->capture_in = nla_get_u32(data[CABLE_CAPTURE_IN]);
	if (data && data[CABLE_CAPTURE_OUT])
		end->capture_out = nla_get_u32(data[CABLE_CAPTURE_OUT]);
	end->line = line;
	spin_unlock_bh(&end->lock);
	netdev_update_features(dev);
	return 0;
}

static void cable_unregister(struct net_device *dev, struct list_head *head)
{
	struct cable_end *end = netdev_priv(dev);

	RCU_INIT_POINTER(end->peer, NULL);
	unregister_netdevice_queue(dev, head);
}

static void cable_dellink(struct net_device *dev, struct list_head *head)
{
	struct cable_end *end = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(end->peer);

	cable_unregister(dev, head);
	/* The end of a namespace takes its devices one after the other. */
	if (peer)
		cable_unregister(peer, head);
}

static int cable_fill(struct sk_buff *skb, const struct net_device *dev)
{
	const struct cable_end *end = netdev_priv(dev);
	const struct cable_line *line = &end->line;

	if (nla_put_u64_64bit(skb, CABLE_RATE, line->rate, CABLE_PAD) ||
	    nla_put_u64_64bit(skb, CABLE_DELAY, line->delay, CABLE_PAD) ||
	    nla_put_u64_64bit(skb, CABLE_JITTER, line->jitter, CABLE_PAD) ||
	    nla_put_u32(skb, CABLE_LOSS, line->loss) ||
	    nla_put_u32(skb, CABLE_DUPLICATE, line->duplicate) ||
	    nla_put_u32(skb, CABLE_REORDER, line->reorder))
		return -EMSGSIZE;
	return 0;
}

static size_t cable_size(const struct net_device *dev)
{
	return 3 * nla_total_size_64bit(sizeof(u64)) +
	       3 * nla_total_size(sizeof(u32));
}

static struct net *cable_link_net(const struct net_device *dev)
{
	const struct cable_end *end = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(end->peer);

	return peer ? dev_net(peer) : dev_net(dev);
}

static struct rtnl_link_ops cable_link_ops = {
	.kind = "cable",
	.priv_size = sizeof(struct cable_end),
	.setup = cable_setup,
	.maxtype = CABLE_MAX,
	.policy = cable_policy,
	.newlink = cable_newlink,
	.changelink = cable_changelink,
	.dellink = cable_dellink,
	.get_size = cable_size,
	.fill_info = cable_fill,
	.get_link_net = cable_link_net,
};

static int __init cable_init(void)
{
	return rtnl_link_register(&cable_link_ops);
}
device_initcall(cable_init);
