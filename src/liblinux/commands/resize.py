"""`liblinux resize`: an image, its partition and its file system made larger or smaller together."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._output import print_json, print_line
from liblinux.commands._size_option import SizeChange

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["resize_command"]


@click.command("resize", context_settings={"ignore_unknown_options": True})
@click.argument("image", metavar="IMAGE", type=click.Path())
@click.argument("size", metavar="SIZE", type=SizeChange())
@click.option("--json", "as_json", is_flag=True, help="An object with the sizes before and after, in bytes.")
@image_options
def resize_command(image: str, size: Callable[[int], int | None], as_json: bool, image_options: ImageOptions) -> None:
    """Make a file system of an image larger or smaller, with its partition and the image file.

    SIZE is that of the partition, or of a bare file system: "4G", "+512M", "-1G", or
    "max" for all the room that there is. The image file grows and shrinks with its
    last partition.

    \b
    larger:   ext2/3/4, XFS, Btrfs, NILFS2, JFS by the kernel; F2FS, NTFS by their tools
    smaller:  Btrfs, NILFS2 by the kernel; ext2/3/4, NTFS by their tools, on a copy
    Where something fails, all sizes are as they were.

    \b
    Examples:
      liblinux resize disk.img 4G
      liblinux resize --partition 2 disk.img +512M
      liblinux resize btrfs.img -1G
    """
    from liblinux.upkeep._resize import Resized, resize  # noqa: PLC0415 - imports subprocess

    done = resize(image_options, image, size)
    if as_json:
        print_json({"image": image, **{name: getattr(done, name) for name in Resized.__match_args__}})
        return
    print_line(
        f"{image}: {done.type} {done.size_before:,} -> {done.size:,} bytes, "
        f"image file {done.image_size_before:,} -> {done.image_size:,} bytes"
    )
