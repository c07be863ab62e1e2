"""IPsec by xfrm netlink: ESP in both modes; and what is left of Mobile IPv6."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ParamProblem, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from wire import SECRET, Wire, carry, connected, pair

from liblinux import Network
from liblinux.network import Host

_NETLINK_XFRM = 6
_NEW_STATE, _NEW_POLICY = 0x10, 0x13
_REQUEST_ACK = 1 | 4
_ALG_AEAD, _TMPL, _COADDR = 18, 5, 14
_IN, _OUT, _FORWARD = 0, 1, 2
_TRANSPORT, _TUNNEL, _ROUTE_OPTIMIZATION = 0, 1, 2
_KEY = bytes(range(20))  # AES-128, and four bytes of salt: RFC 4106
_FOR_EVER = struct.pack("=8Q", *[2**64 - 1] * 4, 0, 0, 0, 0)


def _address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text).ljust(16, b"\0")


def _family(text: str) -> int:
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def _selector(source: str, target: str) -> bytes:
    """struct xfrm_selector: "address/length" of both sides."""
    (saddr, slen), (daddr, dlen) = (text.split("/") for text in (source, target))
    ports = bytes(8)
    tail = struct.pack("=HBBB3xiI", _family(saddr), int(dlen), int(slen), 0, 0, 0)
    return _address(daddr) + _address(saddr) + ports + tail


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data


def _request(host: Host, kind: int, body: bytes) -> None:
    """Send a message of xfrm netlink and look at its acknowledgement."""
    with host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM) as netlink:
        netlink.send(struct.pack("=IHHII", len(body) + 16, kind, _REQUEST_ACK, 1, 0) + body)
        error = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        raise OSError(error, "xfrm refused")


def _add_state(host: Host, source: str, target: str, spi: int, mode: int, protocol: int = socket.IPPROTO_ESP) -> None:
    """struct xfrm_usersa_info, and the key of an AEAD."""
    identity = _address(target) + struct.pack("!I", spi) + bytes([protocol, 0, 0, 0])
    head = bytes(40) + struct.pack("=H14x", _family(source)) + identity + _address(source) + _FOR_EVER + bytes(32 + 12)
    body = head + struct.pack("=IIHBBB7x", 0, 0, _family(source), mode, 32, 0)
    cipher = b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", len(_KEY) * 8, 128) + _KEY
    # The others have no key, but the care-of address of who is on the way.
    esp = protocol == socket.IPPROTO_ESP
    _request(host, _NEW_STATE, body + (_attribute(_ALG_AEAD, cipher) if esp else _attribute(_COADDR, _address(source))))


def _add_policy(host: Host, direction: int, selector: bytes, ends: tuple[str, str], mode: int) -> None:
    """struct xfrm_userpolicy_info, and what it asks for."""
    source, target = ends
    body = selector + _FOR_EVER + bytes(32) + struct.pack("=IIBBBB4x", 0, 0, direction, 0, 0, 0)
    template = _address(target) + struct.pack("!I", 0) + bytes([socket.IPPROTO_ESP, 0, 0, 0])
    template += struct.pack("=Hxx", _family(source)) + _address(source)
    template += struct.pack("=IBBBxIII", 0, mode, 0, 0, *[2**32 - 1] * 3)
    _request(host, _NEW_POLICY, body + _attribute(_TMPL, template))


@pytest.mark.parametrize("version", [4, 6])
def test_esp_between_two_hosts(version: int, tmp_path: Path) -> None:
    with pair() as net, Wire(net, tmp_path) as wire:
        a, b = (next(one for one in net.resolve(name) if (":" in one) == (version == 6)) for name in "ab")
        length = "32" if version == 4 else "128"
        for host in net.hosts.values():
            for number, (source, target) in enumerate([(a, b), (b, a)], 1):
                _add_state(host, source, target, number, _TRANSPORT)
                leaves = (host.name == "a") == (source == a)
                selector = _selector(f"{source}/{length}", f"{target}/{length}")
                _add_policy(host, _OUT if leaves else _IN, selector, (source, target), _TRANSPORT)
        sending, receiving = connected(net, (_family(a), socket.SOCK_STREAM), address=b)
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
                _add_state(router, *ends, spi, _TUNNEL)
            outward = _selector(f"{inner[here]}/32", f"{inner[other]}/32")
            inward = _selector(f"{inner[other]}/32", f"{inner[here]}/32")
            _add_policy(router, _OUT, outward, there, _TUNNEL)
            for direction in (_IN, _FORWARD):
                _add_policy(router, direction, inward, back, _TUNNEL)
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


@pytest.mark.parametrize("protocol", [socket.IPPROTO_DSTOPTS, socket.IPPROTO_ROUTING])
def test_route_optimization_of_mobile_ipv6(protocol: int) -> None:
    """Both types of xfrm exist in Linux, and are not built in here: README says so."""
    with pair() as net, pytest.raises(OSError) as caught:
        a, b = (net.resolve(name)[1] for name in "ab")
        _add_state(net.hosts["a"], a, b, 0, _ROUTE_OPTIMIZATION, protocol)
    assert caught.value.errno == errno.EPROTONOSUPPORT
