"""IPv4, IPv6 and ICMP: fragments, neighbours, autoconfiguration, errors."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptPrefixInfo,
    IPv6,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Ether
from wire import Wire, index, pair, routed, wait

_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_MTU = 10, 2, 14
LARGE = bytes(range(256)) * 16


@pytest.mark.parametrize("version", [4, 6])
def test_large_datagrams_are_fragmented_and_put_together(version: int, tmp_path: Path) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        address = next(one for one in net.resolve("b") if (":" in one) == (version == 6))
        with a.socket.socket(family, socket.SOCK_DGRAM) as sending, b.socket.socket(family, socket.SOCK_DGRAM) as there:
            there.bind(("", 7))
            sending.sendto(LARGE, (address, 7))
            assert there.recv(10000) == LARGE
    if version == 4:
        fragments = wire.of(IP, proto=socket.IPPROTO_UDP)
        assert [packet.frag * 8 for packet in fragments] == [0, 1480, 2960]
        assert len({packet.id for packet in fragments}) == 1
        assert [packet.flags.MF for packet in fragments] == [True, True, False]
        assert fragments[0][UDP].len == len(LARGE) + 8
        assert [packet.op for packet in wire.of(ARP)] == [1, 2]
    else:
        fragments = wire.of(IPv6ExtHdrFragment)
        assert [packet.offset * 8 for packet in fragments] == [0, 1448, 2896]
        assert [packet.m for packet in fragments] == [1, 1, 0]
        assert wire.of(ICMPv6ND_NS, tgt=address) and wire.of(ICMPv6ND_NA, tgt=address)


def test_a_router_advertisement_gives_an_address_and_a_route(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        where = index(net, "b", "eth0")
        link_local = next(
            one.get_attr("IFA_ADDRESS") for one in b.ip.get_addr(family=socket.AF_INET6, index=where, scope=253)
        )
        b.ip.addr("add", index=where, address="2001:db8:5::1", prefixlen=64)
        prefix = ICMPv6NDOptPrefixInfo(prefix="2001:db8:5::", prefixlen=64)
        with b.scapy("eth0") as sock:
            packet = IPv6(src=link_local, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800) / prefix
            sock.send(Ether(dst="33:33:00:00:00:01") / packet)
        net.ping("a", "b")
        assert net.ping("a", "2001:db8:5::1").received == 1
        routes = a.ip.get_default_routes(family=socket.AF_INET6)
        assert link_local in [route.get_attr("RTA_GATEWAY") for route in routes]
    assert wire.of(ICMPv6ND_RA)
    source = next(packet.src for packet in wire.of(IPv6, dst="2001:db8:5::1") if ICMPv6EchoRequest in packet)
    assert source.startswith("2001:db8:5:") and "ff:fe" in source, "made of the prefix and the card's address"


def test_a_closed_port_is_said_so(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a = net.hosts["a"]
        with a.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.connect((net.hosts["b"].address, 9))
            sending.send(b"anyone?")
            with pytest.raises(ConnectionRefusedError):
                sending.recv(1)
    assert [(packet.type, packet.code) for packet in wire.of(ICMP)] == [(3, 3)]


def test_a_path_is_found_out_by_hops_that_are_too_few(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        a, target = net.hosts["a"], net.hosts["b"].address
        with a.scapy() as sock:
            hops = [sock.sr1(IP(dst=target, ttl=ttl) / ICMP(), timeout=1).src for ttl in (1, 2)]
        assert hops == [net.resolve("r", near=a)[0], target]
    assert [packet.type for packet in wire.of(ICMP) if packet.type != 8] == [11, 0, 0]


def test_the_largest_packet_of_a_path_is_learned(tmp_path: Path) -> None:
    with routed(mtu=1300) as net, Wire(net, tmp_path) as wire:
        a, b = net.hosts["a"], net.hosts["b"]
        with (
            a.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
            b.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
        ):
            receiving.bind(("", 7))
            sending.connect((b.address, 7))
            sending.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
            sending.send(LARGE[:1400])
            wait(net, 0.01)  # until the router has complained
            assert sending.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMSGSIZE
            with pytest.raises(OSError) as caught:
                sending.send(LARGE[:1400])
            assert caught.value.errno == errno.EMSGSIZE
            assert sending.getsockopt(socket.IPPROTO_IP, _IP_MTU) == 1300
            sending.send(LARGE[:1272])
            assert receiving.recv(2000) == LARGE[:1272]
    assert [packet.nexthopmtu for packet in wire.of(ICMP, type=3, code=4)] == [1300]
    assert [packet.len for packet in wire.of(IP) if UDP in packet and ICMP not in packet] == [1428, 1300, 1300]
