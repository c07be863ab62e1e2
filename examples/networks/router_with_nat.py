"""A router that hides a network behind its own address: nftables, through pyroute2, in a kernel of the library.

python examples/networks/router_with_nat.py
"""

from pyroute2.netlink import NETLINK_NETFILTER
from pyroute2.nftables.expressions import ipv4addr, masq
from pyroute2.nftables.main import NFTables

import liblinux

with liblinux.Network(clock="virtual", seed=1, ipv6=None) as net:
    inside, router, outside = net.host("inside"), net.router("router"), net.host("outside")
    net.link(inside, router, addresses=("192.168.1.2/24", "192.168.1.1/24"))
    net.link(router, outside, addresses=("203.0.113.1/24", "203.0.113.2/24"), delay="10ms")

    nft = router.netlink(NFTables, NETLINK_NETFILTER)
    nft.table("add", name="nat")
    nft.chain("add", table="nat", name="out", hook="postrouting", type="nat", policy=1, priority=100)
    nft.rule("add", table="nat", chain="out", expressions=(ipv4addr(src=inside.address), masq()))

    with outside.socket.create_server(("", 80)) as server:
        client = inside.socket.create_connection((outside.address, 80))
        accepted, peer = server.accept()
        client.sendall(b"who am I?")
        accepted.sendall(f"you are {peer[0]}".encode())
        print("inside, as", client.getsockname()[0], "heard:", client.recv(100).decode())
        for sock in (client, accepted):
            sock.close()
