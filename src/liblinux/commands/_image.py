"""The options that say how an image is opened, the same for all commands."""

from __future__ import annotations

import click

from liblinux._image_root import ImageRoot
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

__all__ = ["ImageOptions", "image_options"]


class ImageOptions(Value):
    """How to open an image; fields are named as the options are."""

    partition: str | None = None
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
        """Open the image; raises what :class:`ImageRoot` raises."""
        return ImageRoot(
            image,
            writable=writable,
            overlay=overlay,
            partition=_number(self.partition),
            type=self.fs_type,
            options=self.mount_options,
            sector_size=self.sector_size,
            untrusted=self.untrusted,
            version=self.kernel,
            memory=self.memory,
        )


def _number(partition: str | None) -> int | None:
    if partition is None:
        return None
    if not partition.isdecimal():
        raise click.UsageError(f"--partition {partition}: a number is wanted; 0 is the whole disk")
    return int(partition)


_OPTIONS = (
    click.option("--partition", "-p", metavar="N", help="Partition to use; 0 is the whole disk."),
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
