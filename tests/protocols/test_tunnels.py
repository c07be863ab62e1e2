"""GRE, IPIP, IPv6 in IPv6, VXLAN and WireGuard: what is inside, and what of it is seen from outside."""

from __future__ import annotations

import socket
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import WireGuard
from pyroute2.netlink import NETLINK_GENERIC
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from wire import SECRET, Wire, index, pair, routed, wait

from liblinux import Network


def _tunnel(net: Network, addresses: dict[str, str], **device: Any) -> None:
    """The same device on both hosts, each with its own address."""
    for host, address in addresses.items():
        ip = net.hosts[host].ip
        options = {name: value[host] if isinstance(value, dict) else value for name, value in device.items()}
        ip.link("add", ifname="t0", **options)
        number = index(net, host, "t0")
        ip.addr("add", index=number, address=address, prefixlen=24)
        ip.link("set", index=number, state="up")


def _tell(net: Network, address: str, data: bytes) -> bytes:
    """Send a datagram from a to an address of b; what arrives."""
    a, b = net.hosts["a"].socket, net.hosts["b"].socket
    with a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending, b.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind((address, 7))
        there.settimeout(5)
        sending.sendto(data, (address, 7))
        received: bytes = there.recv(2000)
        return received


@pytest.mark.parametrize(("kind", "number"), [("gre", socket.IPPROTO_GRE), ("ipip", socket.IPPROTO_IPIP)])
def test_ip_in_ip(kind: str, number: int, tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        outer = {name: net.hosts[name].address for name in "ab"}
        ends = {f"{kind}_local": outer, f"{kind}_remote": {"a": outer["b"], "b": outer["a"]}, f"{kind}_ttl": 64}
        _tunnel(net, {"a": "192.168.9.1", "b": "192.168.9.2"}, kind=kind, **ends)
        assert net.ping("a", "192.168.9.2").received == 1
    carried = wire.of(IP, proto=number)
    assert (outer["a"], outer["b"]) in [(packet.src, packet.dst) for packet in carried]
    echo = next(packet for packet in carried if ICMP in packet)
    inner = echo[GRE].payload if kind == "gre" else echo.payload
    assert isinstance(inner, IP) and inner.dst == "192.168.9.2"


def test_ipv6_in_ipv6(tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        outer = {name: net.resolve(name)[1] for name in "ab"}
        other = {"a": outer["b"], "b": outer["a"]}
        for host, address in (("a", "2001:db8:9::1"), ("b", "2001:db8:9::2")):
            ip = net.hosts[host].ip
            ip.link(
                "add", ifname="t0", kind="ip6tnl", ip6tnl_local=outer[host], ip6tnl_remote=other[host], ip6tnl_proto=41
            )
            number = index(net, host, "t0")
            ip.link("set", index=number, state="up")
            ip.addr("add", index=number, address=address, prefixlen=64)
        assert net.ping("a", "2001:db8:9::2").received == 1
    carried = [packet for packet in wire.of(IPv6, src=outer["a"]) if packet.getlayer(IPv6, 2)]
    assert "2001:db8:9::2" in [packet.getlayer(IPv6, 2).dst for packet in carried]


def test_vxlan(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        outer = {name: net.hosts[name].address for name in "ab"}
        other = {"a": outer["b"], "b": outer["a"]}
        ends = {"vxlan_id": 42, "vxlan_local": outer, "vxlan_group": other, "vxlan_port": 4789}
        _tunnel(net, {"a": "192.168.9.1", "b": "192.168.9.2"}, kind="vxlan", **ends)
        assert _tell(net, "192.168.9.2", SECRET) == SECRET
    carried = wire.of(VXLAN)
    assert all(packet.vni == 42 for packet in carried)
    assert any(UDP in packet[Ether] and bytes(packet[UDP].payload) == SECRET for packet in carried), "not hidden"


def _keys(wireguard: Any) -> str:
    """The public key of the device, which the kernel makes of the private one."""
    return str(wireguard.info("t0")[0].get_attr("WGDEVICE_A_PUBLIC_KEY").decode())


def test_wireguard(tmp_path: Path) -> None:
    with routed() as net, Wire(net, tmp_path) as wire:
        _tunnel(net, {"a": "192.168.9.1", "b": "192.168.9.2"}, kind="wireguard")
        guards = {name: net.hosts[name].netlink(WireGuard, NETLINK_GENERIC) for name in "ab"}
        for number, guard in enumerate(guards.values(), 1):
            guard.set("t0", private_key=b64encode(bytes([number]) * 32).decode(), listen_port=51820)
        public = {name: _keys(guard) for name, guard in guards.items()}
        for name, peer in (("a", "b"), ("b", "a")):
            endpoint = {"endpoint_addr": net.hosts[peer].address, "endpoint_port": 51820}
            guards[name].set("t0", peer={"public_key": public[peer], "allowed_ips": ["192.168.9.0/24"], **endpoint})
        # In the first 20 ms after the boot a handshake looks like one too many, and is tried again after 5 s.
        wait(net, 0.05)
        assert _tell(net, "192.168.9.2", SECRET) == SECRET
        with pytest.raises(TimeoutError):
            # A peer of another key is not listened to.
            guards["a"].set("t0", private_key=b64encode(bytes([9]) * 32).decode())
            _tell(net, "192.168.9.2", SECRET)
    assert SECRET not in wire.bytes
    kinds = [bytes(packet.payload)[0] for packet in wire.of(UDP, dport=51820)]
    assert kinds[0] == 1 and 2 in kinds and 4 in kinds, "initiation, response, data"
