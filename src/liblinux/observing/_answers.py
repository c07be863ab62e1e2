"""Answers of netlink to the same question, asked again and again, as columns of numbers.

A dump is some hundred bytes, and mostly has the same objects in the same places as
the one before. So it is taken apart once, and then each field is a column of a
matrix: one slice of a memoryview instead of a hundred thousand calls of struct.
Where objects come or go the run of answers is cut in two.

Source: linux/netlink.h, linux/inet_diag.h, linux/rtnetlink.h, linux/gen_stats.h,
linux/if_link.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liblinux._sockets.tcp_info import _BYTES, _LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

__all__ = ["Field", "Found", "columns", "find_interfaces", "find_sockets", "split_answers"]

_ANSWER = struct.Struct("=QII")  # of kernel/host/sample.c
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_KIND_MASK = 0x3FFF  # without the flags of nesting and byte order
_SOCK_DIAG_BY_FAMILY, _TCPDIAG_GETSOCK, _RTM_NEWQDISC, _RTM_NEWSTATS = 20, 18, 36, 92
_INET_DIAG_MSG_BYTES, _INET_DIAG_INFO = 72, 2
_TCMSG_BYTES, _TCA_STATS2, _TCA_STATS_BASIC, _TCA_STATS_QUEUE = 20, 7, 1, 3
_IF_STATS_MSG_BYTES, _IFLA_STATS_LINK_64 = 12, 1
_ROOT = 0xFFFFFFFF
_SOCKET_IDS = struct.Struct("=BB2x2s2s16s16sIQ")


@dataclass(frozen=True)
class Field:
    """A number in an answer: where it is, in bytes, and how long (4 or 8)."""

    offset: int
    width: int


@dataclass(frozen=True)
class Found:
    """An object in an answer: `key` says which; `same` are offsets of words that stay the same as long as it is it."""

    key: Hashable
    about: Any
    same: tuple[int, ...]
    fields: dict[str, Field]


def split_answers(data: bytes) -> dict[int, list[tuple[int, int, int]]]:
    """Time in nanoseconds, start and length of all answers, by the number of their question."""
    answers: dict[int, list[tuple[int, int, int]]] = {}
    at = 0
    while at < len(data):
        time, question, length = _ANSWER.unpack_from(data, at)
        at += _ANSWER.size
        answers.setdefault(question, []).append((time, at, length))
        at += length + -length % 8
    return answers


def _messages(answer: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of the body of each message."""
    at = 0
    while at + _HEADER.size <= len(answer):
        length, kind, _, _, _ = _HEADER.unpack_from(answer, at)
        yield kind, at + _HEADER.size, at + length
        at += max(length + -length % 4, _HEADER.size)


