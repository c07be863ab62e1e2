"""`liblinux untar`: a tar archive into a directory of an image."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import read_archive, reading_options

if TYPE_CHECKING:
    from typing import Any

__all__ = ["untar_command"]


@click.command("untar")
@reading_options
def untar_command(**arguments: Any) -> None:
    """Unpack a tar archive into a directory of an image.

    The archive may be compressed with gzip, bzip2, xz or zstd. Owners are taken by
    number. All of it arrives, or nothing: it is unpacked into a new directory inside
    of TARGET and moved from there when it is whole. A damaged archive, one with
    absolute paths or "..", a full image, or Ctrl-C leave the image as it was.
    Files replace files of the same name; directories are merged.

    \b
    Examples:
      liblinux untar disk.img:/ < root.tar
      curl https://example.com/app-1.0.tar.xz | liblinux untar disk.img:/opt/app --strip-components 1
      liblinux untar --strict --file home.tar.zst disk.img:/home
    """
    from liblinux.archives import untar  # noqa: PLC0415 - help and wrong usage do not need it

    read_archive(untar, **arguments)
