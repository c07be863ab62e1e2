"""Partition tables, by sfdisk: it is told every identifier, so that nothing in them is random."""

from __future__ import annotations

import os
import uuid

from liblinux._typing import TYPE_CHECKING
from liblinux.making._programs import run_program

if TYPE_CHECKING:
    from liblinux.making._formats import Format

__all__ = ["ALIGNMENT_BYTES", "PARTITION_START_BYTES", "TABLE_BYTES", "place_in_table"]

SECTOR_BYTES = 512
ALIGNMENT_BYTES = 1 << 20
PARTITION_START_BYTES = ALIGNMENT_BYTES
# Before the partition, and behind it for the second copy of a GPT.
TABLE_BYTES = 2 * ALIGNMENT_BYTES
_PIECE_BYTES = 1 << 20


def place_in_table(
    path: str, content: str, table: str, format: Format, identity: uuid.UUID, name: str, type: str | None
) -> None:
    """Make the empty file `path` a disk with one partition, which holds what the file `content` holds.

    `table` is "gpt" or "dos"; identifiers are made of `identity`. `type` of the
    partition as sfdisk has it, None for what suits the file system. Raises LiblinuxError, OSError.
    """
    size = os.stat(content).st_size
    os.truncate(path, size + TABLE_BYTES)
    disk, partition = (uuid.uuid5(identity, what) for what in ("disk", "partition"))
    guid, number = format.partition
    fields = [f"start={PARTITION_START_BYTES // SECTOR_BYTES}", f"size={size // SECTOR_BYTES}"]
    if table == "gpt":
        head = ["label: gpt", f"label-id: {disk}"]
        fields += [f"type={type or guid}", f"uuid={partition}"]
        # sfdisk's script has no way to quote a quote.
        fields += [f'name="{name}"'] if name and '"' not in name else []
    else:
        head = ["label: dos", f"label-id: 0x{disk.hex[:8]}"]
        fields += [f"type={type or number}"]
    script = "\n".join([*head, ", ".join(fields), ""])
    run_program(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", path], "fdisk", input=script)
    _copy_extents(content, path, PARTITION_START_BYTES)


def _copy_extents(source: str, target: str, offset: int) -> None:
    """Copy what is no hole; a file system that was only just made is nearly all holes."""
    with open(source, "rb") as reader, open(target, "r+b") as writer:
        size = os.fstat(reader.fileno()).st_size
        zeros = bytes(_PIECE_BYTES)
        position = 0
        while position < size:
            try:
                start = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:
                return  # nothing but a hole is left
            position = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            while start < position:
                data = os.pread(reader.fileno(), min(position - start, _PIECE_BYTES), start)
                if data == zeros[: len(data)]:
                    start += len(data)
                    continue
                writer.seek(offset + start)
                writer.write(data)
                start += len(data)
