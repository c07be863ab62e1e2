"""Opening: which format, which files, and the device that comes of it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from liblinux._errors import FormatError
from liblinux._image_format import FORMATS, HEAD_BYTES, is_disk, tell_format
from liblinux.formats._errors import damaged, unsupported
from liblinux.formats._files import Files, Source, open_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

    from liblinux.formats._block import BlockImage
    from liblinux.formats._qcow2 import Qcow2

__all__ = ["Container", "open_source"]

_LONGEST_CHAIN = 32
_LARGEST_DISK_BYTES = 1 << 62


class Container:
    """A container that is open. Attributes: `format`, its name; `device`, what Kernel.attach() takes; `details`."""

    def __init__(self, format: str, device: Any, files: Files, details: dict[str, object]) -> None:
        self.format = format
        self.device = device
        self.details = details
        self._files = files

    def close(self) -> None:
        """Close all files that belong to it; twice does nothing."""
        self._files.close()

    def refusal(self, source: object) -> FormatError:
        """Why it is not written, and what to do instead."""
        return FormatError(
            errno.EROFS,
            f"{self.format} images are only read: an error in writing the tables or the stream would cost the image",
            str(source) if isinstance(source, str | os.PathLike) else None,
            advice="change a copy in memory (overlay=True), or convert it first: qemu-img convert -O raw",
        )


def open_source(
    source: Any,
    *,
    format: str | None = None,
    backing: Iterable[str | os.PathLike[str]] = (),
    progress: Callable[[int, int], object] | None = None,
) -> Container | None:
    """Open the container that `source` is; None for the bytes of a disk, which Kernel.attach() takes as they are.

    `source` is a path, a bytes-like object or a file object; device objects are
    never containers. `format` is one of FORMATS, by default told by the content.
    `backing` are directories, besides that of the image, whose files it may be
    made of. `progress` is told bytes unpacked and in all.

    Raises FormatError for what is damaged, not read here, or made of files that it
    may not name; OSError of opening files.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    if format == "raw" or (format is None and is_disk(source)):
        return None
    opened = open_bytes(source)
    if opened is None:
        return None  # attach() knows how to say what it is not
    path = os.fsdecode(source) if isinstance(source, str | os.PathLike) else None
    files = Files(path, backing)
    files.add(opened)
    try:
        return _open(opened, format or tell_format(opened.read(0, HEAD_BYTES)), files, progress)
    except BaseException:
        files.close()
        raise


def _open(opened: Source, kind: str, files: Files, progress: Callable[[int, int], object] | None) -> Container | None:
    from liblinux.formats._packed import PACKED, unpack  # noqa: PLC0415 - brings in all unpackers

    if kind in PACKED:
        file: BinaryIO = unpack(opened, kind, progress)
        files.add(_Closing(file))
        return Container(kind, file, files, {"compressed_size": opened.size})
    if kind == "raw":
        raise damaged(opened.name, "it is no container of any format that is known")
    image = _open_blocks(opened, kind, files, depth=0)
    if not 0 < image.size <= _LARGEST_DISK_BYTES:
        raise damaged(opened.name, f"no disk has {image.size} bytes")
    return Container(kind, image, files, image.describe())


def _open_blocks(opened: Source, kind: str, files: Files, depth: int) -> BlockImage:
    if kind == "vmdk":
        from liblinux.formats._vmdk import open_vmdk  # noqa: PLC0415 - each only if needed

        return open_vmdk(opened, files)
    if kind == "vdi":
        from liblinux.formats._vdi import Vdi  # noqa: PLC0415

        return Vdi(opened, files)
    if kind == "qcow2":
        from liblinux.formats._qcow2 import Qcow2  # noqa: PLC0415

        image = Qcow2(opened, files)
        _open_chain(image, files, depth)
        return image
    raise unsupported(opened.name, f"{kind} files are not read")


def _open_chain(image: Qcow2, files: Files, depth: int) -> None:
    """The files below: the names in them are the image's own words, not ours."""
    name = image.source.name
    if depth == _LONGEST_CHAIN:
        raise damaged(name, f"more than {_LONGEST_CHAIN} images lie below each other")
    if image.data_name:
        image.data = files.open(image.data_name, name)
    if image.backing_name:
        below = files.open(image.backing_name, name)
        kind = image.backing_format or tell_format(below.read(0, HEAD_BYTES))
        if kind == "raw":
            from liblinux.formats._block import RawFile  # noqa: PLC0415

            image.backing = RawFile(below, files)
        else:
            image.backing = _open_blocks(below, kind, files, depth + 1)


class _Closing:
    """The unpacked file, among the files to close."""

    def __init__(self, file: BinaryIO) -> None:
        self.name = "the unpacked image"
        self.size = 0
        self._file = file

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, offset)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._file.fileno(), [buffer], offset)

    def close(self) -> None:
        self._file.close()
