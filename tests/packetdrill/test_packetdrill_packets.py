"""Packets as bytes and back, and the sums in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liblinux.packetdrill._script import TcpOption
from liblinux.packetdrill._segment import Segment, flag_letters
from liblinux.packetdrill._wire import TCP, Datagram, checksum, decode, pseudo_header

OPTIONS = st.one_of(
    st.just(TcpOption("nop")),
    st.just(TcpOption("sackOK")),
    st.builds(lambda n: TcpOption("mss", (n,)), st.integers(0, 65535)),
    st.builds(lambda n: TcpOption("wscale", (n,)), st.integers(0, 255)),
    st.builds(lambda a, b: TcpOption("TS", (a, b)), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(lambda a, b: TcpOption("sack", (a, b)), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(lambda data: TcpOption("FO", data=data), st.binary(max_size=8)),
    st.builds(lambda data: TcpOption("FOEXP", data=data), st.binary(max_size=6)),
    st.builds(lambda data: TcpOption("md5", data=data), st.binary(min_size=16, max_size=16)),
)
ADDRESSES = {4: ("192.0.2.1", "192.168.0.1"), 6: ("2001:db8::1", "fd00::2")}


def slow_checksum(data: bytes) -> int:
    """As RFC 1071 writes it."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(st.binary(max_size=200))
def test_checksum(data: bytes) -> None:
    assert checksum(data) == slow_checksum(data)


@pytest.mark.parametrize("data", [b"", bytes(20), b"\xff" * 20, b"\xff"])
def test_checksum_of_the_extremes(data: bytes) -> None:
    assert checksum(data) == slow_checksum(data)


@given(
    st.sampled_from([4, 6]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 511),
    st.lists(OPTIONS, max_size=2),
    st.binary(max_size=50),
)
def test_segment_there_and_back(
    version: int, sequence: int, ack: int, flags: int, options: list[TcpOption], payload: bytes
) -> None:
    source, destination = ADDRESSES[version]
    segment = Segment(40000, 8080, sequence, ack, flags, 257, 0, tuple(options), payload)
    data = Datagram(version, source, destination, TCP, segment.encode(source, destination), tos=3, ttl=64).encode()
    datagram = decode(data)
    assert datagram is not None
    assert (datagram.version, datagram.source, datagram.destination, datagram.tos) == (version, source, destination, 3)
    # Sums over what has a sum in it are 0.
    assert checksum(pseudo_header(source, destination, TCP, len(datagram.payload)) + datagram.payload) == 0
    if version == 4:
        assert checksum(data[:20]) == 0
    seen = Segment.decode(datagram)
    assert seen is not None
    padding = [option for option in seen.options if option.kind == "eol"]
    assert seen.options == (*options, *padding)
    assert (seen.sequence, seen.ack, seen.flags, seen.payload) == (sequence, ack, flags, payload)


@given(st.binary(max_size=80))
def test_garbage_is_read_without_a_fault(data: bytes) -> None:
    datagram = decode(data)
    if datagram is not None:
        Segment.decode(datagram)
    Segment.decode(Datagram(4, "192.0.2.1", "192.0.2.2", TCP, data))


def test_flags_are_written_in_the_order_of_scripts() -> None:
    assert [flag_letters(bits) for bits in (2, 18, 17, 24, 20, 194, 16, 0)] == [
        "S",
        "S.",
        "F.",
        "P.",
        "R.",
        "SEW",
        ".",
        "",
    ]
