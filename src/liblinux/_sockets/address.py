"""Addresses: tuples and strings as the standard library has them, to bytes as the kernel has them, and back.

Families that are not here give and take the bytes of their structure, which begins
with the family's number in two bytes of the machine's order.
"""

from __future__ import annotations

import operator
import socket
import struct
from functools import lru_cache

from liblinux._typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Address", "Interfaces", "decoder", "encoder"]

Address = Any  # as in typeshed: what it is depends on the family

_INET = struct.Struct("=H2s4s8x")
_INET6 = struct.Struct("=H2sI16sI")
_NETLINK = struct.Struct("=HxxII")
_PACKET = struct.Struct("=H2siHBB8s")
_VSOCK = struct.Struct("=HxxIIxxxx")
_ALG = struct.Struct("=H14sII64s")
_UNIX_PATH_BYTES = 108
_FLOW_MAX = 0xFFFFF


class Interfaces(Protocol):
    """Who knows names and interfaces: the `socket` namespace of a process."""

    def if_nametoindex(self, if_name: str, /) -> int: ...
    def if_indextoname(self, if_index: int, /) -> str: ...
    def _numeric(self, host: str, family: int) -> str: ...


def encoder(family: int) -> Callable[[Interfaces, Address, str], bytes]:
    """What makes bytes of an address; its third argument is the function that complaints name."""
    return _ENCODERS.get(family, _raw)


def decoder(family: int) -> Callable[[Interfaces, bytes], Address]:
    """What makes an address of bytes; None of none."""
    return _DECODERS.get(family, lambda names, raw: raw or None)


def _fields(address: Address, family: str, what: str, least: int, most: int) -> tuple[Any, ...]:
    if not isinstance(address, tuple):
        raise TypeError(f"{what}(): {family} address must be tuple, not {type(address).__name__}")
    if not least <= len(address) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        raise TypeError(f"{what}(): {family} address has {count} parts, not {len(address)}")
    return address


def _number(value: Any, most: int, what: str, name: str) -> int:
    number = operator.index(value)
    if not 0 <= number <= most:
        raise OverflowError(f"{what}(): {name} must be 0-{most}.")
    return number


def _host(host: Any, what: str) -> str:
    if isinstance(host, bytes | bytearray):
        return bytes(host).decode("ascii")
    if isinstance(host, str):
        if "\0" in host:
            raise ValueError("host name must not contain null character")
        return host
    raise TypeError(f"{what}(): str, bytes or bytearray expected, not {type(host).__name__}")


# ---- IPv4 and IPv6 -----------------------------------------------------------------


@lru_cache(maxsize=4096, typed=True)
def _inet_packed(host: str, port: int) -> bytes:
    return _INET.pack(socket.AF_INET, port.to_bytes(2, "big"), socket.inet_pton(socket.AF_INET, host))


def _inet(names: Interfaces, address: Address, what: str) -> bytes:
    if type(address) is tuple and len(address) == 2:  # quickly, what is mostly so
        try:
            return _inet_packed(*address)
        except (OSError, TypeError, OverflowError, AttributeError, ValueError):
            pass  # what is wrong with it is found out below
    if isinstance(address, bytes | bytearray | memoryview):
        return bytes(address)
    host, port = _fields(address, "AF_INET", what, 2, 2)
    port = _number(port, 0xFFFF, what, "port")
    return _inet_packed(names._numeric(_host(host, what), socket.AF_INET), port)


@lru_cache(maxsize=4096)
def _inet_unpacked(raw: bytes) -> tuple[str, int]:
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")


def _from_inet(names: Interfaces, raw: bytes) -> Address:
    return _inet_unpacked(raw) if len(raw) >= 8 else None


def _inet6(names: Interfaces, address: Address, what: str) -> bytes:
    if isinstance(address, bytes | bytearray | memoryview):
        return bytes(address)
    host, port, flow, scope, *_ = (*_fields(address, "AF_INET6", what, 2, 4), 0, 0)
    port = _number(port, 0xFFFF, what, "port")
    flow = _number(flow, _FLOW_MAX, what, "flowinfo")
    scope = _number(scope, 0xFFFFFFFF, what, "scope_id")
    number, _, zone = names._numeric(_host(host, what), socket.AF_INET6).partition("%")
    if zone:
        scope = int(zone) if zone.isdecimal() else names.if_nametoindex(zone)
    packed = socket.inet_pton(socket.AF_INET6, number)
    return _INET6.pack(socket.AF_INET6, port.to_bytes(2, "big"), socket.htonl(flow), packed, scope)


@lru_cache(maxsize=4096)
def _inet6_unpacked(raw: bytes) -> tuple[str, int, int, int]:
    _, port, flow, packed, scope = _INET6.unpack_from(raw)
    return (
        socket.inet_ntop(socket.AF_INET6, packed),
        int.from_bytes(port, "big"),
        socket.ntohl(flow) & _FLOW_MAX,
        scope,
    )


