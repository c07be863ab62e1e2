"""Images of file systems for tests: made once for each content, and copied.

The images lie in a directory of the session, which workers of pytest-xdist share:
what two of them make at the same time is made twice, and appears under its name
when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from liblinux._library import find_image
from liblinux.making._make import make_image

__all__ = ["ImageFactory"]

# 1980, the first year of FAT.
_EPOCH = 315_532_800
_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644

_Member = tuple[str, int, bytes | None]  # its path, its mode, its content; None of a directory


class ImageFactory:
    """Makes images of file systems; the fixture `image_factory`. Called, it returns the path of one.

    `content` is a dict of what there is: names, with "/" in them where that is
    easier, to str (a text file), bytes, an `os.PathLike` (a file of the host), a pair of one of
    these and a mode ((b"...", 0o755)), a dict or None (a directory). Or it is the
    path of a directory or archive, as of :func:`liblinux.make_image`, which knows
    all that `options` can say (`size`, `label`, `table`, ...); without an option there is no
    partition table, and times end in 1980, so that the same content gives the same
    bytes. Owner of all in a dict is root.

    The image is a copy in the test's `tmp_path`. With `copy=False` it is the one that all
    tests share: for `kernel.attach(image, overlay=True)` and `readonly=True`.

    Raises what make_image raises; TypeError for what no file can be.
    """

    def __init__(self, directory: os.PathLike[str], made: Path) -> None:
        self._directory = Path(directory)
        self._made = made
        self._numbers = itertools.count(1)

    def __call__(
        self,
        content: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        filesystem: str = "ext4",
        *,
        name: str | None = None,
        copy: bool = True,
        **options: Any,
    ) -> Path:
        options = {"table": None, "epoch": _EPOCH, **options}
        tree = content if isinstance(content, Mapping) or content is None else None
        members = list(_members(tree or {}))
        source = Path(content) if content is not None and not isinstance(content, Mapping) else None
        made = self._find(members, source, filesystem, options)
        if not copy:
            return made
        target = self._directory / (name or self._free_name(filesystem))
        _copy(made, target)
        return target

    def _find(self, members: list[_Member], source: Path | None, filesystem: str, options: dict[str, Any]) -> Path:
        parts = [find_image(options.get("version")), filesystem, repr(sorted(options.items())), repr(members)]
        if source is not None:
            parts += _fingerprint(source)
        path = self._made / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}.img"
        if not path.exists():
            self._made.mkdir(exist_ok=True)
            self._make(members, source, path, filesystem, options)
        return path

    def _make(
        self, members: list[_Member], source: Path | None, path: Path, filesystem: str, options: dict[str, Any]
    ) -> None:
        if source is not None:
            make_image(source, path, filesystem, **options)
            return
        archive = self._directory / f".{path.name}.tar"
        try:
            with tarfile.open(archive, "w") as tar:
                for member in members:
                    tar.addfile(*_tar_member(*member))
            make_image(archive, path, filesystem, kind="tar", **options)
        finally:
            archive.unlink(missing_ok=True)

    def _free_name(self, filesystem: str) -> str:
        names = (f"{filesystem}-{number}.img" for number in self._numbers)
        return next(name for name in names if not (self._directory / name).exists())


def _members(tree: Mapping[str, Any], above: str = "") -> Iterator[_Member]:
    for name, value in tree.items():
        path = f"{above}{name}".strip("/")
        if not path or ".." in path.split("/"):
            raise ValueError(f"{name!r} is no name of a file in an image")
        if value is None or isinstance(value, Mapping):
            yield path, _DIRECTORY_MODE, None
            yield from _members(value or {}, f"{path}/")
        elif isinstance(value, tuple):
            content, mode = value
            yield path, mode, _bytes(path, content)
        else:
            yield path, _FILE_MODE, _bytes(path, value)


def _bytes(path: str, value: object) -> bytes:
    match value:
        case str():
            return value.encode()
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case os.PathLike():
            return Path(value).read_bytes()
    raise TypeError(
        f"{path!r} is a file with content of type {type(value).__name__}; take str, bytes, a pathlib.Path, a pair "
        "of one of them and a mode, or for a directory a dict or None"
    )


def _tar_member(path: str, mode: int, content: bytes | None) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    member = tarfile.TarInfo(path)
    member.mode, member.mtime = mode, _EPOCH
    if content is None:
        member.type = tarfile.DIRTYPE
        return member, None
    member.size = len(content)
    return member, io.BytesIO(content)


def _fingerprint(source: Path) -> list[str]:
    """What changes when a directory or archive does, without reading all files of it."""
    if not source.is_dir():
        status = source.stat()
        return [str(source.resolve()), str(status.st_size), str(status.st_mtime_ns)]
    found = [str(source.resolve())]
    for directory, names, files in os.walk(source):
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            found.append(f"{path} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
    return found


def _copy(source: Path, target: Path) -> None:
    """A copy with the same holes, most of an image being one. (shutil's is without.)"""
    with source.open("rb") as reading, target.open("xb") as writing:
        size = os.fstat(reading.fileno()).st_size
        writing.truncate(size)
        end = 0
        while end < size:
            try:
                start = os.lseek(reading.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            end = os.lseek(reading.fileno(), start, os.SEEK_HOLE)
            _copy_range(reading.fileno(), writing.fileno(), start, end)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        count = os.copy_file_range(source, target, end - start, start, start)
        if not count:
            raise OSError(errno.EIO, "the image became shorter while it was copied")
        start += count
