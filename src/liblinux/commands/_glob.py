"""Patterns in the path of a target: `disk.img:/etc/*.conf`, expanded by the names in the image.

As in a shell: `*`, `?` and `[...]` stand for characters of one name, and for a
leading dot only where one is written; `**` alone stands for any number of
directories. A path that exists as it is written is that path, whatever
characters are in it, and so is one whose pattern is none.
"""

from __future__ import annotations

import errno
import fnmatch

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._inside import LiteralPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux._image_root import ImageRoot

__all__ = ["expand", "expand_one", "has_magic"]

_MAGIC = frozenset("*?[")


def has_magic(path: str) -> bool:
    """Whether a path has characters of patterns in it."""
    return not _MAGIC.isdisjoint(path)


def expand(image: ImageRoot, path: str) -> list[str]:
    """The paths of the image that `path` stands for, sorted; itself when it is no pattern.

    Raises FileNotFoundError when nothing matches.
    """
    if isinstance(path, LiteralPath) or not has_magic(path) or image.os.path.lexists(path):
        return [path]
    found = ["/"] if path.startswith("/") else [""]
    parts = [part for part in path.split("/") if part]
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        found = [name for directory in found for name in _step(image, directory, part, last=last)]
    if path.endswith("/"):
        found = [name + "/" for name in found if image.os.path.isdir(name)]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "nothing in the image matches this pattern", path)
    return sorted(set(found))


def expand_one(image: ImageRoot, path: str) -> str:
    """The one path that `path` stands for, where one is wanted.

    Raises OSError (EINVAL) when there are several, FileNotFoundError when there is none.
    """
    found = expand(image, path)
    if len(found) > 1:
        text = f"{len(found)} files in the image match this pattern, from {found[0]} on: name one"
        raise OSError(errno.EINVAL, text, path)
    return found[0]


def _step(image: ImageRoot, directory: str, part: str, *, last: bool) -> Iterable[str]:
    """What one component of the pattern makes of one directory."""
    if part == "**":
        return _below(image, directory, directories_only=not last)
    if not has_magic(part):
        path = directory + part if directory.endswith("/") or not directory else f"{directory}/{part}"
        return [path] if image.os.path.lexists(path) else []
    if not image.os.path.isdir(directory or "."):
        return []
    names = fnmatch.filter(image.os.listdir(directory or "."), part)
    prefix = directory if directory.endswith("/") or not directory else directory + "/"
    return [prefix + name for name in names if part.startswith(".") or not name.startswith(".")]


def _below(image: ImageRoot, directory: str, *, directories_only: bool) -> Iterable[str]:
    """The directory itself and everything below it that is not hidden."""
    yield directory
    if not image.os.path.isdir(directory or "."):
        return
    for entry in image.os.scantree(directory or "."):
        hidden = entry.name.startswith(".") or "/." in entry.name
        if not hidden and not (directories_only and not entry.is_dir(follow_symlinks=False)):
            yield entry.path
