"""`liblinux chown`: owners of files of an image."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing
from liblinux.commands._entries import below, entry_at
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._owners import NO_ID, Owners
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["chown_command"]


# "-h" is --no-dereference, as of chown(1).
@click.command("chown", context_settings={"help_option_names": ["--help"]})
@click.argument("owner", metavar="OWNER[:GROUP]")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("-R", "--recursive", is_flag=True, help="Whole trees; of links in them, the links themselves.")
@click.option("-h", "--no-dereference", is_flag=True, help="Of links that are named, the links themselves.")
@image_options
def chown_command(
    owner: str, targets: tuple[Target, ...], recursive: bool, no_dereference: bool, image_options: ImageOptions
) -> None:
    """Change owner and group of files of an image.

    Names are those of the image's own /etc/passwd and /etc/group; numbers go up to
    4294967294. "OWNER:" is the owner and the group that he logs in with, ":GROUP"
    the group alone. As everywhere on Linux, a file loses setuid and setgid.

    \b
    Examples:
      liblinux chown alice disk.img:/home/alice/notes
      liblinux chown -R www-data: disk.img:/var/www
      liblinux chown 100000:100000 disk.img:/srv
    """
    problems = Problems()
    for name, paths in by_image(targets):
        with Changing(image_options, name, problems) as image:
            ids = _parse(owner, Owners(image))
            for path in expanded(image, paths, problems):
                with problems:
                    _change(image, path, ids, problems, recursive=recursive, follow=not (no_dereference or recursive))
    problems.finish()


def _parse(text: str, owners: Owners) -> tuple[int, int]:
    user, colon, group = text.partition(":")
    if not user and not group:
        raise click.UsageError(f"{text!r} names neither owner nor group")
    try:
        uid = owners.uid(user) if user else NO_ID
        if group:
            return uid, owners.gid(group)
        return uid, owners.login_gid(user) if colon else NO_ID
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _change(
    image: ImageRoot, path: str, ids: tuple[int, int], problems: Problems, *, recursive: bool, follow: bool
) -> None:
    top = entry_at(image, path, follow=follow)
    if recursive and top.is_directory:
        for entry in below(image, path, problems.note):
            with problems:
                image.os.lchown(entry.path, *ids)
    image.os.chown(path, *ids, follow_symlinks=follow)
