"""Names of the kernel's functions, from a table in the image that is never loaded with it.

The builder puts the table into the section `.liblinux.symbols` of the image: the
names of all functions with their offsets from the start of the image, compressed.
The image is also where a call instruction is looked at, to see what it calls.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from functools import lru_cache

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

__all__ = ["SECTION", "Frame", "Symbols", "pack", "symbols_of"]

SECTION = ".liblinux.symbols"
# Of the header and of a section header of a 64-bit ELF file.
_SECTIONS_AT, _SECTION_HEADER = "<40xQ10xHHH", "<IIQQQQ24x"
_CALL = 0xE8
_CALL_BYTES = 5
_POINTER_COSTS = 0.9


class Frame(Value):
    """A place in the kernel's code.

    `function` is "" where the kernel has none; `offset` counts bytes from its
    start, `size` is how many it has. `certain` is False for a return address
    that was found on the stack but may be left over from an earlier call; the
    kernel marks such with a question mark too.
    """

    function: str
    offset: int
    size: int
    certain: bool = True

    def __str__(self) -> str:
        place = f"{self.function}+{self.offset:#x}/{self.size:#x}" if self.function else f"{self.offset:#x}"
        return place if self.certain else f"? {place}"


def pack(symbols: Iterable[tuple[int, str]]) -> bytes:
    """Make the table of (offset, name); the order does not matter."""
    lines, last = [], 0
    for offset, name in sorted(symbols):
        lines.append(f"{offset - last:x} {name}\n")
        last = offset
    return zlib.compress("".join(lines).encode(), 9)


class Symbols:
    """The functions of one image."""

    def __init__(self, packed: bytes, path: str) -> None:
        self._path = path
        self._offsets: list[int] = []
        self._names: list[str] = []
        offset = 0
        for line in zlib.decompress(packed).decode().splitlines() if packed else ():
            step, _, name = line.partition(" ")
            offset += int(step, 16)
            self._offsets.append(offset)
            self._names.append(name)

    def __len__(self) -> int:
        return len(self._offsets)

    def offset_of(self, name: str) -> int:
        """Where a function is, in bytes from the start of the image; KeyError when there is none."""
        try:
            return self._offsets[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def frame(self, offset: int, certain: bool = True) -> Frame:
        """The function around an offset from the start of the image."""
        at = bisect_right(self._offsets, offset)
        if not 0 < at < len(self._offsets):
            return Frame("", offset, 0, certain)
        start = self._offsets[at - 1]
        return Frame(self._names[at - 1], offset - start, self._offsets[at] - start, certain)

    def backtrace(self, innermost: int | None, trace: Iterable[int], *, inside: str | None = None) -> list[Frame]:
        """Frames for return addresses from a stack, as offsets.

        The innermost is where execution was, if that is known, else the name of
        the function `inside` which it was.
        Among the addresses are some of calls that are over. Certain are those
        whose call instruction leads to the function of a frame before them, and
        of which most fit together.
        """
        frames = [self.frame(innermost)] if innermost is not None else []
        within = inside if inside is not None else next((frame.function for frame in frames), None)
        with open(self._path, "rb") as image:
            # What comes after a call that never returns may be the next function.
            callers = [(self.frame(address - 1), self._called(image, address)) for address in trace]
        links = [(_whole(caller.function), called if called is None else _whole(called)) for caller, called in callers]
        certain = _chain(within if within is None else _whole(within), links)
        for at, (caller, _) in enumerate(callers):
            frames.append(Frame(caller.function, caller.offset + 1, caller.size, at in certain))
        return frames

    def _called(self, image: BinaryIO, address: int) -> str | None:
        """The function that the call before `address` calls; None for one through a pointer."""
        # Text is mapped from the file as it is: an address is a position there.
        image.seek(address - _CALL_BYTES)
        code = image.read(_CALL_BYTES)
        if len(code) < _CALL_BYTES or code[0] != _CALL:
            return None
        return self.frame(address + int.from_bytes(code[1:], "little", signed=True)).function


def _whole(name: str) -> str:
    """The function that an unlikely part, which the compiler has put elsewhere, belongs to."""
    return name.partition(".cold")[0]


def _chain(innermost: str | None, links: Sequence[tuple[str, str | None]]) -> set[int]:
    """Which of the calls that were found on a stack go on from each other.

    :param innermost: the function that execution was in; None if nobody knows.
    :param links: for each call its function and the one that it calls, None through a pointer.
    :returns: the places in `links` of calls of a function by its name. A call through a pointer may have led anywhere,
        so it costs nearly what a call by name is worth: leftovers that were called by one another are not preferred
        to the caller that is there.
    """
    functions = [innermost, *(function for function, _ in links)]
    worth = [0.0] * len(functions)
    after: list[int | None] = [None] * len(functions)
    for at in range(len(links) - 1, -1, -1):  # the outermost first
        for caller in range(at + 1, len(functions)):
            called = links[caller - 1][1]
            if called is not None and functions[at] is not None and called != functions[at]:
                continue
            value = worth[caller] + (1.0 if called is not None else -_POINTER_COSTS)
            if value > worth[at]:
                worth[at], after[at] = value, caller
    certain = set()
    place = after[0]
    while place is not None:
        if links[place - 1][1] is not None:
            certain.add(place - 1)
        place = after[place]
    return certain


@lru_cache(maxsize=2)
def symbols_of(path: str) -> Symbols:
    """The functions of the image `path`; none when it was built without a table, or is gone."""
    try:
        with open(path, "rb") as image:
            return Symbols(_section(image), path)
    except OSError:
        return Symbols(b"", path)


def _section(image: BinaryIO) -> bytes:
    header = image.read(64)
    start, size, count, names_at = struct.unpack_from(_SECTIONS_AT, header)
    image.seek(start)
    raw = image.read(size * count)
    sections = [struct.unpack_from(_SECTION_HEADER, raw, at * size) for at in range(count)]
    if names_at >= count:
        return b""
    image.seek(sections[names_at][4])
    names = image.read(sections[names_at][5])
    for name, _, _, _, offset, length in sections:
        if names[name:].partition(b"\0")[0] == SECTION.encode():
            image.seek(offset)
            return image.read(length)
    return b""
