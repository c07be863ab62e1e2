"""`liblinux tar`: a tree of an image as a tar archive."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import write_archive, writing_options

if TYPE_CHECKING:
    from typing import Any

__all__ = ["tar_command"]


@click.command("tar")
@writing_options
def tar_command(**arguments: Any) -> None:
    """Write a tree of an image as a tar archive.

    The archive is POSIX tar (PAX): owners as numbers, modes, times to the nanosecond,
    hard links, devices, holes, extended attributes and ACLs are kept. Names are
    those below TARGET, in order. The image is only read.

    \b
    Examples:
      liblinux tar disk.img:/ > root.tar
      liblinux tar disk.img:/var/log --exclude '*.gz' | ssh host tar x
      liblinux tar --file root.tar.zst disk.img:/
    """
    from liblinux.archives import tar  # noqa: PLC0415 - help and wrong usage do not need it

    write_archive(tar, **arguments)
