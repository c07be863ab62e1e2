"""`liblinux tar`: a tree of an image as a tar archive."""

from __future__ import annotations

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._archive import compression_options, output_stream, progress_bar, warn_of
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import ImageOrTarget, Target

if TYPE_CHECKING:
    from liblinux.archives._pack import Compression

__all__ = ["tar_command"]


@click.command("tar")
@click.argument("target", type=ImageOrTarget())
@click.option("--file", "-f", metavar="FILE", help="Write there instead of to standard output.")
@compression_options
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Leave out, as of GNU tar. Can be repeated.")
@click.option("--strict", is_flag=True, help="Fail when something cannot be kept, instead of warning of it.")
@image_options
def tar_command(
    target: Target,
    file: str | None,
    compression: Compression | None,
    exclude: tuple[str, ...],
    strict: bool,
    image_options: ImageOptions,
) -> None:
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
    from liblinux.archives._pack import tar  # noqa: PLC0415 - wrong usage is told without it
    from liblinux.archives._streams import compression_of_name  # noqa: PLC0415

    if compression is None and file is not None:
        compression = compression_of_name(file)  # type: ignore[assignment]  # one of the same names
    with (
        output_stream(file) as stream,
        image_options.open(target.image) as image,
        progress_bar("writing") as progress,
    ):
        losses = tar(
            image.os,
            target.path,
            stream,
            compression=compression,
            exclude=exclude,
            strict=strict,
            progress=progress,
        )
    warn_of(losses)
