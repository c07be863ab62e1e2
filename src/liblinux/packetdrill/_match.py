"""Is the packet that was sent the one that the script expects?"""

from __future__ import annotations

from dataclasses import replace

from liblinux.packetdrill._config import Config
from liblinux.packetdrill._errors import Failed
from liblinux.packetdrill._flow import Flow, Flows
from liblinux.packetdrill._messages import decode_icmp, decode_udp
from liblinux.packetdrill._notation import notation
from liblinux.packetdrill._script import Icmp, Ip, Packet, Tcp, TcpOption, Udp
from liblinux.packetdrill._segment import FLAG_BITS, Segment
from liblinux.packetdrill._wire import ICMP, ICMPV6, TCP, UDP, Datagram

__all__ = ["describe_datagram", "match"]

_ECN = ("noecn", "ect1", "ect0", "ce")


def match(expected: Packet, datagram: Datagram, flows: Flows, config: Config, elapsed_us: int) -> Packet | None:
    """Compare a packet with what was expected, and learn its numbers.

    `elapsed_us` is the time since the start of the script. TCP may send data in
    several segments where a script writes one, unless segments are strict: then
    what is returned is the rest, to be expected next. Raises Failed with every
    difference.
    """
    seen, flow, ports = _read(datagram, flows, expected)
    whole, rest = expected, None
    if isinstance(expected, Tcp) and isinstance(seen, Tcp) and not config.strict_segments:
        expected, rest = _split(expected, seen)
    if seen is None or type(seen) is not type(expected):
        raise Failed(f"expected {notation(expected)}\nwas sent {describe_datagram(datagram, flows)}")
    wrong = [*_ip_differences(expected.ip, datagram), *_differences(expected, seen)]
    if not isinstance(expected, Icmp) and expected.ports is not None and expected.ports != ports:
        wrong.append(f"ports {ports[0]} > {ports[1]}, not {expected.ports[0]} > {expected.ports[1]}")
    if isinstance(expected, Tcp) and isinstance(seen, Tcp) and flow is not None:
        wrong += _stamp(expected, seen, flow, config, elapsed_us)
    if wrong:
        seen = replace(seen, ip=_shown_ip(expected.ip, datagram))
        raise Failed(f"expected {notation(whole)}\nwas sent {notation(seen)}\ndiffers: {'; '.join(wrong)}")
    return rest


def _split(expected: Tcp, seen: Tcp) -> tuple[Tcp, Tcp | None]:
    """What is expected of a segment that has less data than the script says, and the rest.

    Where TCP pushes is its own affair; the end of the data is in the last one.
    """
    if not 0 < seen.length < expected.length:
        return expected, None
    flags = "".join(flag for flag in expected.flags if flag not in "PF") + "P" * ("P" in seen.flags)
    rest = replace(
        expected,
        sequence=(expected.sequence + seen.length) & 0xFFFFFFFF,
        length=expected.length - seen.length,
    )
    return replace(expected, length=seen.length, flags=flags), rest


def describe_datagram(datagram: Datagram, flows: Flows) -> str:
    """A packet in the notation of the script."""
    seen, _, _ = _read(datagram, flows, None)
    if seen is not None:
        ecn = f"[{_ECN[datagram.tos & 3]}] " if datagram.tos & 3 else ""
        return ecn + notation(seen)
    return f"a packet of protocol {datagram.protocol} with {len(datagram.payload)} bytes"


def _read(
    datagram: Datagram, flows: Flows, expected: Packet | None
) -> tuple[Packet | None, Flow | None, tuple[int, int]]:
    """The packet with the script's numbers, its connection, and its ports."""
    if datagram.protocol == TCP:
        segment = Segment.decode(datagram)
        if segment is None:
            return None, None, (0, 0)
        ports = segment.source_port, segment.destination_port
        flow = flows.outbound(*ports)
        flow.learn(segment, expected if isinstance(expected, Tcp) else None)
        return flow.from_wire(segment), flow, ports
    if datagram.protocol == UDP:
        udp = decode_udp(datagram)
        return (udp[0], flows.outbound(*udp[1]), udp[1]) if udp else (None, None, (0, 0))
    if datagram.protocol in (ICMP, ICMPV6):
        return decode_icmp(datagram), None, (0, 0)
    return None, None, (0, 0)


