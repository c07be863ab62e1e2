"""`liblinux extract`: everything out of an image that need not be trusted."""

from __future__ import annotations

import re

import click

from liblinux._typing import Any
from liblinux.commands._image import ImageOptions, image_options, refusing
from liblinux.commands._output import print_json
from liblinux.commands._target import ImageOrTarget, Target
from liblinux.commands._transfer import show_progress, tell, tell_report
from liblinux.copying import CopyFailed, CopyProgress
from liblinux.copying._extract import RIGHTS, ExtractLimits, extract

__all__ = ["extract_command"]

_FAILED = 1
_UNITS = "KMGT"
_SIZE = re.compile(r"(\d+)([KMGT]?)", re.IGNORECASE)


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """Bytes, with K, M, G or T behind the number for powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no size; write it as 500M or 64G", param, ctx)
        return int(found[1]) << 10 * (_UNITS.find(found[2].upper()) + 1 if found[2] else 0)


_LIMITS = ExtractLimits()


@click.command("extract")
@click.argument("image", metavar="IMAGE[:/PATH]", type=ImageOrTarget())
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--allow", multiple=True, type=click.Choice(sorted(RIGHTS)), help="Set this, too. Can be repeated.")
@click.option("--links", type=click.Choice(["keep", "skip"]), default="keep", show_default=True,
              help="Symbolic links that lead out of DIR.")  # fmt: skip
@click.option("--max-size", type=_Size(), default=f"{_LIMITS.bytes >> 30}G", show_default=True, help="Of all files.")
@click.option("--max-files", type=int, default=_LIMITS.files, show_default=True, help="Entries of any kind.")
@click.option("--max-depth", type=int, default=_LIMITS.depth, show_default=True, help="Directories in each other.")
@click.option("--max-time", type=int, default=_LIMITS.seconds, show_default=True, metavar="SECONDS", help="For all.")
@click.option("--manifest", metavar="FILE", help="What DIR does not have. [default: DIR.manifest.jsonl]")
@click.option("--keep-partial", is_flag=True, help="Leave what there is in DIR.partial when it fails.")
@click.option("--trusted", is_flag=True, help="Read the image in this process: a little faster.")
@click.option("--json", "as_json", is_flag=True, help="Print what came out as JSON.")
@image_options
def extract_command(
    image: Target,
    directory: str,
    image_options: ImageOptions,
    *,
    allow: tuple[str, ...],
    links: Any,
    max_size: int,
    max_files: int,
    max_depth: int,
    max_time: int,
    manifest: str | None,
    keep_partial: bool,
    trusted: bool,
    as_json: bool,
) -> None:
    """Extract an image that need not be trusted into a new directory DIR.

    The image is read in an isolated process, no path leads out of DIR, and sizes,
    numbers, depth and time are limited (0: no limit). Owners, setuid bits, devices
    and extended attributes are not set unless allowed; what DIR does not have is
    listed in the manifest, a JSON object on each line.

    \b
    Ends with 0 when everything was extracted, 1 when it was not or some entries
    could not be read (the others are in DIR), 130 when interrupted.

    \b
    Examples:
      liblinux extract firmware.squashfs unpacked
      liblinux extract disk.img:/home home --partition 2 --max-size 2G
      sudo liblinux extract rootfs.img rootfs --allow owners --allow setuid --allow devices
    """
    progress = CopyProgress()
    chosen = image_options.arguments()
    chosen.pop("untrusted")
    try:
        with refusing(image.image), show_progress(progress, "extracting"):
            found = extract(
                image.image,
                directory,
                path=image.path,
                rights=allow,
                links=links,
                limits=ExtractLimits(max_size, max_files, max_depth, max_time),
                manifest=manifest,
                keep_partial=keep_partial,
                untrusted=not trusted,
                progress=progress,
                **chosen,
            )
    except CopyFailed as failed:
        tell_report(failed.report)
        raise SystemExit(_FAILED) from None
    where = manifest or f"{directory.rstrip('/')}.manifest.jsonl"
    if as_json:
        print_json({"entries": found.entries, "bytes": found.bytes, "noted": found.noted, "manifest": where})
    elif found.noted:
        tell(f"{found.entries:,} entries; {found.noted:,} notes of what is not in {directory} are in {where}")
