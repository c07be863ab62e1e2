"""`liblinux chmod`: modes of files of an image."""

from __future__ import annotations

import stat

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing
from liblinux.commands._entries import below, entry_at
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._mode_option import Mode
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image, expanded

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot
    from liblinux.commands._entries import Entry
    from liblinux.commands._modes import ModeChange

__all__ = ["chmod_command"]


# What click does not know is a mode, as "-w"; one that is none is told of.
@click.command("chmod", context_settings={"ignore_unknown_options": True})
@click.argument("mode", metavar="MODE", type=Mode())
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("-R", "--recursive", is_flag=True, help="Whole trees; links in them are left alone.")
@image_options
def chmod_command(mode: ModeChange, targets: tuple[Target, ...], recursive: bool, image_options: ImageOptions) -> None:
    """Change modes of files of an image; MODE is octal or symbolic.

    An octal MODE is what the mode is afterwards, setuid, setgid and sticky bits too
    (chmod of GNU would keep some of them on directories). A link that is named is
    followed. What has the mode already is not touched.

    \b
    Examples:
      liblinux chmod 4755 disk.img:/usr/bin/sudo
      liblinux chmod -R u=rwX,go=rX disk.img:/srv
    """
    problems = Problems()
    for name, paths in by_image(targets):
        with Changing(image_options, name, problems) as image:
            for path in expanded(image, paths, problems):
                with problems:
                    _change(image, path, mode, problems, recursive=recursive)
    problems.finish()


def _change(image: ImageRoot, path: str, mode: ModeChange, problems: Problems, *, recursive: bool) -> None:
    top = entry_at(image, path, follow=True)
    if recursive and top.is_directory:
        for entry in below(image, path, problems.note):
            if not entry.is_link:
                with problems:
                    _apply(image, entry, mode)
    _apply(image, top, mode)


def _apply(image: ImageRoot, entry: Entry, mode: ModeChange) -> None:
    wanted = mode(entry.status.st_mode)
    if wanted != stat.S_IMODE(entry.status.st_mode):
        image.os.chmod(entry.path, wanted)
