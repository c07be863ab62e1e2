"""`liblinux shell`: commands inside of an image's kernel, from a terminal, a script or the command line."""

from __future__ import annotations

import contextlib
import sys

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import ImageOrTarget, Target

if TYPE_CHECKING:
    from liblinux.shell._session import Session

__all__ = ["shell_command"]


@click.command("shell")
@click.argument("target", metavar="TARGET", type=ImageOrTarget())
@click.option("--rw", "writable", is_flag=True, help="Write to the image. [default: it is not touched]")
@click.option("-c", "commands", multiple=True, metavar="COMMANDS", help="Run these. Can be repeated.")
@click.option("-e", "stop", is_flag=True, help="Of -c and of scripts, run no more after a command that failed.")
@image_options
def shell_command(
    target: Target, writable: bool, commands: tuple[str, ...], stop: bool, image_options: ImageOptions
) -> None:
    """Run commands in an image: cd, ls, cat, cp, grep, edit, ...; `help` lists them.

    Paths are those of the image, "host:PATH" is one of the host. Pipes, redirections,
    patterns, quotes, ";", "&&" and "||" are as in other shells. Lines typed are kept
    in ~/.local/state/liblinux/shell-history.

    \b
    Ends as the last command did: 0 done, 1 failed, 2 wrong usage, 127 no such command.

    \b
    Examples:
      liblinux shell disk.img
      liblinux shell --rw disk.img:/etc -c 'echo penguin > hostname; cat hostname'
      liblinux shell -e disk.img < script
      liblinux shell disk.img -c 'grep -r root /etc | head -n 3 > host:found.txt'
    """
    # Late: a shell is more than one command.
    from liblinux.commands._inside import Inside  # noqa: PLC0415
    from liblinux.shell._session import Leave, Session  # noqa: PLC0415

    with image_options.open(target.image, writable=writable) as image:
        session = Session(Inside(target.image, image))
        if target.path != "/":
            image.os.chdir(target.path)
            session.inside.directory = image.os.getcwd()
        with contextlib.suppress(Leave):
            _run(session, commands, stop)
        dead = image.kernel.dead is not None
    if session.status or dead:
        raise click.exceptions.Exit(session.status or 1)


def _run(session: Session, commands: tuple[str, ...], stop: bool) -> None:
    if commands:
        session.run("\n".join(commands), stop=stop)
    elif not sys.stdin.isatty():
        session.run(sys.stdin.read(), stop=stop)
    else:
        from liblinux.shell._prompt import converse  # noqa: PLC0415 - prompt_toolkit takes long to import

        converse(session)
