"""`liblinux mv`: rename and move inside of an image."""

from __future__ import annotations

import errno
import os
import posixpath

import click

from liblinux import _abi
from liblinux._os_base import encode
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing, one_image
from liblinux.commands._entries import join
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import expanded

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["mv_command"]

_RENAME_NOREPLACE = 1


@click.command("mv")
@click.argument("sources", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.argument("destination", metavar="DESTINATION", type=TargetType())
@click.option("-n", "--no-clobber", is_flag=True, help="Do not replace a file that is there: an error.")
@click.option("-T", "--no-target-directory", is_flag=True, help="DESTINATION is the new name, not a directory for it.")
@image_options
def mv_command(
    sources: tuple[Target, ...],
    destination: Target,
    no_clobber: bool,
    no_target_directory: bool,
    image_options: ImageOptions,
) -> None:
    """Rename a file of an image, or move files into a directory of it.

    \b
    Examples:
      liblinux mv disk.img:/etc/fstab disk.img:/etc/fstab.old
      liblinux mv 'disk.img:/var/log/*.1' disk.img:/var/old
    """
    advice = "copy with liblinux cp, and remove with liblinux rm what was copied"
    name = one_image((*sources, destination), advice)
    problems = Problems()
    with Changing(image_options, name, problems) as image:
        paths = expanded(image, [source.path for source in sources], problems)
        into = image.os.path.isdir(destination.path) and not no_target_directory
        if len(paths) > 1 and not into:
            raise NotADirectoryError(
                errno.ENOTDIR, "several files can only be moved into a directory", destination.path
            )
        for path in paths:
            base = posixpath.basename(path.rstrip("/"))
            target = join(destination.path, base) if into else destination.path
            with problems:
                _rename(image, path, target, replace=not no_clobber)
    problems.finish()


def _rename(image: ImageRoot, old: str, new: str, *, replace: bool) -> None:
    flags = 0 if replace else _RENAME_NOREPLACE
    result = image.os.call("renameat2", _abi.AT_FDCWD, encode(old), _abi.AT_FDCWD, encode(new), flags)
    if result >= 0:
        return
    text = os.strerror(-result)
    if result == -errno.EINVAL and posixpath.normpath(new).startswith(posixpath.normpath(old) + "/"):
        text = "a directory cannot be moved into itself"
    raise OSError(-result, text, old, None, new)
