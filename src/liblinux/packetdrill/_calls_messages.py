"""sendmsg, recvmsg, readv and writev: structures that point to memory, and control messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from liblinux.packetdrill._calls import Context, Prepared, address_of, preparer
from liblinux.packetdrill._calls_files import expect_content, memory
from liblinux.packetdrill._calls_sockets import remote_address
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._script import Anything, Array, Expression, Number, Struct
from liblinux.packetdrill._values import describe

_IOVEC = struct.Struct("=QQ")
_MSGHDR = struct.Struct("=QIxxxxQQQQixxxx")
_CMSG = struct.Struct("=Qii")
_EXTENDED_ERROR = struct.Struct("=I4BII")
_TIMESTAMP = struct.Struct("=qq")
_ADDRESS_BYTES = 128
_CONTROL_BYTES = 4096
_MSG_FASTOPEN = 0x20000000
_ERROR_MEMBERS = ("ee_errno", "ee_origin", "ee_type", "ee_code", "ee_info", "ee_data")
_MEMBERS = ("msg_name", "msg_iov", "msg_flags", "msg_control")


class _Vector:
    """An array of struct iovec, and the memory that it points to."""

    def __init__(self, context: Context, expression: Expression, flags: int = 0) -> None:
        self.expected: list[Expression] = []
        self.buffers: list[Any] = []
        for item in context.values.items(expression):
            if not isinstance(item, Struct) or len(item.fields) != 2:
                raise ScriptError(f"an element of an iovec is {{..., LENGTH}}, not {describe(item)}")
            content, length = item.fields[0].value, context.values.integer(item.fields[1].value)
            self.expected.append(content)
            text = (context.values.text(content) or "").encode("latin-1")
            self.buffers.append(memory(context, text.ljust(length, b"\0")[:length], flags))
        self.array = bytearray(
            b"".join(_IOVEC.pack(address_of(buffer), memoryview(buffer).nbytes) for buffer in self.buffers)
        )

    def __len__(self) -> int:
        return len(self.buffers)

    def verify(self, context: Context, count: int) -> None:
        """Compare what was received."""
        for expected, buffer in zip(self.expected, self.buffers, strict=True):
            taken = min(count, memoryview(buffer).nbytes)
            expect_content(context, expected, bytes(buffer[:taken]))
            count -= taken


@preparer("readv", 3)
def _readv(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    vector = _Vector(context, arguments[1])
    numbers = context.descriptor(arguments[0]), context.values.integer(arguments[2])
    return Prepared(
        "readv",
        (numbers[0], vector.array, numbers[1]),
        lambda count: vector.verify(context, count),
        keep=[vector],
    )


@preparer("writev", 3)
def _writev(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    vector = _Vector(context, arguments[1])
    numbers = context.descriptor(arguments[0]), context.values.integer(arguments[2])
    return Prepared("writev", (numbers[0], vector.array, numbers[1]), keep=[vector])


def _message(context: Context, expression: Expression) -> dict[str, Expression]:
    members = context.values.members(expression, *_MEMBERS)
    if "msg_iov" not in members:
        raise ScriptError("a message needs msg_iov(COUNT)=[{..., LENGTH}, ...]")
    return members


@preparer("sendmsg", 3)
def _sendmsg(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    fd, flags = context.descriptor(arguments[0]), context.values.integer(arguments[2])
    members = _message(context, arguments[1])
    vector = _Vector(context, members["msg_iov"], flags)
    name = bytearray(remote_address(context, fd, members.get("msg_name", Anything())))
    control = bytearray(_control(context, members.get("msg_control")))
    header = bytearray(
        _MSGHDR.pack(
            address_of(name), len(name), address_of(vector.array), len(vector), address_of(control), len(control), 0
        )
    )
    if flags & _MSG_FASTOPEN:
        context.observed = fd
    return Prepared("sendmsg", (fd, header, flags), keep=[vector, name, control])


@preparer("recvmsg", 3)
def _recvmsg(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    members = _message(context, arguments[1])
    vector = _Vector(context, members["msg_iov"])
    name, control = bytearray(_ADDRESS_BYTES), bytearray(_CONTROL_BYTES)
    header = bytearray(
        _MSGHDR.pack(
            address_of(name), len(name), address_of(vector.array), len(vector), address_of(control), len(control), 0
        )
    )

    def verify(count: int) -> None:
        *_, control_length, flags = _MSGHDR.unpack(header)
        vector.verify(context, count)
        if "msg_flags" in members:
            context.expect("recvmsg(), msg_flags", members["msg_flags"], flags)
        if "msg_control" in members:
            _verify_control(context, members["msg_control"], bytes(control[:control_length]))

    numbers = context.descriptor(arguments[0]), context.values.integer(arguments[2])
    return Prepared("recvmsg", (numbers[0], header, numbers[1]), verify, keep=[vector, name, control])


# ---- control messages --------------------------------------------------------


def _control(context: Context, expression: Expression | None) -> bytes:
    """Control messages to be sent: integers of four bytes."""
    if expression is None or isinstance(expression, Anything):
        return b""
    parts = []
    for item in context.values.items(expression):
        level, kind, data = _cmsg(context, item)
        value = context.values.integer(data) & 0xFFFFFFFF
        parts.append(_CMSG.pack(_CMSG.size + 4, level, kind) + struct.pack("=Ixxxx", value))
    return b"".join(parts)


def _cmsg(context: Context, item: Expression) -> tuple[int, int, Expression]:
    values = context.values
    members = values.members(item, "cmsg_level", "cmsg_type", "cmsg_data")
    if len(members) != 3:
        raise ScriptError("a control message has cmsg_level, cmsg_type and cmsg_data")
    return values.integer(members["cmsg_level"]), values.integer(members["cmsg_type"]), members["cmsg_data"]


def _received(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    while len(data) >= _CMSG.size:
        length, level, kind = _CMSG.unpack_from(data)
        yield level, kind, data[_CMSG.size : length]
        data = data[(length + 7) & ~7 :]


def _verify_control(context: Context, expression: Expression, data: bytes) -> None:
    if isinstance(expression, Anything):
        return
    seen = list(_received(data))
    expected = context.values.items(expression) if isinstance(expression, Array) else ()
    names = ", ".join(f"level {level} type {kind} ({len(body)} bytes)" for level, kind, body in seen) or "none"
    if len(seen) != len(expected):
        raise Failed(f"recvmsg(): expected {len(expected)} control messages, got {len(seen)}: {names}")
    for (level, kind, body), item in zip(seen, expected, strict=True):
        wanted_level, wanted_kind, wanted = _cmsg(context, item)
        if (level, kind) != (wanted_level, wanted_kind):
            raise Failed(
                f"recvmsg(): expected a control message of level {wanted_level}, type {wanted_kind}, "
                f"got level {level}, type {kind}"
            )
        _verify_data(context, wanted, body)


def _verify_data(context: Context, wanted: Expression, body: bytes) -> None:
    if isinstance(wanted, Struct) and any(field.name == "scm_sec" for field in wanted.fields):
        _verify_timestamp(context, wanted, body)
    elif isinstance(wanted, Struct):
        _verify_error(context, wanted, body)
    elif not isinstance(wanted, Anything):
        context.expect("recvmsg(), cmsg_data", wanted, int.from_bytes(body[:4], "little", signed=True))


def _verify_error(context: Context, wanted: Struct, body: bytes) -> None:
    """A struct sock_extended_err."""
    members = context.values.members(wanted, *_ERROR_MEMBERS)
    number, origin, kind, code, _, info, data = _EXTENDED_ERROR.unpack_from(body)
    for name, seen in zip(_ERROR_MEMBERS, (number, origin, kind, code, info, data), strict=True):
        context.expect(f"recvmsg(), {name}", members.get(name, Anything()), seen)


def _verify_timestamp(context: Context, wanted: Struct, body: bytes) -> None:
    """A struct scm_timestamping: the script gives the time since its start."""
    members = context.values.members(wanted, "scm_sec", "scm_nsec")
    parts = [context.values.integer(members.get(name, Number(0))) for name in ("scm_sec", "scm_nsec")]
    expected = parts[0] * 10**9 + parts[1]
    seconds, nanoseconds = _TIMESTAMP.unpack_from(body)
    seen = seconds * 10**9 + nanoseconds - context.real_start
    if abs(seen - expected) > context.config.tolerance_us * 1000:
        raise Failed(f"recvmsg(): expected a time stamp of {expected / 1e9:.6f} s, got {seen / 1e9:.6f} s")
