"""TCP connections out of a capture file: what was sent, acknowledged and allowed, over time.

scapy reads the files (pcap and pcapng, also gzipped). Taking the headers apart is
done here: its classes need 100 us for a packet, a capture has a million of them, and
what is wanted are five numbers.

Sources: RFC 791, 8200, 9293; https://www.tcpdump.org/linktypes.html
"""

from __future__ import annotations

import gzip
import ipaddress
import os
import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Capture", "Flow", "read_capture"]

# What is in front of the Ethernet type, or None where the version of IP says it.
_NULL, _ETHERNET, _RAW_BSD, _RAW, _COOKED, _IPV4, _IPV6, _COOKED_2 = 0, 1, 12, 101, 113, 228, 229, 276
_TYPE_OFFSETS = {_ETHERNET: 12, _COOKED: 14}
_VLANS = (0x8100, 0x88A8)
_TYPE_IPV4, _TYPE_IPV6 = 0x0800, 0x86DD
_TCP = 6
_EXTENSIONS = (0, 43, 60)  # hop by hop, routing, destination options
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP_HEADER = struct.Struct(">HHIIBBH")
_OPTION_END, _OPTION_NOP, _OPTION_SCALE = 0, 1, 3
_WRAP = 1 << 32
_GZIP = b"\x1f\x8b"


