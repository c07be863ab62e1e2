"""Inbound packets of a script as datagrams."""

from __future__ import annotations

from liblinux.packetdrill._config import Config
from liblinux.packetdrill._flow import Flow, Flows
from liblinux.packetdrill._messages import encode_icmp, encode_udp
from liblinux.packetdrill._script import Icmp, Ip, Packet, Quoted, Tcp, Udp
from liblinux.packetdrill._segment import FLAG_BITS, Segment
from liblinux.packetdrill._wire import DEFAULT_TTL, ICMP, ICMPV6, TCP, UDP, Datagram

__all__ = ["inbound"]

_ECN_BITS = {"noecn": 0, "ect1": 1, "ect0": 2, "ce": 3}
# As much of a packet as an ICMP message quotes behind the IP header: all of TCP's.
_QUOTED_BYTES = 20


def inbound(packet: Packet, flows: Flows, config: Config) -> Datagram:
    """The datagram that the script lets arrive. Raises ScriptError for ICMP that this version of IP does not have."""
    source, destination = config.remote_ip, config.local_ip
    match packet:
        case Tcp():
            flow = flows.inbound(packet.ports, syn="S" in packet.flags and "." not in packet.flags)
            payload = flow.to_wire(packet).encode(source, destination)
            protocol = TCP
        case Udp():
            flow = flows.inbound(packet.ports, syn=False)
            ports = packet.ports or (flow.remote_port, flow.local_port)
            payload, protocol = encode_udp(packet, ports, source, destination), UDP
        case Icmp():
            quoted = _quoted(packet.quoted, flows, config) if packet.quoted or _is_error(packet) else b""
            payload = encode_icmp(packet, config.wire_version, source, destination, quoted)
            protocol = ICMPV6 if config.wire_version == 6 else ICMP
    tos, ttl, label = _header(packet.ip)
    return Datagram(config.wire_version, source, destination, protocol, payload, tos, ttl, label)


def _is_error(packet: Icmp) -> bool:
    return not packet.type.startswith(("echo_", "timestamp_"))


def _header(ip: Ip) -> tuple[int, int, int]:
    tos = ip.tos if ip.tos is not None else _ECN_BITS.get(ip.ecn or "noecn", 0)
    return tos, ip.ttl if ip.ttl is not None else DEFAULT_TTL, ip.flow_label or 0


def _quoted(quoted: Quoted | None, flows: Flows, config: Config) -> bytes:
    """The head of the packet of ours that the message is about: of the newest connection."""
    about = quoted or Quoted("tcp", 0, 0)
    flow = flows.inbound(None, syn=False)
    source, destination = config.local_ip, config.remote_ip
    if about.protocol == "tcp":
        payload, protocol = _quoted_segment(about, flow).encode(source, destination), TCP
    else:
        udp = Udp(False, about.length)
        payload, protocol = encode_udp(udp, (flow.local_port, flow.remote_port), source, destination), UDP
    whole = Datagram(config.wire_version, source, destination, protocol, payload).encode()
    return whole[: len(whole) - len(payload) + _QUOTED_BYTES]


def _quoted_segment(about: Quoted, flow: Flow) -> Segment:
    return Segment(
        source_port=flow.local_port,
        destination_port=flow.remote_port,
        sequence=((flow.local_start or 0) + about.sequence) & 0xFFFFFFFF,
        ack=0,
        flags=FLAG_BITS["."],
        window=0,
        payload=bytes(about.length),
    )
