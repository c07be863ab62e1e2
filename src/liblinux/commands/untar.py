"""`liblinux untar`: a tar archive into a directory of an image."""

from __future__ import annotations

import click

from liblinux.commands._archive import input_stream, progress_bar, warn_of
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import ImageOrTarget, Target

__all__ = ["untar_command"]


@click.command("untar")
@click.argument("target", type=ImageOrTarget())
@click.option("--file", "-f", metavar="FILE", help="Read that instead of standard input.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Leave out, as of GNU tar. Can be repeated.")
@click.option(
    "--strip-components", type=click.IntRange(min=0), default=0, metavar="N", help="Take N directories off the names."
)
@click.option("--strict", is_flag=True, help="Fail when something cannot be kept, instead of warning of it.")
@image_options
def untar_command(
    target: Target,
    file: str | None,
    exclude: tuple[str, ...],
    strip_components: int,
    strict: bool,
    image_options: ImageOptions,
) -> None:
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
    from liblinux.archives._pack import untar  # noqa: PLC0415 - wrong usage is told without it

    with (
        input_stream(file) as stream,
        image_options.open(target.image, writable=True) as image,
        progress_bar("unpacking") as progress,
    ):
        losses = untar(
            image.os,
            target.path,
            stream,
            exclude=exclude,
            strip_components=strip_components,
            strict=strict,
            progress=progress,
        )
    warn_of(losses)
