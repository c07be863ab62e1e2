"""The partition table around a file system, changed by sfdisk(8), which keeps all else in it as it is."""

from __future__ import annotations

import os
import re
import subprocess

from liblinux._errors import LiblinuxError
from liblinux._typing import Value
from liblinux.upkeep._checkers import find_program

__all__ = ["SECTOR_BYTES", "Table"]

SECTOR_BYTES = 512
_PACKAGE = "fdisk"
# Behind it are the disk's number and the partitions, before it the program that boots.
_BOOT_CODE_BYTES = 440
# A GPT has a copy of itself in the last sectors: header and 128 entries.
_GPT_COPY_SECTORS = 33
_LINE = re.compile(r"^(?P<node>.+?)\s*: start=\s*(?P<start>\d+), size=\s*(?P<size>\d+)(?P<rest>.*)$")
# What sfdisk reckons anew when the disk has another size.
_OF_THE_DISK = ("last-lba:", "device:", "sector-size:")


class _Part(Value):
    number: int
    start: int
    size: int
    rest: str


class Table:
    """The table of an image file, as it was when this was made. Sizes in sectors of 512 bytes."""

    def __init__(self, image: str) -> None:
        self._image = image
        self.text = _sfdisk(["--dump", image], None)
        header, _, body = self.text.partition("\n\n")
        self._header = [line for line in header.splitlines() if not line.startswith(_OF_THE_DISK)]
        self.is_gpt = "label: gpt" in self._header
        self._parts = [self._read(line) for line in body.splitlines() if line]
        if any(part.rest.startswith(", type=5") or ", type=f" in part.rest for part in self._parts):
            raise LiblinuxError(f"{image}: logical partitions in an extended one are not resized; use a GPT")
        with open(image, "rb") as file:
            self._boot_code = file.read(_BOOT_CODE_BYTES)

    def _read(self, line: str) -> _Part:
        found = _LINE.match(line)
        number = re.search(r"\d+$", found["node"].removeprefix(self._image)) if found else None
        if found is None or number is None:
            raise LiblinuxError(f"{self._image}: sfdisk printed a line that is no partition: {line}")
        return _Part(int(number[0]), int(found["start"]), int(found["size"]), found["rest"])

    def _part(self, number: int) -> _Part:
        return next(part for part in self._parts if part.number == number)

    def next_start(self, number: int) -> int | None:
        """Where the next partition starts, or None for the last one."""
        start = self._part(number).start
        return min((part.start for part in self._parts if part.start > start), default=None)

    def room(self, number: int, image_size: int) -> int:
        """The bytes that a partition can have up to the next one, or to the end of the image file."""
        start = self._part(number).start
        end = image_size // SECTOR_BYTES - (_GPT_COPY_SECTORS if self.is_gpt else 0)
        following = self.next_start(number)
        return ((end if following is None else following) - start) * SECTOR_BYTES

    def end_of_disk(self, number: int, size: int) -> int:
        """The bytes of an image file that ends with this partition, if that has `size` sectors."""
        sectors = self._part(number).start + size + (_GPT_COPY_SECTORS if self.is_gpt else 0)
        whole = (1 << 20) // SECTOR_BYTES
        return -(-sectors // whole) * whole * SECTOR_BYTES

    def write(self, number: int | None = None, size: int = 0) -> None:
        """Write the table to the image file, with another size of one partition, and its copy at the end of the file.

        Without a number, the table as it was.
        """
        lines = [*self._header, ""]
        for part in self._parts:
            sectors = size if part.number == number else part.size
            # A device's name, whose digits at the end count.
            lines.append(f"part{part.number} : start={part.start}, size={sectors}{part.rest}")
        script = "\n".join(lines) + "\n"
        _sfdisk(["--no-reread", "--no-tell-kernel", "--wipe", "never", "--quiet", self._image], script)
        with open(self._image, "r+b") as file:
            file.write(self._boot_code)
            os.fsync(file.fileno())


def _sfdisk(arguments: list[str], script: str | None) -> str:
    done = subprocess.run(
        [find_program("sfdisk", _PACKAGE), *arguments],
        input=script, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    if done.returncode:
        raise LiblinuxError(f"sfdisk {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
