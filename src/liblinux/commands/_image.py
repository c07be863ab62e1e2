"""The options that say how an image is opened, the same for all commands."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

import click

from liblinux._errors import LiblinuxError, MountError
from liblinux._image_format import FORMATS
from liblinux._image_root import ImageRoot
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.commands import _inside
from liblinux.commands._asking import passphrase_from, unpacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Self

    from liblinux._image_disks import Opening, Progress

__all__ = ["ImageOptions", "image_options", "refusing"]


@contextmanager
def refusing(image: str) -> Iterator[None]:
    """OSError with the image's name instead of ValueError, while an image is opened.

    That is for a size that no disk has, or an option that is no argument of Kernel(): the message says which.
    """
    try:
        yield
    except ValueError as error:
        if isinstance(error, LiblinuxError):
            raise
        said = str(error).removeprefix(f"{image} is ").replace(f"the size of {image}, ", "its size, ")
        raise OSError(errno.EINVAL, said, image) from None


class ImageOptions(Value):
    """How to open an image; fields are named as the options are."""

    partition: str | None = None
    volume: str | None = None
    passphrase_file: str | None = None
    members: tuple[str, ...] = ()
    image_format: str | None = None
    backing: tuple[str, ...] = ()
    fs_type: str | None = None
    mount_options: str = ""
    sector_size: int = 512
    untrusted: bool = False
    kernel: str | None = None
    memory: str = "64M"

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Those of a command's parameters."""
        return cls(**{name: parameters[name] for name in cls.__match_args__ if parameters.get(name) is not None})

    def open(self, image: str, *, writable: bool = False, overlay: bool | None = None) -> ImageRoot:
        """Open the image; raises what :class:`ImageRoot` raises, OSError instead of ValueError."""
        if _inside.current is not None and image == _inside.current.name:
            return _inside.current.borrow(writable=writable)
        try:
            with refusing(image), unpacking(image) as progress:
                return ImageRoot(image, writable=writable, **self.arguments(overlay, progress))
        except MountError as error:
            error.filename = image  # "/dev/lda" is the kernel's name for it, and nobody else's
            error.advice = error.advice.replace("partition= ", "--partition ").replace("partition=", "--partition ")
            raise
        except FileNotFoundError as error:
            file, colon, path = image.rpartition(":")
            if colon and os.path.isfile(file):
                error.strerror = f"{os.strerror(errno.ENOENT)}; a path in an image begins with a slash: {file}:/{path}"
            raise

    def arguments(self, overlay: bool | None = None, progress: Progress | None = None) -> dict[str, Any]:
        """The options as arguments of :class:`ImageRoot`, as far as they say anything."""
        given = {
            "partition": self.partition,
            "volume": self.volume,
            "type": self.fs_type,
            "options": self.mount_options,
            **self.opening(overlay, progress),
        }
        return {name: value for name, value in given.items() if value is not None}

    def opening(self, overlay: bool | None = None, progress: Progress | None = None) -> Opening:
        """How to come to the disks of the image."""
        return {
            "overlay": overlay,
            "progress": progress,
            "format": self.image_format,
            "backing": self.backing,
            "members": self.members,
            "passphrase": passphrase_from(self.passphrase_file),
            "sector_size": self.sector_size,
            "untrusted": self.untrusted,
            "version": self.kernel,
            "memory": self.memory,
        }


_OPTIONS = (
    click.option("--partition", "-p", metavar="N|NAME", help="Partition: number, label or UUID; 0 is the whole disk."),
    click.option("--volume", metavar="VG/LV", help="LVM volume, md array, or label or UUID of what is on one."),
    click.option(
        "--passphrase-file",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        metavar="FILE",
        help="Its content opens LUKS volumes, - is standard input. [default: asked for on a terminal]",
    ),
    click.option(
        "--with", "members", multiple=True, metavar="IMAGE", help="Another disk of its volumes. Can be repeated."
    ),
    click.option(
        "--format", "image_format", type=click.Choice(FORMATS), help="Of the image file. [default: told by its content]"
    ),
    click.option(
        "--backing", multiple=True, metavar="DIR", help="Where else files may be that a qcow2 or VMDK is made of."
    ),
    click.option("--fs-type", metavar="TYPE", help="Type of the file system. [default: told by its content]"),
    click.option("--mount-options", default="", metavar="OPTIONS", help="As of mount(8), 'noatime,compress=zstd'."),
    click.option("--sector-size", type=int, default=512, show_default=True, metavar="BYTES", help="Of the disk."),
    click.option("--untrusted", is_flag=True, help="Read the image in an isolated process without rights."),
    click.option("--kernel", metavar="X.Y", help="Kernel series. [default: the newest that is built]"),
    click.option("--memory", default="64M", show_default=True, metavar="SIZE", help="Of that kernel."),
)


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as one argument `image_options`, an ImageOptions."""

    def collect(**parameters: Any) -> Any:
        options = ImageOptions.of(parameters)
        rest = {name: value for name, value in parameters.items() if name not in ImageOptions.__match_args__}
        return command(**rest, image_options=options)

    collect.__doc__ = command.__doc__
    collect.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # click's own
    for option in reversed(_OPTIONS):
        collect = option(collect)
    return collect
