"""nftables, address translation, connection tracking, IPVS."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPVS, Conntrack, IPVSDest, IPVSService
from pyroute2.netlink import NETLINK_GENERIC, NETLINK_NETFILTER
from pyroute2.nftables.expressions import genex, ipv4addr, masq, verdict
from pyroute2.nftables.main import NFTables
from scapy.layers.inet import IP, TCP
from wire import SECRET, Wire, carry, routed

from liblinux import Network
from liblinux.network import Host

_DROP = 0


def _tables(host: Host) -> Any:
    return host.netlink(NFTables, NETLINK_NETFILTER)


def _chain(nft: Any, name: str, hook: str, kind: str = "filter", priority: int = 0) -> None:
    nft.table("add", name="t")
    nft.chain("add", table="t", name=name, hook=hook, type=kind, policy=1, priority=priority)


def _to_port(port: int) -> list[Any]:
    """Of TCP, to that port."""
    value = {"attrs": [("NFTA_DATA_VALUE", port.to_bytes(2, "big"))]}
    return [
        genex("payload", {"dreg": 1, "base": 2, "offset": 2, "len": 2}),
        genex("cmp", {"sreg": 1, "op": 0, "data": value}),
    ]


def _to(address: str, port: int) -> list[Any]:
    """Destination NAT to an address and a port."""
    values = [socket.inet_aton(address), port.to_bytes(2, "big")]
    loads = [
        genex("immediate", {"dreg": register, "data": {"attrs": [("NFTA_DATA_VALUE", value)]}})
        for register, value in enumerate(values, 1)
    ]
    return [*loads, genex("nat", {"type": 1, "family": 2, "reg_addr_min": 1, "reg_proto_min": 2})]


def _talk(net: Network, target: tuple[str, int], server: Host, port: int) -> str:
    """Connect from a, send the secret to the server; who it was, for the server."""
    with server.socket.create_server(("", port)) as listening, net.hosts["a"].socket.socket() as client:
        client.settimeout(3)
        client.connect(target)
        accepted, peer = listening.accept()
        with accepted:
            assert carry(net, client, accepted, SECRET) == SECRET
        return str(peer[0])


def test_filtering_by_address(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        nft = _tables(net.hosts["r"])
        _chain(nft, "c", "forward")
        assert net.ping("a", "b").received == 1
        nft.rule("add", table="t", chain="c", expressions=(ipv4addr(src=net.hosts["a"].address), verdict(_DROP)))
        assert len(list(nft.get_rules())) == 1
        assert net.ping("a", "b").received == 0
        assert net.ping("b", "r").received == 1
    leaving = [packet for packet in wire.sent_by("r:eth1") if IP in packet and packet[IP].src == "10.0.0.1"]
    assert len(leaving) == 1, "the echo of before"


def test_masquerading_and_connection_tracking(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        a, r, b = (net.hosts[name] for name in "arb")
        nft = _tables(r)
        _chain(nft, "c", "postrouting", "nat", 100)
        nft.rule("add", table="t", chain="c", expressions=(ipv4addr(src=a.address), masq()))
        inside, outside = a.address, net.resolve("r", near=b)[0]
        assert _talk(net, (b.address, 7), b, 7) == outside
        entries = [one for one in r.netlink(Conntrack, NETLINK_NETFILTER).dump_entries() if one.tuple_orig.dport == 7]
        assert [(str(one.tuple_orig.saddr), str(one.tuple_reply.daddr)) for one in entries] == [(a.address, outside)]
    assert {p[IP].src for p in wire.sent_by("r:eth1") if TCP in p} == {outside}
    assert {p[IP].dst for p in wire.sent_by("r:eth0") if TCP in p} == {inside}


def test_a_port_that_is_forwarded(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        a, r, b = (net.hosts[name] for name in "arb")
        nft = _tables(r)
        _chain(nft, "c", "prerouting", "nat", -100)
        nft.rule("add", table="t", chain="c", expressions=(_to_port(8080), _to(b.address, 7)))
        inside, server = net.resolve("r", near=a)[0], b.address
        assert _talk(net, (inside, 8080), b, 7) == a.address
        with pytest.raises(ConnectionRefusedError):
            a.socket.create_connection((inside, 8081))
    assert {(p[IP].dst, p[TCP].dport) for p in wire.sent_by("a:eth0") if TCP in p} >= {(inside, 8080)}
    assert {(p[IP].dst, p[TCP].dport) for p in wire.sent_by("r:eth1") if TCP in p} == {(server, 7)}


def test_ipvs_takes_turns(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        net.router("r")
        for name in ("a", "b", "c"):
            net.link(net.host(name), "r")
        net.up()
        a, r = net.hosts["a"], net.hosts["r"]
        virtual = net.resolve("r", near=a)[0]
        servers = [net.hosts[name] for name in "bc"]
        addresses = [server.address for server in servers]
        ipvs = r.netlink(IPVS, NETLINK_GENERIC)
        service = IPVSService(addr=virtual, port=80, protocol=socket.IPPROTO_TCP, sched_name="rr")
        ipvs.service("add", service=service)
        for server in servers:
            ipvs.dest("add", service=service, dest=IPVSDest(addr=server.address, port=7, fwd_method=0))
        with (
            Wire(net, tmp_path) as wire,
            servers[0].socket.create_server(("", 7)) as first,
            servers[1].socket.create_server(("", 7)) as second,
        ):
            answered = []
            for _ in range(4):
                with a.socket.create_connection((virtual, 80)) as client:
                    client.settimeout(5)
                    answered.append(_served(net, client, {"b": first, "c": second}))
    assert sorted(answered) == ["b", "b", "c", "c"] and answered[0] != answered[1]
    assert {p[IP].dst for p in wire.sent_by("a:eth0") if TCP in p} == {virtual}
    assert {p[IP].dst for p in wire.packets if TCP in p and p[TCP].flags == "S"} == {virtual, *addresses}


def _served(net: Network, client: Any, listening: dict[str, Any]) -> str:
    """Which server has accepted."""
    for name, server in listening.items():
        server.setblocking(False)
        try:
            accepted, _ = server.accept()
        except BlockingIOError:
            continue
        with accepted:
            assert carry(net, client, accepted, SECRET) == SECRET
        return name
    raise AssertionError("nobody has accepted")
