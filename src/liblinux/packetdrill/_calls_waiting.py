"""poll and epoll."""

from __future__ import annotations

import struct

from liblinux.packetdrill._calls import Context, Prepared, preparer
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._script import Anything, Array, Expression, Number, Struct

_POLL = struct.Struct("=ihH")
_EPOLL = struct.Struct("=IQ")
_DATA = ("fd", "ptr", "u32", "u64")


@preparer("poll", 3)
def _poll(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    values = context.values
    expected = [values.members(item, "fd", "events", "revents") for item in values.items(arguments[0])]
    for members in expected:
        if not {"fd", "events"} <= members.keys():
            raise ScriptError("an element of poll() is {fd=NUMBER, events=FLAGS, revents=FLAGS}")
    array = bytearray(
        b"".join(_POLL.pack(context.descriptor(one["fd"]), values.integer(one["events"]), 0) for one in expected)
    )

    def verify(_: int) -> None:
        for members, (_, _, seen) in zip(expected, _POLL.iter_unpack(array), strict=True):
            context.expect("poll(), revents", members.get("revents", Number(0)), seen)

    return Prepared("poll", (array, values.integer(arguments[1]), values.integer(arguments[2])), verify)


@preparer("epoll_create", 1)
def _epoll_create(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return Prepared("epoll_create", (context.values.integer(arguments[0]),), opens=True)


@preparer("epoll_create1", 1)
def _epoll_create1(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    return Prepared("epoll_create1", (context.values.integer(arguments[0]),), opens=True)


@preparer("epoll_ctl", 4)
def _epoll_ctl(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    values = context.values
    numbers = context.descriptor(arguments[0]), values.integer(arguments[1]), context.descriptor(arguments[2])
    # The data is the program's own, so it stays what the script wrote.
    event = _event(context, arguments[3]) if isinstance(arguments[3], Struct) else (0, 0)
    return Prepared("epoll_ctl", (*numbers, _EPOLL.pack(*event)))


def _event(context: Context, expression: Expression) -> tuple[int, int]:
    members = context.values.members(expression, "events", *_DATA)
    data = next((members[name] for name in _DATA if name in members), Number(0))
    return context.values.integer(members.get("events", Number(0))), context.values.integer(data)


@preparer("epoll_wait", 4)
def _epoll_wait(context: Context, arguments: tuple[Expression, ...]) -> Prepared:
    values = context.values
    most = values.integer(arguments[2])
    array = bytearray(_EPOLL.size * max(most, 1))

    def verify(count: int) -> None:
        expected = arguments[1].items if isinstance(arguments[1], Array) else (arguments[1],)
        for position in range(min(count, len(expected))):
            if isinstance(expected[position], Anything):
                continue
            wanted, seen = _event(context, expected[position]), _EPOLL.unpack_from(array, position * _EPOLL.size)
            if seen != wanted:
                raise Failed(
                    f"epoll_wait(): expected events {wanted[0]:#x} with data {wanted[1]}, "
                    f"got events {seen[0]:#x} with data {seen[1]}"
                )

    return Prepared("epoll_wait", (context.descriptor(arguments[0]), array, most, values.integer(arguments[3])), verify)
