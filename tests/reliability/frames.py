"""Garbage frames: random and mutated ones, into every kind of interface; no kernel and no process may die of them.

    python tests/reliability/frames.py [--count 1000000] [--seed 1] [--kernel 6.1] [--each]

One host has the interfaces, on a virtual clock, and each gets its share: what arrives
on a TAP device in the host itself, what a packet socket sends out of the interface,
what a capture holds that is played again, and (with a real clock) what the other end of
each device of this machine sends. The same seed gives the same frames. At the end the
host must still answer. With --each every interface gets `count` frames, without it all
together. The way to the Internet has a test of its own, frames_internet.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pyroute2 import L2tp
from pyroute2.netlink import NETLINK_GENERIC

from liblinux import Host, Network
from liblinux.network import Device, FrameSocket, Functions, Replay

__all__ = ["KINDS", "Frames", "bombard_devices", "bombard_interfaces", "is_in", "right_frames"]

# Made on the TAP device "under" (or beside it), by pyroute2.
KINDS: dict[str, dict[str, object]] = {
    "dummy": {},
    "vlan": {"link": "under", "vlan_id": 7},
    "macvlan": {"link": "under", "macvlan_mode": "bridge"},
    "bridge": {},
    "bond": {"bond_mode": 1},
    "veth": {"peer": "veth1"},
    "ipvlan": {"link": "veth1"},  # beside macvlan there is no room for it
    # What leaves by these arrives at a port of the bridge, a slave of the bond, a device in the VRF.
    "port": {"peer": "port1", "master": "bridge"},
    "slave": {"peer": "slave1", "master": "bond"},
    "vxlan": {"vxlan_id": 9, "vxlan_group": "10.66.0.2", "vxlan_port": 4789},
    "geneve": {"geneve_id": 9, "geneve_remote": "10.66.0.2"},
    "gre": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2"},
    "gretap": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2"},
    "ipip": {"ipip_local": "10.66.0.1", "ipip_remote": "10.66.0.2"},
    "sit": {"sit_local": "10.66.0.1", "sit_remote": "10.66.0.2"},
    "erspan": {"gre_local": "10.66.0.1", "gre_remote": "10.66.0.2", "gre_ikey": 9, "gre_okey": 9},
    "ip6tnl": {"ip6tnl_local": "fd66::1", "ip6tnl_remote": "fd66::2"},
    "ip6gre": {"ip6gre_local": "fd66::1", "ip6gre_remote": "fd66::2"},
    "ip6gretap": {"ip6gre_local": "fd66::1", "ip6gre_remote": "fd66::2"},
    "vti": {"vti_local": "10.66.0.1", "vti_remote": "10.66.0.2"},
    "vti6": {"vti_local": "fd66::1", "vti_remote": "fd66::2"},
    "xfrm": {"link": "under", "xfrm_if_id": 9},
    "bareudp": {},
    "nlmon": {},
    "wireguard": {},
    "ifb": {},
    "vrf": {"vrf_table": 10},
    "member": {"peer": "member1", "master": "vrf"},
    "cable": {},
    "netkit": {"peer": "netkit1"},
    "l2tp": {},
    "team": {},
    "macvtap": {"link": "port"},
    "macsec": {"link": "slave"},
    "hsr": {},
}
# Not in the other version.
_SINCE = {"netkit": (6, 7)}
_VETHS = ("veth", "port", "slave", "member")
_TCP, _UDP, _SCTP, _MPTCP, _DCCP, _UDPLITE = 6, 17, 132, 262, 33, 136
_MAC = bytes.fromhex("020000000001")
_ETHERTYPES = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847, 0x88CC, 0x8863, 0x8864, 0x88E5, 0x0004)
_PROTOCOLS = (1, 2, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 60, 103, 115, 132, 135, 136)
_PORTS = (1, 53, 80, 4789, 6081, 500, 4500, 51820, 6635, 1701)
_IFREQ = struct.Struct("=16sh22x")


def is_in(kind: str, release: str) -> bool:
    """Whether a kernel has that kind of interface."""
    return tuple(map(int, release.split(".")[:2])) >= _SINCE.get(kind, (0, 0))


class Frames:
    """Makes frames: of nothing, of headers that are nearly right, and of frames that were right."""

    def __init__(self, seed: int, right: list[bytes]) -> None:
        self._random = random.Random(seed)
        self._right = right

    def make(self) -> bytes:
        """The next one."""
        kind = self._random.random()
        if kind < 0.1 or not self._right:
            return self._random.randbytes(self._random.randrange(0, 200))
        if kind < 0.5:
            return self._packet()
        return self._mutated(self._random.choice(self._right))

    def _packet(self) -> bytes:
        """Ethernet and IP as they should be, and then whatever comes."""
        chance = self._random
        payload = chance.randbytes(chance.choice((0, 4, 8, 20, 40, 100, 1400)))
        protocol = chance.choice(_PROTOCOLS)
        if protocol in (_TCP, _UDP, _SCTP, _DCCP, _UDPLITE):
            payload = struct.pack("!HH", chance.choice(_PORTS), chance.choice(_PORTS)) + payload
        if chance.random() < 0.5:
            fragment = chance.choice((0, 0, 0, 0x2000, chance.randrange(0x4000)))
            head = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0,
                bytes([10, 66, 0, 2]), bytes([10, 66, 0, 1]),
            )  # fmt: skip
            return _MAC + chance.randbytes(6) + b"\x08\x00" + _with_checksum(head) + payload
        near = bytes.fromhex("fd66") + bytes(13)
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + near + b"\x02" + near + b"\x01"
        return _MAC + chance.randbytes(6) + b"\x86\xdd" + head + payload

    def _mutated(self, frame: bytes) -> bytes:
        chance = self._random
        data = bytearray(frame)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            what = chance.randrange(5)
            if what == 0 and data:
                data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            elif what == 1:
                del data[chance.randrange(len(data) + 1) :]
            elif what == 2:
                at = chance.randrange(len(data) + 1)
                data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 40)))
            elif what == 3 and len(data) > 14:
                data[12:14] = chance.choice(_ETHERTYPES).to_bytes(2, "big")
            elif what == 4:
                data += chance.choice(self._right)[chance.randrange(40) :]
        # What has a wrong checksum goes no further: put it right, mostly.
        if data[12:14] == b"\x08\x00" and len(data) >= 34 and chance.random() < 0.8:
            data[14:34] = _with_checksum(bytes(data[14:34]))
        return bytes(data)


def _with_checksum(header: bytes) -> bytes:
    """A header of IPv4 with its checksum."""
    total: int = sum(struct.unpack("!10H", header[:10] + b"\0\0" + header[12:20]))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + (~total & 0xFFFF).to_bytes(2, "big") + header[12:20]


def right_frames() -> list[bytes]:
    """What two hosts say to each other: connections of all kinds, ARP, ND, ICMP."""
    seen: list[bytes] = []
    with Network(clock="virtual", seed=1) as net:
        addresses = (["10.66.0.1/24", "fd66::1/64"], ["10.66.0.2/24", "fd66::2/64"])
        net.link(net.host("a"), net.host("b"), addresses=addresses)
        a, b = net.hosts["a"], net.hosts["b"]
        with b.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
            for address, family in (("10.66.0.2", socket.AF_INET), ("fd66::2", socket.AF_INET6)):
                net.ping("a", address, count=2)
                for protocol in (_TCP, _SCTP, _MPTCP):
                    _converse(a, b, address, family, protocol)
            tap.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    seen.append(tap.recv(1 << 16))
    return seen


def _converse(a: Host, b: Host, address: str, family: int, protocol: int) -> None:
    with (
        b.socket.socket(family, socket.SOCK_STREAM, protocol) as listening,
        a.socket.socket(family, socket.SOCK_STREAM, protocol) as client,
    ):
        port = 80 if (family, protocol) == (socket.AF_INET, _TCP) else 0
        listening.bind(("", port))
        listening.listen(1)
        client.connect((address, listening.getsockname()[1]))
        accepted, _ = listening.accept()
        with accepted:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            accepted.sendall(accepted.recv(100))
            client.recv(100)


def _listen(host: Host, stack: contextlib.ExitStack) -> None:
    """Somebody to talk to at all ports that frames are for."""
    for kind, protocol in (
        (socket.SOCK_STREAM, _TCP),
        (socket.SOCK_STREAM, _SCTP),
        (socket.SOCK_DGRAM, _UDP),
        (socket.SOCK_DGRAM, _UDPLITE),
    ):
        for port in _PORTS[:3]:
            sock = stack.enter_context(host.socket.socket(socket.AF_INET6, kind, protocol))
            sock.bind(("", port))
            if kind == socket.SOCK_STREAM:
                sock.listen(10)


def _make(host: Host, kind: str) -> None:
    """An interface of a kind, called like it, and up."""
    options = dict(KINDS[kind])
    if "link" in options:
        options["link"] = host.socket.if_nametoindex(str(options["link"]))
    master, peer = options.pop("master", None), options.pop("peer", None)
    if kind == "bareudp":
        _make_bareudp(host)
    elif kind == "hsr":
        _make_hsr(host)
    elif kind == "l2tp":
        sessions = host.netlink(L2tp, NETLINK_GENERIC)
        sessions.create_tunnel(
            tunnel_id=9, peer_tunnel_id=9, local="10.66.0.1", remote="10.66.0.2", udp_sport=1701, udp_dport=1701
        )
        sessions.create_session(tunnel_id=9, session_id=9, peer_session_id=9, ifname=kind)
    elif peer is not None:
        made = "veth" if kind in _VETHS else kind
        host.ip.link("add", ifname=kind, kind=made, **options, **({"peer": {"ifname": peer}} if made == "veth" else {}))
    else:
        host.ip.link("add", ifname=kind, kind=kind, **options)
    if master is not None:
        index, above = map(host.socket.if_nametoindex, (str(peer), str(master)))
        host.ip.link("set", index=index, state="down")
        host.ip.link("set", index=index, master=above)
        host.ip.link("set", index=index, state="up")
    host.ip.link("set", index=host.socket.if_nametoindex(kind), state="up")


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", len(content) + 4, kind) + content + bytes(-len(content) % 4)


def _make_bareudp(host: Host) -> None:
    """MPLS in UDP, at the port of RFC 7510."""
    _make_plainly(host, "bareudp", _attribute(1, struct.pack("!H", 6635)) + _attribute(2, struct.pack("!H", 0x8847)))


def _make_hsr(host: Host) -> None:
    """A ring of redundancy over two veth pairs, whose other ends hear what is sent."""
    slaves = b""
    for number in (1, 2):
        host.ip.link("add", ifname=f"ring{number}", kind="veth", peer={"ifname": f"ringpeer{number}"})
        for name in (f"ring{number}", f"ringpeer{number}"):
            host.ip.link("set", index=host.socket.if_nametoindex(name), state="up")
        slaves += _attribute(number, struct.pack("=I", host.socket.if_nametoindex(f"ring{number}")))
    _make_plainly(host, "hsr", slaves)


def _make_plainly(host: Host, kind: str, data: bytes) -> None:
    """One that pyroute2 has no words for. Source: linux/if_link.h, linux/rtnetlink.h."""
    information = _attribute(1, kind.encode()) + _attribute(2, data)
    body = bytes(16) + _attribute(3, kind.encode() + b"\0") + _attribute(18, information)
    with host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), 16, 0x605, 0, 0) + body)
        error = struct.unpack_from("=i", sock.recv(1 << 16), 16)[0]
    assert error == 0, os.strerror(-error)


def bombard_interfaces(
    seed: int, count: int, *, kinds: tuple[str, ...] = tuple(KINDS), version: str | None = None, each: bool = False
) -> Counter[str]:
    """Send `count` frames into interfaces of all kinds; how many each took, and "refused".

    With `each` all are sent so many; else half of them arrive at the TAP device, for that is the longer way.
    """
    taken: Counter[str] = Counter()
    frames = Frames(seed, right_frames())
    with Network(clock="virtual", seed=seed, version=version) as net, contextlib.ExitStack() as stack:
        host = net.host("victim")
        net.up()
        targets = {"tap": _tap(host), "tun": _tun(host), "lo": _sender(host, "lo", stack)}
        _listen(host, stack)
        for kind in kinds:
            if is_in(kind, net.kernel.release):
                _make(host, kind)
                targets[kind] = _sender(host, kind, stack)
        names = list(targets)
        for number in range(count * len(names) if each else count):
            name = names[number % len(names)] if each else names[number // 2 % len(names)] if number % 2 else "tap"
            try:
                targets[name](frames.make())
                taken[name] += 1
            except OSError:
                taken["refused"] += 1
            if not number % 1000:
                # Time goes on: timers of fragments, neighbours, connections.
                host.syscall("nanosleep", struct.pack("=qq", 1, 0), None)
        assert net.kernel.dead is None
        assert host.ping("127.0.0.1").received == 1, "the host is well"
    return taken


def _tap(host: Host) -> Callable[[bytes], object]:
    write = _written(host, "under", 0x1002)
    index = host.socket.if_nametoindex("under")
    host.ip.link("set", index=index, address=_MAC.hex(":"), state="up")
    for address, prefix in (("10.66.0.1", 24), ("fd66::1", 64)):
        host.ip.addr("add", index=index, address=address, prefixlen=prefix)
    return write


def _tun(host: Host) -> Callable[[bytes], object]:
    """A TUN device: packets without the header of Ethernet, whose type they tell by their first bits."""
    write = _written(host, "tun", 0x1001)
    host.ip.link("set", index=host.socket.if_nametoindex("tun"), state="up")
    return lambda frame: write(frame[14:])


def _written(host: Host, name: str, flags: int) -> Callable[[bytes], object]:
    fd = host.os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    host.syscall("ioctl", fd, 0x400454CA, _IFREQ.pack(name.encode(), flags))

    def write(frame: bytes) -> None:
        host.os.write(fd, frame)
        with contextlib.suppress(BlockingIOError):
            host.os.read(fd, 1 << 17)  # and what it says to that is lost

    return write


def _sender(host: Host, name: str, stack: contextlib.ExitStack) -> Callable[[bytes], object]:
    sock = stack.enter_context(host.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    sock.bind((name, 0))
    sock.setblocking(False)
    return sock.send


def bombard_devices(seed: int, count: int, *, version: str | None = None, each: bool = False) -> Counter[str]:
    """Send `count` frames in from outside, by devices of this machine (to `each`); how many arrived at each."""
    frames = Frames(seed, right_frames())
    taken: Counter[str] = Counter()
    with Network(version=version) as net, contextlib.ExitStack() as stack:
        ways: dict[str, tuple[Device, Callable[[bytes], object]]] = {}
        for name, device, send in _devices(stack):
            host = net.host(name)
            net.link(host, device)
            ways[name] = (device, send)
        net.up()
        for number in range(count * len(ways) if each else count):
            name = list(ways)[number % len(ways)]
            # A datagram of nothing would be the end of a socket of packets.
            ways[name][1](frames.make() or b"\0")
        before = -1
        while (now := _arrived(ways, wait=0.1)) != before:
            before = now
        for name, (device, _) in ways.items():
            host = net.hosts[name]
            assert host.ping(host.address, timeout=5).received == 1
            assert device.error is None, device.error
            taken[name] = _arrived({name: ways[name]})
        assert net.kernel.dead is None
    return taken


def _arrived(ways: dict[str, tuple[Device, Callable[[bytes], object]]], wait: float = 0.0) -> int:
    """How many frames have come in, also those that were refused; after so many seconds."""
    time.sleep(wait)
    traffic = [device.traffic for device, _ in ways.values()]
    return sum(one.frames_in + one.dropped_in for one in traffic)


def _devices(stack: contextlib.ExitStack) -> Iterator[tuple[str, Device, Callable[[bytes], object]]]:
    for name, kind in (("stream", socket.SOCK_STREAM), ("dgram", socket.SOCK_DGRAM), ("packet", socket.SOCK_SEQPACKET)):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        stack.enter_context(ours)
        # What the hosts send in their distress is not read, and must not matter.
        send = ours.send if kind != socket.SOCK_STREAM else _stream(ours)
        yield name, FrameSocket(theirs), send
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    stack.enter_context(ours)
    for sock in (ours, theirs):
        sock.bind(("127.0.0.1", 0))
    ours.connect(theirs.getsockname())
    theirs.connect(ours.getsockname())
    yield "udp", FrameSocket(theirs), _slowly(ours)
    device = Functions(lambda frame: None)
    yield "functions", device, device.send


def _stream(sock: socket.socket) -> Callable[[bytes], object]:
    return lambda frame: sock.sendall(len(frame).to_bytes(4, "big") + frame)


def _slowly(sock: socket.socket) -> Callable[[bytes], object]:
    """Datagrams of UDP are dropped where the queue is full, and are to arrive here: now and then, wait."""
    number = itertools.count(1)

    def send(frame: bytes) -> None:
        if not next(number) % 50:
            time.sleep(0.002)
        sock.send(frame)

    return send


def bombard_replay(seed: int, count: int, *, version: str | None = None, each: bool = False) -> Counter[str]:
    """Play a capture of `count` frames again, one every 10 microseconds of virtual time; how many arrived."""
    frames = Frames(seed, right_frames())
    with tempfile.TemporaryDirectory() as directory:
        capture = Path(directory) / "garbage.pcap"
        with capture.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
            for number in range(count):
                frame = frames.make()
                seconds, microseconds = divmod(number * 10, 10**6)
                file.write(struct.pack("<IIII", seconds, microseconds, len(frame), len(frame)) + frame)
        with Network(clock="virtual", seed=seed, version=version) as net:
            host, device = net.host("a"), Replay(capture)
            net.link(host, device)
            net.up()
            net.run(asyncio.sleep(count / 100_000 + 2))
            assert net.kernel.dead is None
            assert host.ping("127.0.0.1").received == 1
            assert device.done, "all were played"
            return Counter({"replay": device.sent - device.refused, "refused": device.refused})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kernel")
    parser.add_argument("--each", action="store_true", help="so many frames into every interface")
    options = parser.parse_args()
    for bombard in (bombard_interfaces, bombard_devices, bombard_replay):
        taken = bombard(options.seed, options.count, version=options.kernel, each=options.each)
        sys.stdout.write(f"{bombard.__name__}: {taken.total()} frames: {dict(taken)}\n")


if __name__ == "__main__":
    main()
