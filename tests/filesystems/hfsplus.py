"""HFS+ volumes: making an empty one, and checking one.

No free section of Debian 12 has a program that makes one (hfsprogs is not in
it), so this does, from the description of the format in Apple's Technical Note
TN1150. Volume header, allocation bitmap, and the two B-trees for extents and
catalog; the kernel makes the one for attributes itself. hpfsck, the checker in
Debian, takes devices only: so there is one here as well.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

BLOCK_BYTES = 4096
NODE_BYTES = 4096
EXTENTS_BLOCKS = 16
CATALOG_BLOCKS = 256
VOLUME_NAME = "Test"

_ROOT_PARENT, _ROOT_FOLDER, _FIRST_USER_ID = 1, 2, 16
_UNMOUNTED, _INCONSISTENT = 0x100, 0x800
_FOLDER, _FILE = 1, 2
_LEAF, _HEADER = 0xFF, 1
_BIG_KEYS, _VARIABLE_INDEX_KEYS = 2, 4
_FOLDING = 0xCF
# Seconds since 1904 of some moment in 2023.
_TIME = 2_082_844_800 + 1_700_000_000


def make(path: Path) -> None:
    """Format the whole of the image at `path`, of up to 128 MiB."""
    size = path.stat().st_size
    total = size // BLOCK_BYTES
    bitmap, extents = 1, 2
    catalog = extents + EXTENTS_BLOCKS
    used = catalog + CATALOG_BLOCKS
    forks = [
        _fork(bitmap, 1),
        _fork(extents, EXTENTS_BLOCKS),
        _fork(catalog, CATALOG_BLOCKS),
        _fork(0, 0),
        _fork(0, 0),
    ]
    header = _volume_header(total, total - used - 1, used) + b"".join(forks)
    with path.open("r+b") as file:
        _put(file.fileno(), 1024, header)
        _put(file.fileno(), bitmap * BLOCK_BYTES, _bitmap(used, total))
        _put(file.fileno(), extents * BLOCK_BYTES, _tree_header(EXTENTS_BLOCKS, 10, _BIG_KEYS, 0, 0))
        flags = _BIG_KEYS | _VARIABLE_INDEX_KEYS
        _put(file.fileno(), catalog * BLOCK_BYTES, _tree_header(CATALOG_BLOCKS, 516, flags, _FOLDING, 2))
        _put(file.fileno(), catalog * BLOCK_BYTES + NODE_BYTES, _node(_LEAF, 1, [_root_folder(), _root_thread()]))
        _put(file.fileno(), size - 1024, header)


def _put(descriptor: int, offset: int, data: bytes) -> None:
    assert os.pwrite(descriptor, data, offset) == len(data)


def _volume_header(total: int, free: int, next_block: int) -> bytes:
    start = struct.pack(">2sHI4sI4I", b"H+", 4, _UNMOUNTED, b"10.0", 0, _TIME, _TIME, 0, _TIME)
    counts = struct.pack(">2I3I4I", 0, 0, BLOCK_BYTES, total, free, next_block, 65536, 65536, _FIRST_USER_ID)
    return start + counts + struct.pack(">IQ", 1, 1) + bytes(32)


def _fork(start: int, blocks: int) -> bytes:
    return (
        struct.pack(">QII", blocks * BLOCK_BYTES, BLOCK_BYTES, blocks) + struct.pack(">II", start, blocks) + bytes(56)
    )


def _bitmap(used: int, total: int) -> bytes:
    bits = bytearray(BLOCK_BYTES)
    for block in (*range(used), total - 1):  # the last block has the second header
        bits[block // 8] |= 0x80 >> block % 8
    return bytes(bits)


def _tree_header(blocks: int, longest_key: int, flags: int, comparison: int, records: int) -> bytes:
    nodes = blocks * BLOCK_BYTES // NODE_BYTES
    leaf = 1 if records else 0
    head = struct.pack(">H4IHHII", leaf, leaf, records, leaf, leaf, NODE_BYTES, longest_key, nodes, nodes - 1 - leaf)
    head += struct.pack(">HIBBI", 0, blocks * BLOCK_BYTES, 0, comparison, flags) + bytes(64)
    used_nodes = 0xC0 if leaf else 0x80
    bitmap = bytes([used_nodes]) + bytes(NODE_BYTES - 14 - len(head) - 128 - 8 - 1)
    return _node(_HEADER, 0, [head, bytes(128), bitmap])


def _node(kind: int, height: int, records: list[bytes]) -> bytes:
    """A node: descriptor, records, and from its end backwards where each record begins."""
    node = bytearray(struct.pack(">IIBBHH", 0, 0, kind, height, len(records), 0))
    offsets = []
    for record in records:
        offsets.append(len(node))
        node += record
    offsets.append(len(node))
    tail = struct.pack(f">{len(offsets)}H", *reversed(offsets))
    return bytes(node) + bytes(NODE_BYTES - len(node) - len(tail)) + tail


def _key(parent: int, name: str) -> bytes:
    raw = name.encode("utf-16-be")
    return struct.pack(">HIH", 6 + len(raw), parent, len(name)) + raw


def _root_folder() -> bytes:
    permissions = struct.pack(">IIBBHI", 0, 0, 0, 0, 0o40755, 0)
    folder = struct.pack(">HHII5I", 1, 0, 0, _ROOT_FOLDER, *[_TIME] * 4, 0)
    return _key(_ROOT_PARENT, VOLUME_NAME) + folder + permissions + bytes(32) + struct.pack(">II", 0, 0)


def _root_thread() -> bytes:
    raw = VOLUME_NAME.encode("utf-16-be")
    return _key(_ROOT_FOLDER, "") + struct.pack(">HHIH", 3, 0, _ROOT_PARENT, len(VOLUME_NAME)) + raw


# ---- the checker -------------------------------------------------------------


class _Volume:
    """A volume under examination: which blocks something claims, each only once."""

    def __init__(self, image: bytes) -> None:
        self.image = image
        self.header = image[1024:1536]
        self.claimed: set[int] = set()

    def claim(self, extents: list[tuple[int, int]]) -> None:
        for start, count in extents:
            blocks = set(range(start, start + count))
            assert not blocks & self.claimed, f"blocks with two owners: {sorted(blocks & self.claimed)}"
            self.claimed |= blocks

    def fork(self, number: int) -> list[tuple[int, int]]:
        """The extents of one of the five files of the volume header."""
        return _extents(self.header, 112 + 80 * number + 16)

    def read(self, number: int) -> bytes:
        return b"".join(
            self.image[start * BLOCK_BYTES : (start + count) * BLOCK_BYTES] for start, count in self.fork(number)
        )


def check(path: Path) -> None:
    """It was unmounted; every block in use is marked and has one owner; the counts are those of the catalog."""
    volume = _Volume(path.read_bytes())
    (attributes,) = struct.unpack_from(">I", volume.header, 4)
    files, folders, block_bytes, total, free = struct.unpack_from(">5I", volume.header, 32)
    assert attributes & (_UNMOUNTED | _INCONSISTENT) == _UNMOUNTED
    assert block_bytes == BLOCK_BYTES
    for number in range(5):
        volume.claim(volume.fork(number))
    found = {_FOLDER: -1, _FILE: 0}  # the root is not counted
    for record in _leaves(volume.read(2)):
        (kind,) = struct.unpack_from(">H", record)
        if kind in found:
            found[kind] += 1
        if kind == _FILE:
            volume.claim(_extents(record, 88 + 16))
            volume.claim(_extents(record, 168 + 16))
    for record in _leaves(volume.read(1)):
        volume.claim(_extents(record, 0))
    assert (found[_FOLDER], found[_FILE]) == (folders, files)
    bitmap = volume.read(0)
    marked = {number for number in range(total) if bitmap[number // 8] & 0x80 >> number % 8}
    assert marked == volume.claimed | {0, total - 1}
    assert len(marked) == total - free


def _extents(raw: bytes, offset: int) -> list[tuple[int, int]]:
    pairs = struct.iter_unpack(">II", raw[offset : offset + 64])
    return [(start, count) for start, count in pairs if count]


def _leaves(tree: bytes) -> Iterator[bytes]:
    """What the records of a B-tree say, from its first leaf to its last."""
    count, node = struct.unpack_from(">II", tree, 14 + 6)
    (node_bytes,) = struct.unpack_from(">H", tree, 14 + 18)
    seen = 0
    while node:
        raw = tree[node * node_bytes : (node + 1) * node_bytes]
        node, _, kind, height, records = struct.unpack_from(">IIBBH", raw)
        assert (kind, height) == (_LEAF, 1)
        offsets = struct.unpack(f">{records + 1}H", raw[node_bytes - 2 * (records + 1) :])[::-1]
        assert list(offsets) == sorted(set(offsets))
        for start, end in pairwise(offsets):
            (key_bytes,) = struct.unpack_from(">H", raw, start)
            yield raw[start + 2 + key_bytes : end]
            seen += 1
    assert seen == count
