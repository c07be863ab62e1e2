"""Puts the initcalls of a linked kernel into the order of its objects.

Linux calls the functions of one level in the order in which their objects are linked.
Those of the objects that are compiled as one (:mod:`~liblinux.builder._together`) lie
together, so all are sorted again.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liblinux._errors import BuildError
from liblinux.builder._run import output_of
from liblinux.builder._together import Members

__all__ = ["restore_order"]

# include/linux/init.h: of the module, the counter and the line, the function, the level.
_NAME = re.compile(r"__initcall__kmod_(?P<module>\w+?)__\d+_\d+_\w+?(?P<level>early|rootfs|\ds?)")
# What stands there: how far it is from there to the function.
_ENTRY = struct.Struct("<i")
# Of the header of a 64-bit ELF file, and of a program header: its type, offset, address, size.
_HEADER, _PROGRAM_HEADER = struct.Struct("<32xQ14xHH"), struct.Struct("<I4xQQ8xQ16x")
_PT_LOAD = 1


@dataclass(frozen=True)
class _Initcall:
    """One that is in the table: its name, where it stands, the function it is for."""

    name: str
    level: str
    address: int
    function: int


def restore_order(library: Path, members: Members) -> None:
    """Sort the initcalls of `library`, linked from `members`.

    :raises BuildError: nobody knows of what object one is.
    """
    if not members.parts:
        return
    image = bytearray(library.read_bytes())
    rank = _ranking(members)
    for _, level in itertools.groupby(_initcalls(library, image), key=lambda initcall: initcall.level):
        here = list(level)
        for place, initcall in zip(here, sorted(here, key=rank), strict=True):
            _ENTRY.pack_into(image, _offset(image, place.address), initcall.function - place.address)
    library.write_bytes(image)


def _initcalls(library: Path, image: bytearray) -> list[_Initcall]:
    """Those that have a level, in the order they are called in."""
    found = []
    for line in output_of("nm", "--numeric-sort", "--defined-only", library.name, directory=library.parent):
        address, _, name = line.split(" ", 2)
        if match := _NAME.fullmatch(name):
            at = int(address, 16)
            (distance,) = _ENTRY.unpack_from(image, _offset(image, at))
            found.append(_Initcall(name, match["level"], at, at + distance))
    return found


def _ranking(members: Members) -> Callable[[_Initcall], int]:
    """A function that tells where among the members the object of an initcall is."""
    place = {name: at for at, name in enumerate((*members.names, *members.reserve))}
    known = {name: place[member] for member, _, name in members.symbols if _NAME.fullmatch(name)}
    modules = [members.module(part) for part in members.parts]
    own = {
        module: place[part] for module, part in zip(modules, members.parts, strict=True) if modules.count(module) == 1
    }

    def rank(initcall: _Initcall) -> int:
        match = _NAME.fullmatch(initcall.name)
        at = known.get(initcall.name, own.get(match["module"]) if match else None)
        if at is None:
            raise BuildError(f"{initcall.name} is of none of the objects that were linked, or of several")
        return at

    return rank


def _offset(image: bytearray, address: int) -> int:
    """Where in the file an address is."""
    table, size, count = _HEADER.unpack_from(image)
    for header in range(table, table + count * size, size):
        kind, offset, start, length = _PROGRAM_HEADER.unpack_from(image, header)
        if kind == _PT_LOAD and start <= address < start + length:
            return int(offset + address - start)
    raise BuildError(f"nothing of the file is loaded at {address:#x}")
