"""`liblinux trim`: give the room that a file system does not use back to the host."""

from __future__ import annotations

import errno
import os

import click

from liblinux._errors import LiblinuxError
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._output import human_size, print_json, print_line

__all__ = ["trim_command"]

_BLOCK_BYTES = 512  # of st_blocks
_EVERYTHING = (1 << 64) - 1


@click.command("trim")
@click.argument("image", metavar="IMAGE", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="An object with all numbers, in bytes.")
@image_options
def trim_command(image: str, as_json: bool, image_options: ImageOptions) -> None:
    """Make holes in an image file where its file system has nothing.

    The size of the file stays, the room that it takes on the host's disk gets less.

    \b
    Examples:
      liblinux trim disk.img
      liblinux trim --partition 2 --json disk.img
    """
    from liblinux.upkeep import _ioctl as ioctl  # noqa: PLC0415

    before = os.stat(image).st_blocks * _BLOCK_BYTES
    with image_options.open(image, writable=True) as opened:
        descriptor = opened.os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            everything = ioctl.FSTRIM_RANGE.pack(0, _EVERYTHING, 0)
            _, trimmed, _ = ioctl.FSTRIM_RANGE.unpack(ioctl.call(opened.os, descriptor, ioctl.FITRIM, everything))
        except OSError as error:
            if error.errno in {errno.ENOTTY, errno.EOPNOTSUPP}:
                reason = f"{opened.mount.type} does not tell what it does not use"
                raise LiblinuxError(f"{image}: {reason}; copy its files into a new image instead") from error
            raise
        finally:
            opened.os.close(descriptor)
    after = os.stat(image).st_blocks * _BLOCK_BYTES
    if as_json:
        print_json({"image": image, "trimmed": trimmed, "allocated_before": before, "allocated": after})
        return
    print_line(
        f"{image}: {human_size(trimmed)} are free, the image file takes {human_size(after)} instead of "
        f"{human_size(before)}: {human_size(max(before - after, 0))} less"
    )
