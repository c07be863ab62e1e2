"""Packets as a script writes them."""

from __future__ import annotations

from liblinux.packetdrill._script import Icmp, Ip, Packet, TcpOption, Udp

__all__ = ["notation"]


def notation(packet: Packet) -> str:
    """The packet in the script language, without its time and direction."""
    ip = _ip(packet.ip)
    if isinstance(packet, Udp):
        return f"{ip}udp ({packet.length})"
    if isinstance(packet, Icmp):
        return ip + _icmp(packet)
    words = [
        packet.flags or "-",
        f"{packet.sequence}:{(packet.sequence + packet.length) & 0xFFFFFFFF}({packet.length})",
    ]
    if packet.ack is not None:
        words.append(f"ack {packet.ack}")
    if packet.window is not None:
        words.append(f"win {packet.window}")
    if packet.urgent is not None:
        words.append(f"urg {packet.urgent}")
    if packet.options is None:
        words.append("<...>")
    elif packet.options:
        words.append(f"<{','.join(_option(option) for option in packet.options)}>")
    return ip + " ".join(words)


def _ip(ip: Ip) -> str:
    words: list[str] = [ip.ecn] if ip.ecn else []
    if ip.tos is not None:
        words.append(f"tos {ip.tos:#04x}")
    if ip.flow_label is not None:
        words.append(f"flowlabel {ip.flow_label:#x}")
    if ip.ttl is not None:
        words.append(f"ttl {ip.ttl}")
    return f"[{','.join(words)}] " if words else ""


def _option(option: TcpOption) -> str:
    numbers = option.numbers
    if option.kind == "TS":
        return f"TS val {numbers[0]} ecr {numbers[1]}"
    if option.kind == "sack":
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return " ".join(["sack", *(f"{left}:{right}" for left, right in pairs)])
    return " ".join([option.kind, *map(str, numbers), *([option.data.hex()] if option.data else [])])


def _icmp(packet: Icmp) -> str:
    words = ["icmp", packet.type]
    if packet.code is not None:
        words.append(packet.code)
    if packet.mtu is not None:
        words.append(f"mtu {packet.mtu}")
    if packet.identifier is not None:
        words.append(f"id {packet.identifier}")
    if packet.quoted is not None:
        quoted = packet.quoted
        end = quoted.sequence + quoted.length
        about = f"{quoted.sequence}:{end}({quoted.length})" if quoted.protocol == "tcp" else ""
        words.append(f"[{about or f'{quoted.protocol} ({quoted.length})'}]")
    return " ".join(words)
