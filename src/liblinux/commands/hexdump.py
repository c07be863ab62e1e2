"""`liblinux hexdump`: bytes of a file of an image, and where in the image they lie."""

from __future__ import annotations

import os

import click

from liblinux._os_base import blame
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._extents import Extent, extents
from liblinux.commands._glob import expand_one
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._lines import print_lines
from liblinux.commands._output import print_json
from liblinux.commands._target import Target, TargetType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["Size", "hexdump_command"]

_LINE_BYTES = 16
_CHUNK_BYTES = 1 << 16
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """A number of bytes: 4096, 0x1000, 4K."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if isinstance(value, int):
            return value
        unit = _UNITS.get(value[-1:].upper(), 1) if not value.lower().startswith("0x") else 1
        digits = value if unit == 1 else value[:-1]
        try:
            number = int(digits, 0)
        except ValueError:
            number = -1
        if number < 0:
            self.fail(f"{value!r} is no size; write it as 4096, 0x1000 or 4K", param, ctx)
        return number * unit


@click.command("hexdump")
@click.argument("target", metavar="TARGET", type=TargetType())
@click.option("-s", "--skip", type=Size(), default=0, metavar="BYTES", help="Begin there in the file.")
@click.option("-n", "--length", type=Size(), metavar="BYTES", help="Show no more than this. [default: all]")
@click.option("-v", "--no-squeezing", "full", is_flag=True, help="Show equal lines, instead of '*'.")
@click.option("--extents", "only_extents", is_flag=True, help="Where the content lies, instead of the content.")
@click.option("--image-offsets", is_flag=True, help="Number lines by their place in the image, not in the file.")
@click.option("--json", "as_json", is_flag=True, help="With --extents: a list of objects, all in bytes.")
@image_options
def hexdump_command(target: Target, image_options: ImageOptions, **options: Any) -> None:
    """Show the bytes of a file, or the extents in which they lie in the image.

    Offsets of extents count from the start of the image, partitions and the chunks
    of Btrfs reckoned in; "-" is for what lies in no one place. What is compressed or
    encrypted ("encoded") is not there as the file has it. Of a qcow2 or a compressed
    image it is the place on the disk that is in it.

    \b
    Examples:
      liblinux hexdump -n 512 disk.img:/boot/vmlinuz
      liblinux hexdump -s 1M -n 4K disk.img:/var/lib/db
      liblinux hexdump --extents disk.img:/var/lib/db
      liblinux hexdump --image-offsets -n 64 disk.img:/etc/fstab
    """
    if options["as_json"] and not options["only_extents"]:
        raise click.UsageError("--json goes with --extents")
    with image_options.open(target.image) as image:
        path = expand_one(image, target.path)
        # Without waiting: a pipe in an image has no writer, and is empty then.
        descriptor = image.os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if options["only_extents"]:
                _show_extents(image, descriptor, path, as_json=options["as_json"])
            else:
                number = _Numbering(extents(image, descriptor, path) if options["image_offsets"] else None)
                print_lines(_lines(_read(image, descriptor, path, options), number, options))
        finally:
            image.os.close(descriptor)


def _show_extents(image: ImageRoot, descriptor: int, path: str, *, as_json: bool) -> None:
    found = extents(image, descriptor, path)
    if as_json:
        print_json([extent.record() for extent in found])
        return
    rows = [("in the file", "in the image", "length", "")]
    rows += [
        (str(extent.logical), "-" if extent.offset is None else str(extent.offset), str(extent.length),
         ",".join(extent.flags))
        for extent in found
    ]  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    print_lines(
        "  ".join([*(text.rjust(width) for text, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def _lines(pieces: Iterator[bytes], number: _Numbering, options: dict[str, Any]) -> Iterator[str]:
    """As `hexdump -C` has them."""
    begin = options["skip"]
    before: bytes | None = None
    starred = False
    at = begin
    for data in pieces:
        for start in range(0, len(data), _LINE_BYTES):
            line = data[start : start + _LINE_BYTES]
            if line == before and len(line) == _LINE_BYTES and not options["full"]:
                if not starred:
                    yield "*"
                starred = True
            else:
                yield f"{number.of(at)}  {_hex(line)}  |{_text(line)}|"
                starred = False
            before = line
            at += len(line)
    if at > begin:
        yield number.of(at)


def _read(image: ImageRoot, descriptor: int, path: str, options: dict[str, Any]) -> Iterator[bytes]:
    """The content in pieces of whole lines."""
    at, length = options["skip"], options["length"]
    while length is None or length > 0:
        try:
            data = image.os.pread(descriptor, _CHUNK_BYTES if length is None else min(length, _CHUNK_BYTES), at)
        except OSError as error:
            blame(error, path)
        if not data:
            return
        yield data
        at += len(data)
        length = None if length is None else length - len(data)


class _Numbering:
    """What stands before a line: its place in the file, or with extents in the image."""

    def __init__(self, found: list[Extent] | None) -> None:
        self._extents = found
        self._next = 0

    def of(self, at: int) -> str:
        """The number for a place in the file; asked for in rising order."""
        if self._extents is None:
            return f"{at:08x}"
        while self._next < len(self._extents) - 1 and at >= self._extents[self._next + 1].logical:
            self._next += 1
        extent = self._extents[self._next] if self._extents else None
        if extent is None or extent.offset is None or not 0 <= at - extent.logical < extent.length:
            return "-" * 8  # a hole, or in no one place
        return f"{extent.offset + at - extent.logical:08x}"


def _hex(line: bytes) -> str:
    halves = [line[:8].hex(" "), line[8:].hex(" ")]
    return f"{halves[0]:<23}  {halves[1]:<23}"


def _text(line: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)