def _shown_ip(expected: Ip, datagram: Datagram) -> Ip:
    """Of the IP header what the script speaks of."""
    return Ip(
        ecn=_ECN[datagram.tos & 3] if expected.ecn else None,  # type: ignore[arg-type] # the tuple has the names
        tos=datagram.tos if expected.tos is not None else None,
        flow_label=datagram.flow_label if expected.flow_label is not None else None,
        ttl=datagram.ttl if expected.ttl is not None else None,
    )


def _ip_differences(expected: Ip, datagram: Datagram) -> list[str]:
    wrong = []
    ecn = _ECN[datagram.tos & 3]
    if expected.ecn is not None and ecn != expected.ecn and not (expected.ecn == "ect01" and ecn.startswith("ect")):
        wrong.append(f"ECN {ecn}, not {expected.ecn}")
    for name in ("tos", "flow_label", "ttl"):
        wanted, seen = getattr(expected, name), getattr(datagram, name)
        if wanted is not None and wanted != seen:
            wrong.append(f"{name} {seen:#x}, not {wanted:#x}")
    return wrong


def _differences(expected: Packet, seen: Packet) -> list[str]:
    if isinstance(expected, Udp) and isinstance(seen, Udp):
        return [f"length {seen.length}, not {expected.length}"] if seen.length != expected.length else []
    if isinstance(expected, Icmp) and isinstance(seen, Icmp):
        wrong = [f"type {seen.type}, not {expected.type}"] if seen.type != expected.type else []
        for name in ("code", "mtu", "identifier"):
            wanted, found = getattr(expected, name), getattr(seen, name)
            if wanted is not None and wanted != found:
                wrong.append(f"{name} {found}, not {wanted}")
        return wrong
    assert isinstance(expected, Tcp)
    assert isinstance(seen, Tcp)
    return _tcp_differences(expected, seen)


def _tcp_differences(expected: Tcp, seen: Tcp) -> list[str]:
    wrong = []
    if _bits(expected.flags) != _bits(seen.flags):
        wrong.append(f"flags {seen.flags or '-'}, not {expected.flags or '-'}")
    for name in ("sequence", "length", "ack", "window", "urgent"):
        wanted = getattr(expected, name)
        if wanted is not None and wanted != getattr(seen, name):
            wrong.append(f"{name} {getattr(seen, name)}, not {wanted}")
    if expected.options is not None and _comparable(expected.options) != _comparable(seen.options or ()):
        wrong.append("options")
    return wrong


def _bits(flags: str) -> int:
    return sum(FLAG_BITS[flag] for flag in set(flags))


def _comparable(options: tuple[TcpOption, ...]) -> list[TcpOption]:
    """Options without the kernel's own time stamps, which are whatever they are."""
    return [replace(one, numbers=one.numbers[1:]) if one.kind == "TS" else one for one in options]


def _stamp(expected: Tcp, seen: Tcp, flow: Flow, config: Config, elapsed_us: int) -> list[str]:
    """Remember which time stamp the script's stands for, and check it if the script says how long a tick is."""
    wanted, found = _stamp_of(expected), _stamp_of(seen)
    if wanted is None or found is None:
        return []
    flow.stamps[wanted] = found
    if flow.first_stamp is None:
        flow.first_stamp = (found, elapsed_us)
    if not config.timestamp_tick_us:
        return []
    first_script = next(iter(flow.stamps))
    script_us = (wanted - first_script) * config.timestamp_tick_us
    seen_us = (found - flow.first_stamp[0]) * config.timestamp_tick_us
    if abs(script_us - seen_us) > config.tolerance_us:
        return [f"time stamp {seen_us} us after the first, not {script_us} us"]
    return []


def _stamp_of(packet: Tcp) -> int | None:
    return next((option.numbers[0] for option in packet.options or () if option.kind == "TS"), None)