def _attributes(answer: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The same of the attributes of a message."""
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        yield kind & _KIND_MASK, at + _ATTRIBUTE.size, at + length
        at += max(length + -length % 4, _ATTRIBUTE.size)


# ---- TCP sockets ------------------------------------------------------------------


@dataclass(frozen=True)
class SocketIds:
    """Who talks to whom: addresses as bytes (4 or 16), ports; `inode` grows with each socket that is made."""

    source: bytes
    source_port: int
    target: bytes
    target_port: int
    inode: int


_TCP_FIELDS = {
    "snd_cwnd": "cwnd",
    "snd_ssthresh": "ssthresh",
    "rtt": "rtt",
    "delivery_rate": "delivery_rate",
    "total_retrans": "retransmits",
    "unacked": "unacked",
    "bytes_acked": "acked",
    "data_segs_out": "sent",
}


def _tcp_offsets() -> dict[str, Field]:
    at, found = _BYTES.size, {}
    for name, kind in _LAYOUT:
        if name in _TCP_FIELDS:
            found[_TCP_FIELDS[name]] = Field(at, struct.calcsize(kind))
        at += struct.calcsize(kind)
    return found


_TCP_OFFSETS = _tcp_offsets()


def find_sockets(answer: bytes) -> list[Found]:
    """The TCP sockets of a dump of sock_diag(7)."""
    found = []
    for kind, start, end in _messages(answer):
        if kind not in (_SOCK_DIAG_BY_FAMILY, _TCPDIAG_GETSOCK):
            continue
        family, _, sport, dport, source, target, _, cookie = _SOCKET_IDS.unpack_from(answer, start)
        length = 4 if family == 2 else 16
        (inode,) = struct.unpack_from("=I", answer, start + _INET_DIAG_MSG_BYTES - 4)
        for attribute, at, stop in _attributes(answer, start + _INET_DIAG_MSG_BYTES, end):
            if attribute == _INET_DIAG_INFO:
                ids = SocketIds(source[:length], _port(sport), target[:length], _port(dport), inode)
                fields = {
                    name: Field(at + field.offset, field.width)
                    for name, field in _TCP_OFFSETS.items()
                    if at + field.offset + field.width <= stop
                }
                found.append(Found(cookie, ids, (start + 44, start + 48, at - 4), fields))
    return found


def _port(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


# ---- interfaces -------------------------------------------------------------------


def find_interfaces(answer: bytes) -> list[Found]:
    """Queues (root queueing disciplines) and counters of interfaces; the key is the interface's index and a word."""
    found = []
    for kind, start, end in _messages(answer):
        if kind == _RTM_NEWQDISC:
            _, index, _, parent = struct.unpack_from("=Iiii", answer, start)
            fields = _queue_fields(answer, start, end)
            if parent & _ROOT == _ROOT and fields:
                found.append(Found((index, "queue"), index, (start + 4, start + 12), fields))
        elif kind == _RTM_NEWSTATS:
            (index,) = struct.unpack_from("=I", answer, start + 4)
            for attribute, at, _ in _attributes(answer, start + _IF_STATS_MSG_BYTES, end):
                if attribute == _IFLA_STATS_LINK_64:
                    found.append(Found((index, "line"), index, (start + 4, at - 4), _counter_fields(at)))
    return found


def _queue_fields(answer: bytes, start: int, end: int) -> dict[str, Field]:
    for attribute, at, stop in _attributes(answer, start + _TCMSG_BYTES, end):
        if attribute == _TCA_STATS2:
            for inner, place, _ in _attributes(answer, at, stop):
                if inner == _TCA_STATS_QUEUE:
                    # struct gnet_stats_queue
                    return {
                        "queue": Field(place, 4), "backlog": Field(place + 4, 4), "queue_drops": Field(place + 8, 4)
                    }  # fmt: skip
    return {}


def _counter_fields(at: int) -> dict[str, Field]:
    # struct rtnl_link_stats64, in words of eight bytes; a cable counts what is lost on the line as carrier errors.
    places = {"sent_packets": 1, "sent_bytes": 3, "line_losses": 17}
    return {name: Field(at + 8 * place, 8) for name, place in places.items()}


# ---- columns ----------------------------------------------------------------------


def columns(
    data: bytes, answers: Sequence[tuple[int, int, int]], find: Callable[[bytes], list[Found]]
) -> Iterator[tuple[int, int, list[tuple[Found, dict[str, list[int]]]]]]:
    """Runs of answers with the same objects: first and last + 1, and the values of each object's fields."""
    first = 0
    for place in range(1, len(answers) + 1):
        if place == len(answers) or answers[place][2] != answers[first][2]:
            yield from _run(data, answers, first, place, find)
            first = place


def _run(
    data: bytes,
    answers: Sequence[tuple[int, int, int]],
    first: int,
    last: int,
    find: Callable[[bytes], list[Found]],
) -> Iterator[tuple[int, int, list[tuple[Found, dict[str, list[int]]]]]]:
    length = answers[first][2]
    matrix = memoryview(b"".join([data[start : start + length] for _, start, _ in answers[first:last]]))
    if not length:
        return
    found = find(bytes(matrix[:length]))
    words, width = matrix.cast("I"), length // 4
    if any(len(set(words[at // 4 :: width].tolist())) > 1 for one in found for at in one.same):
        middle = (first + last) // 2
        yield from _run(data, answers, first, middle, find)
        yield from _run(data, answers, middle, last, find)
        return
    values = [(one, {name: _column(words, field, width) for name, field in one.fields.items()}) for one in found]
    yield first, last, values


def _column(words: memoryview, field: Field, width: int) -> list[int]:
    low: list[int] = words[field.offset // 4 :: width].tolist()
    if field.width == 4:
        return low
    high: list[int] = words[field.offset // 4 + 1 :: width].tolist()
    return [below + (above << 32) for below, above in zip(low, high, strict=True)] if any(high) else low
