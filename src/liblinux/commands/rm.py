"""`liblinux rm`: remove files and trees of an image."""

from __future__ import annotations

import errno
import os
import posixpath

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing
from liblinux.commands._entries import below, entry_at
from liblinux.commands._glob import expand
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["rm_command"]


@click.command("rm")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("-r", "-R", "--recursive", is_flag=True, help="Directories too, with all that is in them.")
@click.option("-d", "--dir", "directories", is_flag=True, help="Empty directories too.")
@click.option("-f", "--force", is_flag=True, help="What is not there is no error.")
@image_options
def rm_command(
    targets: tuple[Target, ...], recursive: bool, directories: bool, force: bool, image_options: ImageOptions
) -> None:
    """Remove files of an image.

    Links are removed, not what they lead to. The root directory is never removed.

    \b
    Examples:
      liblinux rm 'disk.img:/var/log/*.gz'
      liblinux rm -rf disk.img:/var/cache/apt
    """
    problems = Problems()
    for name, paths in by_image(targets):
        with Changing(image_options, name, problems) as image:
            for path in paths:
                with problems:
                    for found in _expand(image, path, force=force):
                        with problems:
                            _remove(image, found, problems, recursive=recursive, directories=directories)
    problems.finish()


def _expand(image: ImageRoot, path: str, *, force: bool) -> list[str]:
    try:
        found = expand(image, path)
    except FileNotFoundError:
        if force:
            return []
        raise
    return [name for name in found if not force or image.os.path.lexists(name)]


def _remove(image: ImageRoot, path: str, problems: Problems, *, recursive: bool, directories: bool) -> None:
    if posixpath.normpath(posixpath.join("/", path)) in ("/", "//"):
        raise OSError(errno.EPERM, "this is the root directory of the image; name what is in it", path)
    entry = entry_at(image, path)
    if not entry.is_directory:
        image.os.unlink(path)
    elif recursive:
        _remove_tree(image, path, problems)
    elif directories:
        image.os.rmdir(path)
    else:
        raise OSError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}: add -r to remove it with all that is in it", path)


def _remove_tree(image: ImageRoot, top: str, problems: Problems) -> None:
    before = problems.count
    # Every directory comes before its content, so backwards it comes after it.
    for entry in reversed(list(below(image, top, problems.note))):
        with problems:
            if entry.is_directory:
                image.os.rmdir(entry.path)
            else:
                image.os.unlink(entry.path)
    if problems.count == before:
        image.os.rmdir(top)
