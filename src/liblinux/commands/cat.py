"""`liblinux cat`: contents of files of an image, to standard output."""

from __future__ import annotations

import os
import sys

import click

from liblinux._os_base import blame
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image, expanded

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
      liblinux cat 'disk.img:/etc/*-release'
      liblinux cat --partition 2 disk.img:/var/log/syslog | less
    """
    sys.stdout.flush()
    problems = Problems()
    for name, paths in by_image(targets):
        with image_options.open(name) as image:
            for path in expanded(image, paths, problems):
                with problems:
                    _copy(image, path)
    problems.finish()


def _copy(image: ImageRoot, path: str) -> None:
    # Without waiting: a pipe in an image has no writer, and is empty then.
    descriptor = image.os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while data := _read(image, descriptor, path):
            sys.stdout.buffer.write(data)
    finally:
        image.os.close(descriptor)
    sys.stdout.buffer.flush()


def _read(image: ImageRoot, descriptor: int, path: str) -> bytes:
    try:
        return image.os.read(descriptor, _CHUNK_BYTES)
    except OSError as error:
        blame(error, path)
