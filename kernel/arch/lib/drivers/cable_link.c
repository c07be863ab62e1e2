// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cables as rtnetlink has them, `ip link` kind "cable": pairs are made
 * (RTM_NEWLINK with CABLE_PEER), with the same parameters for both directions;
 * changing them is for one end. They go together.
 */
#include <linux/etherdevice.h>
#include <linux/init.h>
#include <net/net_namespace.h>
#include <net/rtnetlink.h>
#include "cable.h"

/* Attributes inside IFLA_INFO_DATA; src/liblinux/network/_rtnetlink.py knows them too. */
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
