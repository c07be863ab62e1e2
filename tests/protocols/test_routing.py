"""Policy routing, several paths, VRFs."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

from scapy.layers.inet import ICMP, UDP
from wire import Wire, index

from liblinux import Network


def _diamond() -> Network:
    """a, two routers side by side, one more, and b."""
    net = Network(clock="virtual", seed=1, ipv6=None)
    net.host("a"), net.host("b")
    for name in ("r1", "r2", "r3"):
        net.router(name)
    for ends in (("a", "r1"), ("a", "r2"), ("r1", "r3"), ("r2", "r3"), ("r3", "b")):
        net.link(*ends)
    net.up()
    return net


def _gateway(net: Network, name: str) -> str:
    return net.resolve(name, near=net.hosts["a"])[0]


def test_routes_by_mark(tmp_path: Path) -> None:
    with _diamond() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        a.ip.route("add", dst="default", gateway=_gateway(net, "r2"), table=100)
        a.ip.rule("add", table=100, fwmark=7, priority=100)
        with (
            a.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
            b.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        ):
            there.bind(("", 7))
            for mark in (0, 7):
                sending.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                sending.sendto(b"marked %d" % mark, (b.address, 7))
                assert there.recv(100) == b"marked %d" % mark
    sent = {bytes(p[UDP].payload): p.sniffed_on for p in wire.packets if UDP in p and p.sniffed_on.startswith("a:")}
    assert sent == {b"marked 0": "a:eth0", b"marked 7": "a:eth1"}


def test_flows_are_spread_over_paths_of_equal_cost(tmp_path: Path) -> None:
    with _diamond() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        a.sysctl["net.ipv4.fib_multipath_hash_policy"] = 1
        hops = [{"gateway": _gateway(net, name)} for name in ("r1", "r2")]
        a.ip.route("replace", dst=f"{b.address}/32", multipath=hops)
        with b.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("", 7))
            for number in range(40):
                with a.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                    sending.bind(("", 20000 + number // 2))
                    sending.sendto(b"x", (b.address, 7))
                    there.recv(10)
    ways = [(p[UDP].sport, p.sniffed_on) for p in wire.packets if UDP in p and p.sniffed_on.startswith("a:")]
    assert len(ways) == 40 and len(set(ways)) == 20, "a flow stays on its path"
    shares = Counter(way for _, way in set(ways))
    assert min(shares["a:eth0"], shares["a:eth1"]) >= 4


def test_vrfs_have_tables_of_their_own(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        router = net.router("r")
        for name in ("a1", "b1", "a2", "b2"):
            net.link(net.host(name), router)
        net.up()
        for table, (vrf, ports) in enumerate({"red": ("eth0", "eth1"), "blue": ("eth2", "eth3")}.items(), 10):
            router.ip.link("add", ifname=vrf, kind="vrf", vrf_table=table)
            router.ip.link("set", index=index(net, "r", vrf), state="up")
            for port in ports:
                router.ip.link("set", index=index(net, "r", port), master=index(net, "r", vrf))
        with Wire(net, tmp_path) as wire:
            assert net.ping("a1", "b1").received == net.ping("a2", "b2").received == 1
            assert net.ping("a1", "b2").received == net.ping("b2", "b1").received == 0
    assert len(wire.of(ICMP, type=3)) == 2, "each was told that there is no way"
