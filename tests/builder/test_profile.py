"""Profiles of the kernel's code: well-formed, complete, and used in the kernels that are built."""

from __future__ import annotations

import struct

import pytest

from liblinux._library import find_image
from liblinux._symbols import symbols_of
from liblinux.builder.port import PORT_DIRECTORY, kernel_directory

PROFILE = kernel_directory() / PORT_DIRECTORY / "profile"
SERIES = ("6.12", "6.1")
# gcc/gcov-io.h of GCC 12: the head of a file, and what precedes each record in it.
MAGIC, HEAD, RECORD = 0x67636461, struct.Struct("<I4s2I"), struct.Struct("<Ii")
VERSION = b"*22B"
FUNCTION, COUNTERS = 0x01000000, 0x01A10000
# Of six objects in three directories: 9 MiB apart in the order in which Linux links them.
TRAINED = ("update_curr", "process_backlog", "ip_rcv_core", "tcp_recvmsg_locked", "tcp_ack", "tcp_v4_rcv")
TOGETHER = 256 * 1024


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


def test_the_kernel_was_built_with_its_profile() -> None:
    """What was trained lies together, in front of all else."""
    symbols = symbols_of(find_image())
    places = [symbols.offset_of(name) for name in TRAINED]
    assert max(places) - min(places) < TOGETHER
