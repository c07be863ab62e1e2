"""UDP datagrams and ICMP messages as bytes, and back. Sources: RFC 768, 792, 1191, 4443."""

from __future__ import annotations

import struct

from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill._script import Icmp, Udp
from liblinux.packetdrill._wire import ICMPV6, UDP, Datagram, checksum, pseudo_header

__all__ = ["decode_icmp", "decode_udp", "encode_icmp", "encode_udp"]

_UDP = struct.Struct("!HHHH")
_ICMP = struct.Struct("!BBHI")

_TYPES = {
    4: {
        "echo_reply": 0,
        "unreachable": 3,
        "source_quench": 4,
        "redirect": 5,
        "echo_request": 8,
        "time_exceeded": 11,
        "parameter_problem": 12,
        "timestamp_request": 13,
        "timestamp_reply": 14,
    },
    6: {
        "unreachable": 1,
        "packet_too_big": 2,
        "time_exceeded": 3,
        "parameter_problem": 4,
        "echo_request": 128,
        "echo_reply": 129,
    },
}
_CODES = {
    (4, "unreachable"): {
        "net_unreachable": 0,
        "host_unreachable": 1,
        "protocol_unreachable": 2,
        "port_unreachable": 3,
        "frag_needed": 4,
        "source_route_failed": 5,
        "net_unknown": 6,
        "host_unknown": 7,
        "source_host_isolated": 8,
        "net_prohibited": 9,
        "host_prohibited": 10,
        "net_unreachable_for_tos": 11,
        "host_unreachable_for_tos": 12,
        "packet_filtered": 13,
        "precedence_violation": 14,
        "precedence_cutoff": 15,
    },
    (6, "unreachable"): {
        "no_route": 0,
        "net_unreachable": 0,
        "admin_prohibited": 1,
        "not_neighbour": 2,
        "address_unreachable": 3,
        "host_unreachable": 3,
        "port_unreachable": 4,
    },
    (4, "time_exceeded"): {"ttl_exceeded": 0, "fragment_time_exceeded": 1},
    (6, "time_exceeded"): {"hop_limit_exceeded": 0, "fragment_time_exceeded": 1},
}
_ECHOES = ("echo_request", "echo_reply")


def encode_udp(packet: Udp, ports: tuple[int, int], source: str, destination: str) -> bytes:
    """A datagram of zeros from one port to the other."""
    length = _UDP.size + packet.length
    body = bytes(packet.length)
    head = _UDP.pack(*ports, length, 0)
    # 0 means that there is none (RFC 768), so a sum of 0 is sent as its other form.
    total = checksum(pseudo_header(source, destination, UDP, length) + head + body) or 0xFFFF
    return _UDP.pack(*ports, length, total) + body


def decode_udp(datagram: Datagram) -> tuple[Udp, tuple[int, int]] | None:
    """The packet and its two ports; None when it is cut short."""
    if len(datagram.payload) < _UDP.size:
        return None
    source, destination, _, _ = _UDP.unpack_from(datagram.payload)
    return Udp(False, len(datagram.payload) - _UDP.size), (source, destination)


def encode_icmp(packet: Icmp, version: int, source: str, destination: str, quoted: bytes) -> bytes:
    """The message; `quoted` is the packet that it is about, with its IP header.

    Raises ScriptError for a type or code that this version of IP does not have.
    """
    kind = _number(_TYPES[version], packet.type, f"ICMP type of IPv{version}")
    code = _number(_CODES.get((version, packet.type), {}), packet.code, "ICMP code") if packet.code else 0
    rest = packet.mtu or 0
    if packet.type in _ECHOES:
        rest = (packet.identifier or 0) << 16
    head = _ICMP.pack(kind, code, 0, rest)
    length = len(head) + len(quoted)
    pseudo = pseudo_header(source, destination, ICMPV6, length) if version == 6 else b""
    return _ICMP.pack(kind, code, checksum(pseudo + head + quoted), rest) + quoted


def _number(names: dict[str, int], name: str, what: str) -> int:
    if name not in names:
        raise ScriptError(f"{name!r} is no {what}; there are {', '.join(names) or 'none'}")
    return names[name]


def decode_icmp(datagram: Datagram) -> Icmp | None:
    """The message, without what it quotes; None when it is cut short."""
    if len(datagram.payload) < _ICMP.size:
        return None
    kind, code, _, rest = _ICMP.unpack_from(datagram.payload)
    name = _name(_TYPES[datagram.version], kind)
    codes = _CODES.get((datagram.version, name), {})
    too_big = (datagram.version, kind) == (6, 2) or (datagram.version, kind, code) == (4, 3, 4)
    return Icmp(
        inbound=False,
        type=name,
        code=_name(codes, code) if codes else None,
        mtu=rest if too_big else None,
        identifier=rest >> 16 if name in _ECHOES else None,
    )


def _name(names: dict[str, int], number: int) -> str:
    return next((name for name, value in names.items() if value == number), f"type-{number}")
