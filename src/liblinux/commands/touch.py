"""`liblinux touch`: times of files of an image."""

from __future__ import annotations

import os
import time

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._modes import host_umask
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetOrText, TargetType, parse_target
from liblinux.commands._targets import by_image, expanded
from liblinux.commands._times import parse_time

if TYPE_CHECKING:
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["touch_command"]


@click.command("touch", context_settings={"help_option_names": ["--help"]})
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("-d", "--date", metavar="DATE", help="This time, as '2024-01-31 12:00:00.000000001' or @1706702400.")
@click.option(
    "-r",
    "--reference",
    type=TargetOrText(),
    metavar="FILE",
    help="Those of this file, a target or a file of the host.",
)
@click.option("-a", "access", is_flag=True, help="Only the time of access.")
@click.option("-m", "modification", is_flag=True, help="Only the time of modification.")
@click.option("-c", "--no-create", is_flag=True, help="Make no file that is not there.")
@click.option("-h", "--no-dereference", is_flag=True, help="Of links, the links themselves.")
@image_options
def touch_command(targets: tuple[Target, ...], image_options: ImageOptions, **options: Any) -> None:
    """Set the times of files of an image, to now or to what is given.

    A file that is not there is made, empty. How exact a time is kept is the file
    system's: nanoseconds of ext4, XFS and Btrfs, two seconds of FAT.

    \b
    Examples:
      liblinux touch disk.img:/etc/.updated
      liblinux touch -d 2024-01-31T12:00:00Z disk.img:/etc/fstab
      liblinux touch -r disk.img:/etc/passwd disk.img:/etc/shadow
    """
    times = _times(options, image_options)
    problems = Problems()
    for name, paths in by_image(targets):
        with Changing(image_options, name, problems) as image:
            for path in expanded(image, paths, problems):
                with problems:
                    _touch(image, path, times, options)
    problems.finish()


def _times(options: dict[str, Any], image_options: ImageOptions) -> tuple[int, int]:
    """Access and modification time, in nanoseconds since 1970."""
    if options["date"] and options["reference"]:
        raise click.UsageError("--date and --reference both say the time: give one of them")
    now = time.time_ns()
    if options["date"]:
        try:
            wanted = parse_time(options["date"], now=now)
        except ValueError as error:
            raise click.UsageError(f"--date: {error}") from error
        return wanted, wanted
    if options["reference"]:
        status = _reference(options["reference"], image_options, follow=not options["no_dereference"])
        return status.st_atime_ns, status.st_mtime_ns
    return now, now


def _reference(text: str, image_options: ImageOptions, *, follow: bool) -> os.stat_result:
    target = parse_target(text)
    if target is None:
        return os.stat(text, follow_symlinks=follow)
    with image_options.open(target.image) as image:
        return image.os.stat(target.path, follow_symlinks=follow)


def _touch(image: ImageRoot, path: str, times: tuple[int, int], options: dict[str, Any]) -> None:
    follow = not options["no_dereference"]
    if not (image.os.path.exists(path) if follow else image.os.path.lexists(path)):
        if options["no_create"] or not follow:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK
        image.os.close(image.os.open(path, flags, 0o666 & ~host_umask()))
    access, modification = times
    if options["access"] != options["modification"]:
        status = image.os.stat(path, follow_symlinks=follow)
        access = access if options["access"] else status.st_atime_ns
        modification = modification if options["modification"] else status.st_mtime_ns
    image.os.utime(path, ns=(access, modification), follow_symlinks=follow)
