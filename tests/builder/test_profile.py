"""Profiles of the kernel's code: well-formed, complete, and used in the kernels that are built."""

from __future__ import annotations

import contextlib
import itertools
import re
import struct

import pytest

from liblinux._library import find_image
from liblinux._symbols import symbols_of
from liblinux.builder._make import _SOURCE
from liblinux.builder.port import PORT_DIRECTORY, kernel_directory

PROFILE = kernel_directory() / PORT_DIRECTORY / "profile"
SERIES = ("6.12", "6.1")
# gcc/gcov-io.h of GCC 12: the head of a file, and what precedes each record in it.
MAGIC, HEAD, RECORD = 0x67636461, struct.Struct("<I4s2I"), struct.Struct("<Ii")
VERSION = b"*22B"
FUNCTION, COUNTERS = 0x01000000, 0x01A10000
# Of six objects in three directories: 9 MiB apart in the order in which Linux links them.
TRAINED = ("enqueue_task_fair", "process_backlog", "ip_rcv", "tcp_recvmsg_locked", "tcp_ack", "tcp_v4_rcv")
# Called from one place in another file.
IN_LINE = ("ip_rcv_core", "tcp_rate_gen", "tcp_rate_skb_sent")
TOGETHER = 256 * 1024
# Static functions, by object. The polynomial is that of gcc's own sums.
STATIC = {
    "net/ipv4/tcp_input": "tcp_ack",
    "net/ipv4/tcp_output": "__tcp_transmit_skb",
    "net/core/dev": "process_backlog",
}
CRC32 = 0x04C11DB7


def records(content: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents; of counters that are all zero only the length is in the file."""
    found, at = [], HEAD.size
    while at + RECORD.size <= len(content):
        tag, size = RECORD.unpack_from(content, at)
        at += RECORD.size
        found.append((tag, content[at : at + max(size, 0)]))
        at += max(size, 0)
    return found


@pytest.mark.parametrize("series", SERIES)
def test_every_object_has_been_trained(series: str) -> None:
    names = {path.name.removesuffix(".gcda").replace("#", "/") + ".o" for path in (PROFILE / series).iterdir()}
    assert names == set((PROFILE / "objects").read_text().split())


@pytest.mark.parametrize("series", SERIES)
def test_profiles_are_what_gcc_reads(series: str) -> None:
    for path in (PROFILE / series).iterdir():
        content = path.read_bytes()
        magic, version, _, _ = HEAD.unpack_from(content)
        assert (magic, version) == (MAGIC, VERSION), path.name
        tags = [tag for tag, _ in records(content)]
        assert tags.count(FUNCTION) == tags.count(COUNTERS) > 0, path.name
        assert any(any(data) for tag, data in records(content) if tag == COUNTERS), path.name


def crc32(value: int, text: str) -> int:
    """crc32_string() of GCC: highest bit first, the zero at the end included."""
    for byte in text.encode() + b"\0":
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (CRC32 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(("name", "function"), STATIC.items())
def test_profiles_do_not_tell_where_they_were_made(series: str, name: str, function: str) -> None:
    """Functions that no other object sees are known by the name of their file, which must be that of all builds."""
    content = (PROFILE / series / f"{name.replace('/', '#')}.gcda").read_bytes()
    known = {int.from_bytes(data[:4], "little") for tag, data in records(content) if tag == FUNCTION}
    assert crc32(crc32(crc32(0, f"{_SOURCE}/{name}.c"), function), name) & 0x7FFFFFFF in known


def test_what_one_byte_runs_through_lies_together_in_that_order() -> None:
    listed = re.findall(
        r"^\*\(\.text\.hot\.(\S+) ", (PROFILE.parent / "kernel" / "order.lds.h").read_text(), re.MULTILINE
    )
    symbols = symbols_of(find_image())
    places = []
    for name in listed:
        with contextlib.suppress(KeyError):  # of some there are only clones, and some have a section of their own
            places.append(symbols.offset_of(name))
    places = [place for place in places if place < min(places) + TOGETHER]
    assert len(places) > len(listed) / 2
    # Nearly: what has a section of its own in the kernel's source is where that is.
    forward = sum(here < behind for here, behind in itertools.pairwise(places))
    assert forward > len(places) * 0.95


def test_the_kernel_was_built_with_its_profile() -> None:
    """What was trained lies together, in front of all else."""
    symbols = symbols_of(find_image())
    places = [symbols.offset_of(name) for name in TRAINED]
    assert max(places) - min(places) < TOGETHER


@pytest.mark.parametrize("name", IN_LINE)
def test_what_was_trained_is_compiled_as_one(name: str) -> None:
    with pytest.raises(KeyError):
        symbols_of(find_image()).offset_of(name)
