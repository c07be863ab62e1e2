"""Garbage frames: random and mutated ones, into every kind of interface; no kernel and no process may die of them.

    python tests/reliability/frames.py [--count 1000000] [--seed 1] [--kernel 6.1] [--each] [--kinds bridge,port]

One host has the interfaces, on a virtual clock, and each gets its share: what arrives
on a TAP device in the host itself, what a packet socket sends out of the interface,
what a capture holds that is played again, and (with a real clock) what the other end of
each device of this machine sends. The same seed gives the same frames. At the end the
host must still answer. With --each every interface gets `count` frames, without it all
together; with --kinds there are only such interfaces, and nothing else is done. The way
to the Internet has a test of its own, frames_internet.py.
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

from interface_kinds import KINDS, is_in, make_interface

from liblinux import Host, Network
from liblinux.network import Device, FrameSocket, Functions, Replay

__all__ = ["Frames", "arguments", "bombard_devices", "bombard_interfaces", "bombard_replay", "right_frames"]

_TCP, _UDP, _SCTP, _MPTCP, _DCCP, _UDPLITE = 6, 17, 132, 262, 33, 136
_MAC = bytes.fromhex("020000000001")
_ETHERTYPES = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847, 0x88CC, 0x8863, 0x8864, 0x88E5, 0x0004)
_PROTOCOLS = (1, 2, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 60, 103, 115, 132, 135, 136)
_PORTS = (1, 53, 80, 4789, 6081, 500, 4500, 51820, 6635, 1701)
_IFREQ = struct.Struct("=16sh22x")


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
                make_interface(host, kind)
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


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The command line that this program and its kin have: how many frames, of which seed, into which kernel."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kernel")
    return parser


def main() -> None:
    """The command line."""
    parser = arguments(__doc__)
    parser.add_argument("--each", action="store_true", help="so many frames into every interface")
    parser.add_argument("--kinds", help="only these interfaces, each after those that it is on")
    options = parser.parse_args()
    seed, count, common = options.seed, options.count, {"version": options.kernel, "each": options.each}
    kinds = tuple(options.kinds.split(",")) if options.kinds else tuple(KINDS)
    _say("interfaces", bombard_interfaces(seed, count, kinds=kinds, **common))
    if not options.kinds:
        _say("devices", bombard_devices(seed, count, **common))
        _say("a capture", bombard_replay(seed, count, **common))


def _say(what: str, taken: Counter[str]) -> None:
    sys.stdout.write(f"{what}: {taken.total()} frames: {dict(taken)}\n")


if __name__ == "__main__":
    main()
