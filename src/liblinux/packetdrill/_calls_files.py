"""Calls that read and write descriptors, and settings of theirs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from liblinux.packetdrill._calls import Context, Prepared, preparer
from liblinux.packetdrill._calls_sockets import remote_address
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._script import Anything, Array, Expression, Text
from liblinux.packetdrill._values import describe

if TYPE_CHECKING:
    from liblinux._typing import Any

_ADDRESS_BYTES = 128
_AT_FDCWD = -100
_MSG_ZEROCOPY, _MSG_FASTOPEN = 0x4000000, 0x20000000


def memory(context: Context, data: bytes, flags: int = 0) -> Any:
    """Writable memory with this content; of the kernel's own when its pages are to be sent without a copy."""
    if not flags & _MSG_ZEROCOPY or not data:
        return bytearray(data)
    view = context.kernel.mmap(None, len(data), shared=False)
    view[: len(data)] = data
    return view


def _content(context: Context, expression: Expression, length: int) -> bytes:
    """What is to be sent: zeros for `...`, else the text, with zeros behind it."""
    text = context.values.text(expression)
    if text is not None:
        return text.encode("latin-1").ljust(length, b"\0")[:length]
    if isinstance(expression, Anything):
        return bytes(length)
    raise ScriptError(f"data is ... or a string, not {describe(expression)}")


def expect_content(context: Context, expression: Expression, seen: bytes) -> None:
    """Compare what was received with a text. Raises Failed."""
    text = context.values.text(expression)
    if text is None:
        return
    wanted = text.encode("latin-1")
    if isinstance(expression, Text) and expression.more:
        seen = seen[: len(wanted)]
    if seen != wanted:
        raise Failed(f"expected the data {wanted!r}, got {seen!r}")


def _receiving(name: str, context: Context, arguments: tuple[Expression, ...], *rest: Any) -> Prepared:
    length = context.values.integer(arguments[2])
    buffer = bytearray(length)

    def verify(count: int) -> None:
        expect_content(context, arguments[1], bytes(buffer[:count]))

    return Prepared(name, (context.descriptor(arguments[0]), buffer, length, *rest), verify)


def _sending(name: str, context: Context, arguments: tuple[Expression, ...], flags: int | None, *rest: Any) -> Prepared:
    fd, length = context.descriptor(arguments[0]), context.values.integer(arguments[2])
    data = memory(context, _content(context, arguments[1], length), flags or 0)
    if flags is not None and flags & _MSG_FASTOPEN:
        context.observed = fd
    return Prepared(name, (fd, data, length, *((flags,) if flags is not None else ()), *rest))


@preparer("read", 3)
def _read(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _receiving("read", context, arguments)


@preparer("recv", 4)
def _recv(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _receiving("recvfrom", context, arguments, context.values.integer(arguments[3]), None, None)


@preparer("recvfrom", 6)
def _recvfrom(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    address, length = bytearray(_ADDRESS_BYTES), bytearray(struct.pack("=i", _ADDRESS_BYTES))
    return _receiving("recvfrom", context, arguments, context.values.integer(arguments[3]), address, length)


@preparer("write", 3)
def _write(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _sending("write", context, arguments, None)


@preparer("send", 4)
def _send(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return _sending("sendto", context, arguments, context.values.integer(arguments[3]), None, 0)


@preparer("sendto", 6)
def _sendto(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    flags = context.values.integer(arguments[3])
    address = remote_address(context, context.descriptor(arguments[0]), arguments[4])
    return _sending("sendto", context, arguments, flags, address, len(address))


@preparer("close", 1)
def _close(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return Prepared("close", (context.descriptor(arguments[0]),), closes=context.values.integer(arguments[0]))


@preparer("dup", 1)
def _dup(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return Prepared("dup", (context.descriptor(arguments[0]),), opens=True)


@preparer("open", 2, 3)
def _open(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    path = context.values.text(arguments[0])
    if path is None:
        raise ScriptError(f"a path is a string, not {describe(arguments[0])}")
    numbers = [context.values.integer(argument) for argument in arguments[1:]]
    return Prepared("openat", (_AT_FDCWD, path, numbers[0], numbers[1] if len(numbers) > 1 else 0), opens=True)


@preparer("pipe", 1)
def _pipe(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    ends = [context.values.integer(item) for item in context.values.items(arguments[0])]
    if len(ends) != 2:
        raise ScriptError("pipe() opens two descriptors: pipe([READING, WRITING])")
    opened = bytearray(8)

    def done(_: int) -> None:
        context.descriptors.update(zip(ends, struct.unpack("=ii", opened), strict=True))

    return Prepared("pipe", (opened,), done=done)


@preparer("fcntl", 2, 3)
def _fcntl(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    argument = context.values.integer(arguments[2]) if len(arguments) > 2 else 0
    return Prepared("fcntl", (context.descriptor(arguments[0]), context.values.integer(arguments[1]), argument))


@preparer("ioctl", 3)
def _ioctl(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd, request = context.descriptor(arguments[0]), context.values.integer(arguments[1])
    if not isinstance(arguments[2], Array):
        return Prepared("ioctl", (fd, request, context.values.integer(arguments[2])))
    (expected,) = arguments[2].items
    written = bytearray(8)

    def verify(_: int) -> None:
        context.expect("ioctl()", expected, int.from_bytes(written[:4], "little", signed=True))

    return Prepared("ioctl", (fd, request, written), verify)


def _offset(context: Context, expression: Expression) -> bytearray | None:
    """A pointer to an offset: `[0]`, or none for `...`, NULL and 0."""
    if isinstance(expression, Array):
        return bytearray(struct.pack("=q", context.values.integer(expression.items[0])))
    if not isinstance(expression, Anything) and context.values.integer(expression) != 0:
        raise ScriptError(f"an offset is [NUMBER], NULL or ..., not {describe(expression)}")
    return None


@preparer("sendfile", 4)
def _sendfile(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    target, source = context.descriptor(arguments[0]), context.descriptor(arguments[1])
    count = context.values.integer(arguments[3])
    return Prepared("sendfile", (target, source, _offset(context, arguments[2]), count))


@preparer("splice", 6)
def _splice(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    source, target = context.descriptor(arguments[0]), context.descriptor(arguments[2])
    offsets = _offset(context, arguments[1]), _offset(context, arguments[3])
    count, flags = context.values.integer(arguments[4]), context.values.integer(arguments[5])
    return Prepared("splice", (source, offsets[0], target, offsets[1], count, flags))