@dataclass
class Flow:
    """One direction of a TCP connection.

    `source` and `target` are "address port" each. Of segments with data: `times` in seconds, `starts`
    and `ends` in bytes from the beginning, `again` whether they had been sent before. Of what came back:
    `ack_times`, `acks`, and `limits`, up to where the receiver lets send.
    """

    source: str
    target: str
    times: array[float] = field(default_factory=lambda: array("d"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    again: array[int] = field(default_factory=lambda: array("b"))
    ack_times: array[float] = field(default_factory=lambda: array("d"))
    acks: array[int] = field(default_factory=lambda: array("q"))
    limits: array[int] = field(default_factory=lambda: array("q"))

    @property
    def name(self) -> str:
        """ "source -> target"."""
        return f"{self.source} -> {self.target}"

    @property
    def sent(self) -> int:
        """Bytes from the beginning to the furthest that was sent."""
        return max(self.ends, default=0)


@dataclass
class Capture:
    """A capture file: `flows`, those that have sent most first; of each interface times and lengths of all packets."""

    path: str
    flows: list[Flow]
    packets: dict[str, tuple[array[float], array[int]]]
    begin: float

    @property
    def count(self) -> int:
        """How many packets there are."""
        return sum(len(times) for times, _ in self.packets.values())


def read_capture(path: str | os.PathLike[str], begin: float | None = None) -> Capture:
    """Read a pcap or pcapng file; times count from `begin`, in seconds since 1970, or from its first packet.

    Raises ImportError without scapy (pip install liblinux[plots]), OSError when the
    file cannot be read, ValueError when it is no capture.
    """
    reader = _Reader(begin)
    for packet, interface, link_type, time, length in _packets(os.fspath(path)):
        reader.take(packet, interface, link_type, time, length)
    return Capture(os.fspath(path), reader.flows(), reader.seen, reader.begin or 0.0)


def _packets(path: str) -> Iterator[tuple[bytes, str, int, float, int]]:
    try:
        from scapy.error import Scapy_Exception  # noqa: PLC0415 - slow, and an extra
        from scapy.utils import RawPcapReader  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ImportError("captures are read by scapy: pip install 'liblinux[plots]'") from error
    # Opened here: what is no capture scapy would leave open.
    with open(path, "rb") as plain:
        magic = plain.read(len(_GZIP))
        plain.seek(0)
        if not magic:
            raise ValueError(f"{path} is no capture: it is empty")
        file: Any = gzip.GzipFile(fileobj=plain) if magic == _GZIP else plain
        try:
            reader = RawPcapReader(file)
            for packet, about in reader:
                yield packet, *_metadata(about, reader)
        except (Scapy_Exception, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is no capture of pcap or pcapng: {error}") from None


def _metadata(about: Any, reader: Any) -> tuple[str, int, float, int]:
    """Interface, type of link, time in seconds, length on the wire."""
    if hasattr(about, "tshigh"):
        if about.tshigh is None:  # a simple packet block has none
            return "", about.linktype, 0.0, about.wirelen
        time = ((about.tshigh << 32) + about.tslow) / about.tsresol
        name = about.ifname.decode("utf-8", "replace") if about.ifname else ""
        return name, about.linktype, time, about.wirelen
    return "", reader.linktype, about.sec + about.usec / (1e9 if reader.nano else 1e6), about.wirelen


# ---- headers ----------------------------------------------------------------------


def _find_ip(packet: bytes, link_type: int) -> tuple[int, int]:
    """Ethernet type and the place of what is behind it; type 0 for what is not known."""
    if link_type in _TYPE_OFFSETS:
        at = _TYPE_OFFSETS[link_type]
        kind = int.from_bytes(packet[at : at + 2], "big")
        while kind in _VLANS:
            at += 4
            kind = int.from_bytes(packet[at : at + 2], "big")
        return kind, at + 2
    if link_type == _COOKED_2:
        return int.from_bytes(packet[:2], "big"), 20
    at = 4 if link_type == _NULL else 0
    if link_type in (_NULL, _RAW_BSD, _RAW, _IPV4, _IPV6) and len(packet) > at:
        return {4: _TYPE_IPV4, 6: _TYPE_IPV6}.get(packet[at] >> 4, 0), at
    return 0, 0


def _find_tcp(packet: bytes, kind: int, at: int) -> tuple[bytes, bytes, int, int] | None:
    """Addresses, the place of TCP's header, and that of the packet's end; None for anything else."""
    if kind == _TYPE_IPV4 and len(packet) >= at + 20:
        fragment = int.from_bytes(packet[at + 6 : at + 8], "big") & 0x1FFF
        if packet[at + 9] != _TCP or fragment:
            return None
        end = at + (int.from_bytes(packet[at + 2 : at + 4], "big") or len(packet) - at)
        return packet[at + 12 : at + 16], packet[at + 16 : at + 20], at + 4 * (packet[at] & 15), end
    if kind == _TYPE_IPV6 and len(packet) >= at + 40:
        end = at + 40 + (int.from_bytes(packet[at + 4 : at + 6], "big") or len(packet) - at - 40)
        following, place = packet[at + 6], at + 40
        while following in _EXTENSIONS and len(packet) >= place + 8:
            following, place = packet[place], place + 8 * (packet[place + 1] + 1)
        return (packet[at + 8 : at + 24], packet[at + 24 : at + 40], place, end) if following == _TCP else None
    return None


def _scale(packet: bytes, at: int, end: int) -> int | None:
    """The window scale of a SYN, or None: windows are not scaled."""
    while at < end and at < len(packet):
        kind = packet[at]
        if kind == _OPTION_END:
            break
        if kind == _OPTION_NOP:
            at += 1
            continue
        length = packet[at + 1] if at + 1 < len(packet) else 0
        if kind == _OPTION_SCALE and length == 3 and at + 2 < len(packet):
            return min(packet[at + 2], 14)
        at += max(length, 2)
    return None


# ---- connections --------------------------------------------------------------------

_End = tuple[bytes, int]


class _Direction:
    """What one end sends, as one interface sees it."""

    def __init__(self, source: _End, target: _End, time: float) -> None:
        self.source, self.target, self.first = source, target, time
        self.times, self.starts, self.ends = array("d"), array("q"), array("q")
        self.again = array("b")
        self.ack_times, self.acks, self.windows = array("d"), array("q"), array("q")
        self.scale: int | None = None
        self.has_syn = False
        self._zero: int | None = None
        self._ack_zero: int | None = None
        self._last = self._last_ack = 0

    def segment(self, time: float, number: int, length: int) -> None:
        """Data, or what counts as some; the first one says where counting begins."""
        if self._zero is None:
            self._zero = number
        # Numbers wrap: the nearest to the last one is meant.
        start = self._last + _signed(number - self._zero - self._last)
        if length:
            self.times.append(time)
            self.starts.append(start)
            self.ends.append(start + length)
            self.again.append(start < self._last)
            self._last = max(self._last, start + length)

    def ack(self, time: float, number: int, window: int) -> None:
        """What it has got of the other end, and how much more it would take."""
        if self._ack_zero is None:
            self._ack_zero = number
        self._last_ack += _signed(number - self._ack_zero - self._last_ack)
        self.ack_times.append(time)
        self.acks.append(self._last_ack)
        self.windows.append(window)

    def zeros(self) -> tuple[int | None, int | None]:
        """Where counting began, of what is sent and of what is acknowledged."""
        return self._zero, self._ack_zero


def _signed(difference: int) -> int:
    difference %= _WRAP
    return difference - _WRAP if difference >= _WRAP // 2 else difference


class _Reader:
    """Takes packets one by one."""

    def __init__(self, begin: float | None) -> None:
        self.begin = begin
        self.seen: dict[str, tuple[array[float], array[int]]] = {}
        self._directions: dict[tuple[_End, _End], dict[str, _Direction]] = {}

    def take(self, packet: bytes, interface: str, link_type: int, time: float, length: int) -> None:
        """Any packet."""
        if self.begin is None:
            self.begin = time
        time -= self.begin
        times, lengths = self.seen.setdefault(interface, (array("d"), array("q")))
        times.append(time)
        lengths.append(length)
        found = _find_tcp(packet, *_find_ip(packet, link_type))
        if found is None or len(packet) < found[2] + _TCP_HEADER.size:
            return
        source, target, at, end = found
        near, far, number, acknowledged, offset, flags, window = _TCP_HEADER.unpack_from(packet, at)
        data = at + 4 * (offset >> 4)
        key = (source, near), (target, far)
        places = self._directions.setdefault(key, {})
        one = places.get(interface)
        if one is None:
            one = places[interface] = _Direction(*key, time)
        if flags & _SYN:
            one.scale, one.has_syn = _scale(packet, at + 20, data), True
            one.segment(time, (number + 1) % _WRAP, max(end - data, 0))  # with data: TCP Fast Open
        elif not flags & _RST:
            one.segment(time, number, max(end - data, 0))
        if flags & _ACK and not flags & _RST:
            one.ack(time, acknowledged, window if flags & _SYN else window << self._shift(key, one))

    def _shift(self, key: tuple[_End, _End], one: _Direction) -> int:
        """Windows are scaled when both have said so; who did not see that takes them as they are."""
        back = self._directions.get(key[::-1], {})
        both = one.has_syn and any(other.scale is not None for other in back.values())
        return (one.scale or 0) if both else 0

    def flows(self) -> list[Flow]:
        """All directions with data."""
        flows = []
        for key, places in self._directions.items():
            # Captured at several interfaces on its way: data where it was sent, what came back where it arrived.
            sent = min(places.values(), key=lambda one: one.first)
            back = self._directions.get(key[::-1], {})
            if sent.times:
                flows.append(_join(sent, max(back.values(), key=lambda one: one.first) if back else None))
        return sorted(flows, key=lambda flow: -flow.sent)


def _join(sent: _Direction, back: _Direction | None) -> Flow:
    flow = Flow(_text(sent.source), _text(sent.target), sent.times, sent.starts, sent.ends, sent.again)
    zero, ack_zero = sent.zeros()[0], back.zeros()[1] if back else None
    if back is not None and zero is not None and ack_zero is not None:
        shift = _signed(ack_zero - zero)
        flow.ack_times = back.ack_times
        flow.acks = array("q", (ack + shift for ack in back.acks))
        flow.limits = array("q", (ack + shift + window for ack, window in zip(back.acks, back.windows, strict=True)))
    return flow


def _text(end: _End) -> str:
    return f"{ipaddress.ip_address(end[0])} {end[1]}"
