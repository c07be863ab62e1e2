"""`liblinux cpio`: a tree of an image as a cpio archive."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import write_archive, writing_options

if TYPE_CHECKING:
    from typing import Any

__all__ = ["cpio_command"]


@click.command("cpio")
@writing_options
def cpio_command(**arguments: Any) -> None:
    """Write a tree of an image as a cpio archive, such as an initramfs.

    The format is newc, what Linux unpacks at boot. It has owners, modes, devices,
    links, and times in seconds; attributes and ACLs are left out with a warning, holes
    are filled, and files have less than 4 GiB. The same tree gives the same bytes.

    \b
    Examples:
      liblinux cpio disk.img:/ > root.cpio
      liblinux cpio --zstd --file initramfs.img disk.img:/
      liblinux cpio -J disk.img:/srv/initramfs --exclude '*.pyc' > initrd.xz
    """
    from liblinux.archives import cpio  # noqa: PLC0415 - help and wrong usage do not need it

    write_archive(cpio, **arguments)
