"""Names that the run defines, where a packet has one: cookies, digests, types and codes of ICMP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill._script import Icmp, Packet, Tcp, TcpOption

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["defined"]


def defined(packet: Packet, symbols: Mapping[str, str]) -> Packet:
    """The packet with names replaced by what they stand for. Raises ScriptError."""
    if isinstance(packet, Icmp):
        code = symbols.get(packet.code, packet.code) if packet.code else None
        return replace(packet, type=symbols.get(packet.type, packet.type), code=code)
    if isinstance(packet, Tcp) and any(option.name for option in packet.options or ()):
        return replace(packet, options=tuple(_option(option, symbols) for option in packet.options or ()))
    return packet


def _option(option: TcpOption, symbols: Mapping[str, str]) -> TcpOption:
    if not option.name:
        return option
    try:
        return replace(option, data=bytes.fromhex(symbols[option.name]), name="")
    except KeyError:
        raise ScriptError(f"{option.name} is not defined; give it with --define={option.name}=HEXADECIMAL") from None
    except ValueError:
        raise ScriptError(f"{option.name} stands for {symbols[option.name]!r}, which is not hexadecimal") from None
