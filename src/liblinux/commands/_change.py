"""Changing an image: opening it for that, and errors that say what is the matter with it.

A changed image is left clean: the kernel unmounts it in order, also after an
error and after Ctrl-C.
"""

from __future__ import annotations

import errno
import os

import click

from liblinux._errors import MountError
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._output import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._image import ImageOptions
    from liblinux.commands._problems import Problems
    from liblinux.commands._target import Target

__all__ = ["Changing", "explain", "no_space", "one_image", "without_short_p"]

# File systems that have no owners and modes of their own.
_OWNERLESS = ("vfat", "msdos", "exfat", "hfs", "iso9660")


class Changing:
    """An image opened for writing, for the time of a `with` block; its errors are explained."""

    def __init__(
        self, options: ImageOptions, name: str, problems: Problems | None = None, *, overlay: bool | None = None
    ) -> None:
        self._options = options
        self._name = name
        self._problems = problems
        self._overlay = overlay

    def __enter__(self) -> ImageRoot:
        try:
            image = self._image = self._options.open(self._name, writable=True, overlay=self._overlay)
        except OSError as error:
            if _says_read_only(error):
                raise _read_only(self._name, error) from None
            raise
        image.os.umask(0)  # modes are those that are asked for: the umask of this process is reckoned in by who asks
        if self._problems is not None:
            self._problems.explain = lambda error: explain(image, error)
        return image

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._problems is not None:
            self._problems.explain = None
        try:
            if isinstance(value, OSError):
                explain(self._image, value)
        finally:
            self._image.close()


def _says_read_only(error: OSError) -> bool:
    """Whether the file system is one that cannot be written, and not the file of the image."""
    if isinstance(error, MountError):
        return error.errno in (errno.EROFS, errno.EACCES)
    return error.errno == errno.EROFS and str(error.strerror).endswith("file system can only be read")


def _read_only(name: str, error: OSError) -> OSError:
    types = f" ({error.types[0]})" if isinstance(error, MountError) and error.types else ""
    text = (
        f"this file system{types} can only be read; copy what is in it to one that can be written "
        f"(liblinux tar {name}:/ > tree.tar) and change it there"
    )
    return OSError(errno.EROFS, text, name)


def explain(image: ImageRoot, error: OSError) -> None:
    """Put into the message of an error what the image has to do with it; not into one that says more already."""
    if error.errno is None or error.strerror != os.strerror(error.errno) or isinstance(error, MountError):
        return
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and image.kernel.dead is None:
        error.strerror = f"{os.strerror(error.errno)}: {_free(image)}"
    elif error.errno == errno.EPERM and image.mount.type in _OWNERLESS:
        error.strerror = f"{os.strerror(errno.EPERM)}: {image.mount.type} cannot store this"
    elif error.errno == errno.EXDEV:
        error.strerror = f"{os.strerror(errno.EXDEV)}: it is on another file system or subvolume; use liblinux cp"
    elif error.errno == errno.EROFS:
        error.strerror = (
            f"{os.strerror(errno.EROFS)}: Linux has made it so after an error that it found in it; "
            "check the file system"
        )


def no_space(image: ImageRoot, path: str, needed: int) -> OSError:
    """The error for a file of `needed` bytes that does not fit, with how much is missing."""
    free = image.os.statvfs("/")
    missing = max(needed - free.f_bavail * free.f_frsize, 0)
    text = f"{os.strerror(errno.ENOSPC)}: {human_size(needed)} are needed, {human_size(missing)} are missing"
    return OSError(errno.ENOSPC, f"{text}; {_free(image)}", path)


def _free(image: ImageRoot) -> str:
    found = image.os.statvfs("/")
    size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    text = f"{human_size(free)} of {human_size(size)} are free"
    return f"{text}, and {found.f_favail} of {found.f_files} inodes" if found.f_files else text


def one_image(targets: Sequence[Target], advice: str) -> str:
    """The name of the one image that all targets are in; wrong usage, with advice, when there are several."""
    first, *others = (target.image for target in targets)
    for other in others:
        if other != first and not (os.path.exists(first) and os.path.exists(other) and os.path.samefile(first, other)):
            raise click.UsageError(f"{first} and {other} are two images: {advice}")
    return first


def without_short_p(command: Callable[..., Any]) -> Callable[..., Any]:
    """Takes `-p` from --partition, for a command that has it for something else."""
    for option in command.__click_params__:  # type: ignore[attr-defined]  # click's own
        if option.name == "partition":
            option.opts.remove("-p")
    return command
