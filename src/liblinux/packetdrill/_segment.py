"""TCP segments as bytes, with their options, and back. Sources: RFC 9293, 7323, 2018, 7413, 2385."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from liblinux.packetdrill._script import TcpOption
from liblinux.packetdrill._wire import TCP, Datagram, checksum, pseudo_header

__all__ = ["FLAG_BITS", "Segment", "flag_letters"]

_HEADER = struct.Struct("!HHIIHHHH")
# In the order of the header's bits. `.` is the acknowledgement, `A` is AccECN's third bit.
FLAG_BITS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128, "A": 256}
_ORDER = "FSRPUEWA."  # as they are written

_EOL, _NOP = 0, 1
# Name: number, layout of its numbers, and what stands before them. `sack` has as many as it has.
_OPTIONS = {
    "mss": (2, "!H", b""),
    "wscale": (3, "!B", b""),
    "sackOK": (4, "!", b""),
    "sack": (5, "!", b""),
    "TS": (8, "!II", b""),
    "md5": (19, "!", b""),
    "FO": (34, "!", b""),
    "FOEXP": (254, "!", b"\xf9\x89"),
}
_BLOBS = frozenset({"md5", "FO", "FOEXP"})


def flag_letters(bits: int) -> str:
    """The flags as a script writes them."""
    return "".join(letter for letter in _ORDER if bits & FLAG_BITS[letter])


@dataclass(frozen=True)
class Segment:
    """A TCP segment with the numbers of the wire."""

    source_port: int
    destination_port: int
    sequence: int
    ack: int
    flags: int
    window: int
    urgent: int = 0
    options: tuple[TcpOption, ...] = ()
    payload: bytes = b""

    def encode(self, source: str, destination: str) -> bytes:
        """As on the wire between two addresses."""
        options = b"".join(_encode_option(option) for option in self.options)
        options += bytes(-len(options) % 4)
        words = (_HEADER.size + len(options)) // 4
        ports = self.source_port, self.destination_port
        fields = [*ports, self.sequence, self.ack, words << 12 | self.flags, self.window, 0, self.urgent]
        body = options + self.payload
        length = _HEADER.size + len(body)
        pseudo = pseudo_header(source, destination, TCP, length)
        fields[6] = checksum(pseudo + _HEADER.pack(*fields) + body)
        return _HEADER.pack(*fields) + body

    @classmethod
    def decode(cls, datagram: Datagram) -> Segment | None:
        """The segment in a datagram; None when it is cut short."""
        data = datagram.payload
        if len(data) < _HEADER.size:
            return None
        source, destination, sequence, ack, bits, window, _, urgent = _HEADER.unpack_from(data)
        header = (bits >> 12) * 4
        options = _decode_options(data[_HEADER.size : header])
        return cls(source, destination, sequence, ack, bits & 0x1FF, window, urgent, options, data[header:])


def _encode_option(option: TcpOption) -> bytes:
    if option.kind in ("nop", "eol"):
        return bytes([_NOP if option.kind == "nop" else _EOL])
    number, form, head = _OPTIONS[option.kind]
    form = f"!{len(option.numbers)}I" if option.kind == "sack" else form
    body = head + struct.pack(form, *option.numbers) + option.data
    return bytes([number, 2 + len(body)]) + body


def _decode_options(data: bytes) -> tuple[TcpOption, ...]:
    options = []
    while data:
        kind = data[0]
        if kind in (_EOL, _NOP):
            options.append(TcpOption("nop" if kind == _NOP else "eol"))
            data = data[1:]
            continue
        length = data[1] if len(data) > 1 else 0
        if not 2 <= length <= len(data):
            options.append(TcpOption(f"malformed-{kind}", data=data))
            break
        options.append(_decode_option(kind, data[2:length]))
        data = data[length:]
    return tuple(options)


def _decode_option(number: int, body: bytes) -> TcpOption:
    for kind, (code, form, head) in _OPTIONS.items():
        if code != number or not body.startswith(head):
            continue
        if kind in _BLOBS:
            return TcpOption(kind, data=body[len(head) :])
        layout = f"!{len(body) // 8 * 2}I" if kind == "sack" else form
        if len(body) == struct.calcsize(layout):
            return TcpOption(kind, struct.unpack(layout, body))
    return TcpOption(f"option-{number}", data=body)
