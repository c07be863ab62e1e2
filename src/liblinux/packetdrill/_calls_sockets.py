"""Calls that make, name and set sockets."""

from __future__ import annotations

import socket
import struct

from liblinux.packetdrill._calls import Context, Prepared, preparer
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._script import Anything, Array, Expression, Struct
from liblinux.packetdrill._values import describe

_ADDRESS_BYTES = 128
_OPTION_BYTES = 512
_SIN, _SIN6 = struct.Struct("=HH4s8x"), struct.Struct("=HHI16sI")
_LINGER = struct.Struct("=ii")


def family_of(context: Context, fd: int) -> int:
    """AF_INET or AF_INET6: of a socket by the kernel's number."""
    return context.families.get(fd, int(getattr(socket, context.config.family)))


def own_address(context: Context, family: int, text: str, port: int) -> bytes:
    """A sockaddr; an IPv4 address in an IPv6 socket is mapped."""
    if family == socket.AF_INET:
        return _SIN.pack(family, socket.htons(port), socket.inet_aton(text))
    mapped = text if ":" in text else f"::ffff:{text}"
    return _SIN6.pack(family, socket.htons(port), 0, socket.inet_pton(socket.AF_INET6, mapped), 0)


def remote_address(context: Context, fd: int, expression: Expression) -> bytes:
    """The address that is written, or that of the remote host for `...`."""
    if isinstance(expression, Struct):
        return context.values.address(expression)
    config = context.config
    return own_address(context, family_of(context, fd), config.remote_ip, config.connect_port)


def _length(context: Context, expression: Expression, address: bytes) -> int:
    return len(address) if isinstance(expression, Anything) else context.values.integer(expression)


@preparer("socket", 3)
def _socket(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    domain, kind, protocol = arguments
    values = context.values
    family = getattr(socket, context.config.family) if isinstance(domain, Anything) else values.integer(domain)

    def done(fd: int) -> None:
        context.families[fd] = family
        context.observed = fd

    numbers = (int(family), values.integer(kind), values.integer(protocol))
    return Prepared("socket", numbers, opens=True, done=done)


@preparer("bind", 3)
def _bind(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd = context.descriptor(arguments[0])
    config = context.config
    if isinstance(arguments[1], Struct):
        address = context.values.address(arguments[1])
    else:
        address = own_address(context, family_of(context, fd), config.local_ip, config.bind_port)
    return Prepared("bind", (fd, address, _length(context, arguments[2], address)))


@preparer("listen", 2)
def _listen(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd = context.descriptor(arguments[0])
    backlog = context.values.integer(arguments[1])
    return Prepared("listen", (fd, backlog), done=lambda _: context.flows.listen())


@preparer("connect", 3)
def _connect(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd = context.descriptor(arguments[0])
    address = remote_address(context, fd, arguments[1])
    context.observed = fd
    return Prepared("connect", (fd, address, _length(context, arguments[2], address)))


def _accepting(name: str, context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd = context.descriptor(arguments[0])
    flags = (context.values.integer(arguments[3]),) if len(arguments) > 3 else ()
    length = bytearray(struct.pack("=i", _ADDRESS_BYTES))

    def done(accepted: int) -> None:
        context.families[accepted] = family_of(context, fd)
        context.observed = accepted

    return Prepared(name, (fd, bytearray(_ADDRESS_BYTES), length, *flags), opens=True, done=done)


@preparer("accept", 3)
def _accept(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _accepting("accept", context, arguments)


@preparer("accept4", 4)
def _accept4(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _accepting("accept4", context, arguments)


@preparer("shutdown", 2)
def _shutdown(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return Prepared("shutdown", (context.descriptor(arguments[0]), context.values.integer(arguments[1])))


@preparer("getsockname", 3)
def _getsockname(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _naming("getsockname", context, arguments)


@preparer("getpeername", 3)
def _getpeername(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _naming("getpeername", context, arguments)


def _naming(name: str, context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    address, length = bytearray(_ADDRESS_BYTES), bytearray(struct.pack("=i", _ADDRESS_BYTES))
    expected = arguments[1]

    def verify(_: int) -> None:
        if isinstance(expected, Struct):
            wanted = context.values.address(expected)
            if bytes(address[: len(wanted)]) != wanted:
                raise Failed(f"{name}(): expected the address {wanted.hex()}, got {address[: len(wanted)].hex()}")

    return Prepared(name, (context.descriptor(arguments[0]), address, length), verify)


# ---- options -----------------------------------------------------------------


@preparer("setsockopt", 5)
def _setsockopt(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    values = context.values
    length = values.integer(arguments[4])
    data = _option(context, arguments[3], length)
    numbers = (context.descriptor(arguments[0]), values.integer(arguments[1]), values.integer(arguments[2]))
    return Prepared("setsockopt", (*numbers, data, length))


def _option(context: Context, expression: Expression, length: int) -> bytes:
    """The value of a socket option: an integer in brackets, a text, or a struct linger."""
    values = context.values
    text = values.text(expression)
    if text is not None:
        return text.encode().ljust(length, b"\0")
    if isinstance(expression, Array):
        numbers = [values.integer(item) for item in expression.items]
        size = max(length // max(len(numbers), 1), 1)
        return b"".join((number & (1 << 8 * size) - 1).to_bytes(size, "little") for number in numbers)
    if isinstance(expression, Struct):
        members = values.members(expression, "onoff", "linger")
        return _LINGER.pack(values.integer(members["onoff"]), values.integer(members["linger"]))
    if isinstance(expression, Anything):
        return bytes(length)
    raise ScriptError(f"the value of an option is [NUMBER], a string or a struct, not {describe(expression)}")


@preparer("getsockopt", 5)
def _getsockopt(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    values, expected = context.values, arguments[3]
    wanted_length = values.items(arguments[4])[0] if isinstance(arguments[4], Array) else arguments[4]
    given = _OPTION_BYTES if isinstance(wanted_length, Anything) else values.integer(wanted_length)
    data, length = bytearray(max(given, 1)), bytearray(struct.pack("=i", given))

    def verify(_: int) -> None:
        written = int.from_bytes(length, "little")
        text = values.text(expected)
        if text is not None:
            seen = bytes(data[:written]).partition(b"\0")[0].decode("latin-1")
            if seen != text:
                raise Failed(f'getsockopt(): expected "{text}", got "{seen}"')
        elif isinstance(expected, Array):
            for position, item in enumerate(expected.items):
                size = max(written // len(expected.items), 1)
                part = data[position * size : (position + 1) * size]
                context.expect("getsockopt()", item, int.from_bytes(part, "little", signed=True))
        elif isinstance(expected, Struct):
            members = values.members(expected, "onoff", "linger")
            for name, seen_number in zip(("onoff", "linger"), _LINGER.unpack_from(data), strict=True):
                context.expect(f"getsockopt(), {name}", members[name], seen_number)

    numbers = (context.descriptor(arguments[0]), values.integer(arguments[1]), values.integer(arguments[2]))
    return Prepared("getsockopt", (*numbers, data, length), verify)
