"""IP datagrams as bytes: headers, checksums, and back.

Own code of a hundred lines and no packet library: scripts ask for headers that
are wrong on purpose, and must see every byte that the kernel has sent.
Sources: RFC 791, RFC 8200, RFC 1071.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

__all__ = ["DEFAULT_TTL", "ICMP", "ICMPV6", "TCP", "UDP", "Datagram", "checksum", "decode", "pseudo_header"]

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
DEFAULT_TTL = 255

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_DONT_FRAGMENT = 0x4000


@dataclass(frozen=True)
class Datagram:
    """An IP packet: the fields of its header that scripts speak of, and what it carries."""

    version: int
    source: str
    destination: str
    protocol: int
    payload: bytes
    tos: int = 0
    ttl: int = DEFAULT_TTL
    flow_label: int = 0

    def encode(self) -> bytes:
        """As on the wire."""
        if self.version == 6:
            return self._encode_ipv6()
        source, destination = socket.inet_aton(self.source), socket.inet_aton(self.destination)
        length = _IPV4.size + len(self.payload)
        fields = [0x45, self.tos, length, 0, _DONT_FRAGMENT, self.ttl, self.protocol, 0, source, destination]
        fields[7] = checksum(_IPV4.pack(*fields))
        return _IPV4.pack(*fields) + self.payload

    def _encode_ipv6(self) -> bytes:
        first = 6 << 28 | self.tos << 20 | self.flow_label
        source = socket.inet_pton(socket.AF_INET6, self.source)
        destination = socket.inet_pton(socket.AF_INET6, self.destination)
        return _IPV6.pack(first, len(self.payload), self.protocol, self.ttl, source, destination) + self.payload

    @property
    def pseudo_header(self) -> bytes:
        """What checksums of the protocols above cover besides the payload."""
        return pseudo_header(self.source, self.destination, self.protocol, len(self.payload))


def pseudo_header(source: str, destination: str, protocol: int, length: int) -> bytes:
    """The addresses, protocol and length as RFC 9293 and RFC 8200 put them before a segment for its checksum."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    both = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    if family == socket.AF_INET6:
        return both + struct.pack("!IxxxB", length, protocol)
    return both + struct.pack("!xBH", protocol, length)


def checksum(data: bytes) -> int:
    """The Internet checksum: the one's complement of the one's complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    # The sum of 16-bit digits is the number itself, modulo one less than the base.
    total = int.from_bytes(data, "big")
    rest = total % 0xFFFF
    return 0xFFFF ^ (rest or (0xFFFF if total else 0))


def decode(data: bytes) -> Datagram | None:
    """A datagram of its bytes; None for what is no IP packet. Extension headers and fragments stay payload."""
    if len(data) >= _IPV4.size and data[0] >> 4 == 4:
        header = (data[0] & 15) * 4
        _, tos, length, _, _, ttl, protocol, _, source, destination = _IPV4.unpack_from(data)
        return Datagram(
            4,
            socket.inet_ntoa(source),
            socket.inet_ntoa(destination),
            protocol,
            # The length is 0 in a packet that is longer than its field can say (BIG TCP).
            bytes(data[header : length or len(data)]),
            tos,
            ttl,
        )
    if len(data) >= _IPV6.size and data[0] >> 4 == 6:
        first, length, protocol, ttl, source, destination = _IPV6.unpack_from(data)
        return Datagram(
            6,
            socket.inet_ntop(socket.AF_INET6, source),
            socket.inet_ntop(socket.AF_INET6, destination),
            protocol,
            bytes(data[_IPV6.size : _IPV6.size + length if length else len(data)]),
            first >> 20 & 0xFF,
            ttl,
            first & 0xFFFFF,
        )
    return None
