"""`liblinux ln`: hard and symbolic links in an image."""

from __future__ import annotations

import os
import posixpath

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands import _inside
from liblinux.commands._change import Changing, one_image
from liblinux.commands._entries import join
from liblinux.commands._glob import expand_one
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import Target, TargetOrText, TargetType, parse_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._image_root import ImageRoot

__all__ = ["ln_command"]


@click.command("ln")
@click.argument("source", metavar="SOURCE", type=TargetOrText())
@click.argument("destination", metavar="DESTINATION", type=TargetType())
@click.option("-s", "--symbolic", is_flag=True, help="A symbolic link, which says SOURCE as it is written.")
@click.option("-f", "--force", is_flag=True, help="Replace a file that is there, in one step.")
@click.option("-T", "--no-target-directory", is_flag=True, help="DESTINATION is the name, not a directory for it.")
@image_options
def ln_command(
    source: str,
    destination: Target,
    symbolic: bool,
    force: bool,
    no_target_directory: bool,
    image_options: ImageOptions,
) -> None:
    """Make a link in an image: DESTINATION, or SOURCE's name in that directory.

    A hard link is a second name of the file SOURCE, a target. A symbolic link says
    SOURCE, which may be any text; of a target of this image it says the path.

    \b
    Examples:
      liblinux ln disk.img:/etc/passwd disk.img:/etc/passwd.bak
      liblinux ln -s ../usr/lib/os-release disk.img:/etc/os-release
      liblinux ln -sf /run disk.img:/var/run
    """
    # In a shell every text is a path in the image, and with -s it is meant as it is written.
    from_ = None if symbolic and _inside.current is not None else parse_target(source)
    if from_ is None and not symbolic:
        raise click.UsageError(f"{source!r} names no file of an image; a symbolic link to any path is made with -s")
    name = destination.image
    if from_ is not None:
        name = one_image((from_, destination), "a link leads to a place in its own image; copy with liblinux cp")
    said = source if from_ is None else from_.path
    with Changing(image_options, name) as image:
        if from_ is not None and not symbolic:
            said = expand_one(image, said)
        path = destination.path
        if image.os.path.isdir(path) and not no_target_directory:
            path = join(path, posixpath.basename(said.rstrip("/")))
        make = image.os.symlink if symbolic else image.os.link
        if force:
            _replace(image, make, said, path)
        else:
            make(said, path)


def _replace(image: ImageRoot, make: Callable[[str, str], None], said: str, path: str) -> None:
    """Under another name first: at no time is there no file at `path`."""
    temporary = f"{path}.liblinux-{os.getpid()}"
    make(said, temporary)
    try:
        image.os.rename(temporary, path)
    finally:
        # Renaming one name of a file to another of the same file does nothing, and leaves both.
        if image.os.path.lexists(temporary):
            image.os.unlink(temporary)
