"""`liblinux cat`: contents of files of an image, to standard output."""

from __future__ import annotations

import os
import sys
from itertools import groupby

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import Target, TargetType

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["cat_command"]

_CHUNK_BYTES = 1 << 20


@click.command("cat")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@image_options
def cat_command(targets: tuple[Target, ...], image_options: ImageOptions) -> None:
    """Print the contents of files of an image.

    \b
    Examples:
      liblinux cat disk.img:/etc/hostname
      liblinux cat --partition 2 disk.img:/var/log/syslog | less
    """
    sys.stdout.flush()
    for name, wanted in groupby(targets, key=lambda target: target.image):
        with image_options.open(name) as image:
            for target in wanted:
                _copy(image, target.path)


def _copy(image: ImageRoot, path: str) -> None:
    descriptor = image.os.open(path, os.O_RDONLY)
    try:
        while data := image.os.read(descriptor, _CHUNK_BYTES):
            sys.stdout.buffer.write(data)
    finally:
        image.os.close(descriptor)
    sys.stdout.buffer.flush()
