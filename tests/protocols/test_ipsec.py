"""IPsec by xfrm netlink: ESP in both modes; and options of a destination that it does not know."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ParamProblem, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from wire import SECRET, Wire, carry, connected, pair
from xfrm import FORWARD, IN, OUT, TRANSPORT, TUNNEL, add_policy, add_state, family_of, selector_of

from liblinux import Network


@pytest.mark.parametrize("version", [4, 6])
def test_esp_between_two_hosts(version: int, tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = (next(one for one in net.resolve(name) if (":" in one) == (version == 6)) for name in "ab")
        length = "32" if version == 4 else "128"
        for host in net.hosts.values():
            for number, (source, target) in enumerate([(a, b), (b, a)], 1):
                add_state(host, source, target, number, TRANSPORT)
                leaves = (host.name == "a") == (source == a)
                selector = selector_of(f"{source}/{length}", f"{target}/{length}")
                add_policy(host, OUT if leaves else IN, selector, (source, target), TRANSPORT)
        sending, receiving = connected(net, (family_of(a), socket.SOCK_STREAM), address=b)
        with sending, receiving:
            assert carry(net, sending, receiving, SECRET) == SECRET
    assert SECRET not in wire.bytes
    packets = wire.of(ESP)
    assert {packet.spi for packet in packets} == {1, 2}
    first = [packet.seq for packet in packets if packet.spi == 1]
    assert first == list(range(1, len(first) + 1))


def test_esp_tunnel_between_two_routers(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as net:
        for name in ("a", "b"):
            net.host(name), net.router(f"r{name}")
        for ends in (("a", "ra"), ("ra", "rb"), ("rb", "b")):
            net.link(*ends)
        net.up()
        outer = {"a": net.resolve("ra", near=net.hosts["rb"])[0], "b": net.resolve("rb", near=net.hosts["ra"])[0]}
        inner = {name: net.hosts[name].address for name in "ab"}
        for here, other in (("a", "b"), ("b", "a")):
            router = net.hosts[f"r{here}"]
            there, back = (outer[here], outer[other]), (outer[other], outer[here])
            for ends, spi in ((there, 1 if here == "a" else 2), (back, 2 if here == "a" else 1)):
                add_state(router, *ends, spi, TUNNEL)
            outward = selector_of(f"{inner[here]}/32", f"{inner[other]}/32")
            inward = selector_of(f"{inner[other]}/32", f"{inner[here]}/32")
            add_policy(router, OUT, outward, there, TUNNEL)
            for direction in (IN, FORWARD):
                add_policy(router, direction, inward, back, TUNNEL)
        with Wire(net, tmp_path) as wire:
            sending, receiving = connected(net, (socket.AF_INET, socket.SOCK_STREAM))
            with sending, receiving:
                assert carry(net, sending, receiving, SECRET) == SECRET
    between = wire.sent_by("ra:eth1") + wire.sent_by("rb:eth0")
    assert SECRET in wire.bytes and SECRET not in b"".join(map(bytes, between)), "readable only outside of the tunnel"
    packets = [packet for packet in between if IP in packet]
    assert packets and all(packet[IP].proto == socket.IPPROTO_ESP for packet in packets)
    assert {packet[IP].src for packet in packets} == set(outer.values()), "the hosts are not to be seen"


def test_destination_options_that_are_not_known_are_complained_about(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a = net.hosts["a"]
        net.ping("a", net.resolve("b")[1])
        neighbour = next(packet for packet in a.ip.get_neighbours(family=socket.AF_INET6, dst=net.resolve("b")[1]))
        # The first two bits of the option's kind say: tell the sender.
        raw = bytes([59, 0, 0x9E, 4, 0, 0, 0, 0])
        with a.scapy("eth0") as sock:
            packet = IPv6(src=net.resolve("a")[1], dst=net.resolve("b")[1], nh=60) / raw
            sock.send(Ether(dst=neighbour.get_attr("NDA_LLADDR"), src=sock.ins.getsockname()[4]) / packet)
        net.ping("a", "b")
    problem = wire.of(ICMPv6ParamProblem)
    assert [(packet.code, packet.ptr) for packet in problem] == [(2, 42)]