def _from_inet6(names: Interfaces, raw: bytes) -> Address:
    # An IPv6 socket can be told of an IPv4 peer, in its error queue.
    if int.from_bytes(raw[:2], "little") == socket.AF_INET:
        return _from_inet(names, raw)
    return _inet6_unpacked(raw) if len(raw) >= _INET6.size else None


# ---- the others --------------------------------------------------------------------


def _unix(names: Interfaces, address: Address, what: str) -> bytes:
    if isinstance(address, str):
        path = address.encode("utf-8", "surrogateescape")
    elif isinstance(address, bytes | bytearray | memoryview):
        path = bytes(address)
    else:
        raise TypeError(f"{what}(): AF_UNIX address must be str or bytes, not {type(address).__name__}")
    # A path has a zero behind it; an abstract name begins with one, and all its bytes count.
    if path and path[0]:
        if b"\0" in path:
            raise ValueError("embedded null byte")
        path += b"\0"
    if len(path) > _UNIX_PATH_BYTES:
        raise OSError("AF_UNIX path too long")
    return socket.AF_UNIX.to_bytes(2, "little") + path


def _from_unix(names: Interfaces, raw: bytes) -> Address:
    if not raw:
        return None
    path = raw[2:]
    if path[:1] == b"\0":
        return path
    return path.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _netlink(names: Interfaces, address: Address, what: str) -> bytes:
    pid, groups = _fields(address, "AF_NETLINK", what, 2, 2)
    pid = _number(pid, 0xFFFFFFFF, what, "pid")
    return _NETLINK.pack(socket.AF_NETLINK, pid, _number(groups, 0xFFFFFFFF, what, "groups"))


def _from_netlink(names: Interfaces, raw: bytes) -> Address:
    return _NETLINK.unpack_from(raw)[1:] if len(raw) >= _NETLINK.size else None


def _packet(names: Interfaces, address: Address, what: str) -> bytes:
    name, protocol, *rest = _fields(address, "AF_PACKET", what, 2, 5)
    kind, hardware, physical = rest + [0, 0, b""][len(rest) :]
    protocol = _number(protocol, 0xFFFF, what, "proto")
    if len(physical) > 8:
        raise ValueError("Hardware address must be 8 bytes or less")
    index = names.if_nametoindex(name) if name else 0
    return _PACKET.pack(
        socket.AF_PACKET,
        protocol.to_bytes(2, "big"),
        index,
        _number(hardware, 0xFFFF, what, "hatype"),
        _number(kind, 0xFF, what, "pkttype"),
        len(physical),
        bytes(physical),
    )


def _from_packet(names: Interfaces, raw: bytes) -> Address:
    if len(raw) < 12:
        return None
    _, protocol, index, hardware, kind, length, physical = _PACKET.unpack(
        raw.ljust(_PACKET.size, b"\0")[: _PACKET.size]
    )
    try:
        name = names.if_indextoname(index) if index else ""
    except OSError:  # it is gone since
        name = ""
    return name, int.from_bytes(protocol, "big"), kind, hardware, physical[:length]


def _vsock(names: Interfaces, address: Address, what: str) -> bytes:
    cid, port = _fields(address, "AF_VSOCK", what, 2, 2)
    cid = _number(cid, 0xFFFFFFFF, what, "cid")
    return _VSOCK.pack(socket.AF_VSOCK, _number(port, 0xFFFFFFFF, what, "port"), cid)


def _from_vsock(names: Interfaces, raw: bytes) -> Address:
    if len(raw) < 12:
        return None
    port, cid = struct.unpack_from("=II", raw, 4)
    return cid, port


def _alg(names: Interfaces, address: Address, what: str) -> bytes:
    kind, name, *rest = _fields(address, "AF_ALG", what, 2, 4)
    features, mask = rest + [0, 0][len(rest) :]
    kind, name = kind.encode(), name.encode()
    if len(kind) > 13:
        raise ValueError("AF_ALG type too long.")
    if len(name) > 63:
        raise ValueError("AF_ALG name too long.")
    return _ALG.pack(socket.AF_ALG, kind, features, mask, name)


def _raw(names: Interfaces, address: Address, what: str) -> bytes:
    if not isinstance(address, bytes | bytearray | memoryview):
        raise TypeError(f"{what}(): an address of this family is its structure in bytes, not {type(address).__name__}")
    return bytes(address)


_ENCODERS: dict[int, Callable[[Interfaces, Address, str], bytes]] = {
    socket.AF_INET: _inet,
    socket.AF_INET6: _inet6,
    socket.AF_UNIX: _unix,
    socket.AF_NETLINK: _netlink,
    socket.AF_PACKET: _packet,
    socket.AF_VSOCK: _vsock,
    socket.AF_ALG: _alg,
}
_DECODERS: dict[int, Callable[[Interfaces, bytes], Address]] = {
    socket.AF_INET: _from_inet,
    socket.AF_INET6: _from_inet6,
    socket.AF_UNIX: _from_unix,
    socket.AF_NETLINK: _from_netlink,
    socket.AF_PACKET: _from_packet,
    socket.AF_VSOCK: _from_vsock,
}
