"""`liblinux mkdir`: make directories in an image."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing, without_short_p
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._mode_option import Mode
from liblinux.commands._modes import host_umask
from liblinux.commands._problems import Problems
from liblinux.commands._target import Target, TargetType
from liblinux.commands._targets import by_image

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot
    from liblinux.commands._modes import ModeChange

__all__ = ["mkdir_command"]

_ALL = 0o777


@click.command("mkdir")
@click.argument("targets", metavar="TARGET...", type=TargetType(), nargs=-1, required=True)
@click.option("-p", "--parents", is_flag=True, help="Those above it too; one that is there is no error.")
@click.option("-m", "--mode", type=Mode(), metavar="MODE", help="As of chmod. [default: 777 without the umask]")
@without_short_p
@image_options
def mkdir_command(
    targets: tuple[Target, ...], parents: bool, mode: ModeChange | None, image_options: ImageOptions
) -> None:
    """Make directories in an image.

    \b
    Examples:
      liblinux mkdir disk.img:/srv
      liblinux mkdir -p -m 700 disk.img:/home/alice/.ssh
    """
    problems = Problems()
    for name, paths in by_image(targets):
        with Changing(image_options, name, problems) as image:
            for path in paths:
                with problems:
                    _make(image, path, mode, parents=parents)
    problems.finish()


def _make(image: ImageRoot, path: str, mode: ModeChange | None, *, parents: bool) -> None:
    usual = _ALL & ~host_umask()
    if parents:
        if image.os.path.isdir(path):
            return
        above = path.rstrip("/").rpartition("/")[0]
        if above:
            _make(image, above, None, parents=True)
    image.os.mkdir(path, usual)
    if mode is not None:
        # Not by mkdir(2): it takes no special bits, and adds those that are inherited.
        image.os.chmod(path, mode(image.os.stat(path).st_mode & ~_ALL | _ALL))
