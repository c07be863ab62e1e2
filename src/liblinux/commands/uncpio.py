"""`liblinux uncpio`: a cpio archive into a directory of an image."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import read_archive, reading_options

if TYPE_CHECKING:
    from typing import Any

__all__ = ["uncpio_command"]


@click.command("uncpio")
@reading_options
def uncpio_command(**arguments: Any) -> None:
    """Unpack a cpio archive, such as an initramfs, into a directory of an image.

    Formats newc and crc, also compressed with gzip, bzip2, xz or zstd, also several
    one after the other, as where microcode comes before the initramfs. All of it
    arrives, or nothing, as with untar.

    \b
    Examples:
      liblinux uncpio --file /boot/initrd.img disk.img:/
      liblinux uncpio disk.img:/srv/initramfs < initramfs.cpio
    """
    from liblinux.archives import uncpio  # noqa: PLC0415 - help and wrong usage do not need it

    read_archive(uncpio, **arguments)
