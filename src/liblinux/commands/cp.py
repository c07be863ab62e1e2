"""`liblinux cp`: files and trees into images, out of them, and between them."""

from __future__ import annotations

import errno
import os
import stat as stat_modes
from contextlib import ExitStack

import click

from liblinux._typing import TYPE_CHECKING, Any, Value
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._target import TargetType, parse_target
from liblinux.commands._transfer import Losses, own_mode_mask, show_progress, tell, tell_report
from liblinux.copying import PRESERVE_ALL, CopyFailed, CopyProgress, copy_tree
from liblinux.copying._foresee import folds_case
from liblinux.copying._place import Place

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["cp_command"]

_FAILED = 1


class _Named(Value):
    """A path and where it is: an os, and the image's name or None."""

    system: Any
    path: str
    image: str | None

    def __str__(self) -> str:
        return self.path if self.image is None else f"{self.image}:{self.path}"


class _PathOrTarget(TargetType):
    """An argument that may be either; completed as both are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


@click.command("cp")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=_PathOrTarget())
@click.argument("dest", metavar="DEST", type=_PathOrTarget())
@click.option("--recursive", "-r", "-R", "-a", is_flag=True, help="Copy directories with all that is in them.")
@click.option("--preserve/--no-preserve", default=True, help="Keep everything, as is the default, or contents only.")
@click.option("--sparse", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Holes: as in the source, also for zeros, none.")  # fmt: skip
@click.option("--fsync", is_flag=True, help="Have each file on the disk before it has its name.")
@click.option("--strict", is_flag=True, help="Fail when the target cannot hold all that belongs to a file.")
@click.option("--no-clobber", "-n", is_flag=True, help="Leave files that are there as they are.")
@click.option("--force", "-f", is_flag=True, help="Replace files that are there, as is the default.")
@click.option("--one-file-system", "-x", is_flag=True, help="Leave out other file systems that are mounted below.")
@click.option("--to-partition", metavar="N", help="Of the image of DEST, when the source is in an image too.")
@click.option("--to-volume", metavar="VG/LV", help="The same for an LVM volume or md array.")
@click.option("--to-fs-type", metavar="TYPE", help="The same for the type of the file system.")
@click.option("--to-mount-options", metavar="OPTIONS", help="The same for mount options.")
@click.option("--to-sector-size", type=int, metavar="BYTES", help="The same for the disk.")
@image_options
def cp_command(
    sources: tuple[str, ...],
    dest: str,
    image_options: ImageOptions,
    *,
    recursive: bool,
    one_file_system: bool,
    no_clobber: bool,
    force: bool,
    preserve: bool,
    sparse: Any,
    strict: bool,
    fsync: bool,
    **to: Any,
) -> None:
    """Copy files and trees into images, out of images, and between images.

    SOURCE and DEST are paths, or IMAGE:/PATH. Owners, modes, times, extended
    attributes, ACLs, flags, links, holes and devices are kept; what the target cannot
    hold is told, once for each kind. Files arrive complete or not at all.

    \b
    Ends with 0 when all was copied, 1 when something was not, 130 when interrupted.

    \b
    Examples:
      liblinux cp disk.img:/etc/fstab .
      liblinux cp -r disk.img:/etc etc-of-the-image
      liblinux cp -r rootfs/. disk.img:/
      liblinux cp -r -p 2 old.img:/home new.img:/ --to-partition 1
      liblinux cp --strict photo.jpg card.img:/DCIM/
    """
    if force and no_clobber:
        raise click.UsageError("-n keeps files that are there and -f replaces them: give one of them")
    options: dict[str, Any] = {
        "preserve": PRESERVE_ALL if preserve else (),
        "mode_mask": 0o7777 if preserve else own_mode_mask(),
        "sparse": sparse,
        "strict": strict,
        "fsync": fsync,
        "existing": "skip" if no_clobber else "replace",
        "follow_mounts": not one_file_system,
    }
    _check_image(sources, dest)
    with ExitStack() as stack:
        between = any(_image(source) not in (None, _image(dest)) for source in sources) and _image(dest) is not None
        to_options = _options_of_dest(image_options, to, between=between)
        opened = _Images(stack, image_options, to_options)
        target = opened.named(dest, writable=True)
        pairs = _pairs([opened.named(source) for source in sources], target, recursive=recursive)
        progress = CopyProgress()
        losses = Losses()
        try:
            with show_progress(progress, "copying"):
                # A list, since all are to be tried: one that fails does not keep others from being copied.
                worked = [_copy(source, place, target, progress, losses, options) for source, place in pairs]
        finally:
            losses.tell()
    if not all(worked):
        raise SystemExit(_FAILED)


class _Images:
    """The images that are named, each opened once: the one that is written first."""

    def __init__(self, stack: ExitStack, options: ImageOptions, to_options: ImageOptions) -> None:
        self._stack = stack
        self._options = options
        self._to_options = to_options
        self._open: dict[str, ImageRoot] = {}

    def named(self, text: str, *, writable: bool = False) -> _Named:
        """What a path or target names; its image is opened."""
        target = parse_target(text)
        if target is None:
            return _Named(os, text, None)
        if target.image not in self._open:
            options = self._to_options if writable else self._options
            self._open[target.image] = self._stack.enter_context(options.open(target.image, writable=writable))
        return _Named(self._open[target.image].os, target.path, target.image)


def _check_image(sources: tuple[str, ...], dest: str) -> None:
    """Wrong usage where no image is named: who forgets ":/" would have an image replaced by the file."""
    if all(_image(text) is None for text in (*sources, dest)):
        raise click.UsageError(f"neither SOURCE nor DEST is in an image: write {dest}:/ for what is in it")


def _image(text: str) -> str | None:
    target = parse_target(text)
    return None if target is None else target.image


def _options_of_dest(options: ImageOptions, to: dict[str, Any], *, between: bool) -> ImageOptions:
    """How the image of DEST is opened: as --to-... say, else as the only image; of two, as its content tells."""
    given = {name.removeprefix("to_"): value for name, value in to.items() if value is not None}
    if given and not between:
        raise click.UsageError("--to-... are for copies from one image to another; here the plain options are meant")
    if not between:
        return options
    common = ("passphrase_file", "untrusted", "kernel", "memory")
    return ImageOptions(**{name: getattr(options, name) for name in common}, **given)


def _pairs(sources: list[_Named], dest: _Named, *, recursive: bool) -> list[tuple[_Named, str]]:
    """Each source, and the path that it shall have; wrong usage where that cannot be."""
    into = bool(dest.system.path.isdir(dest.path))
    if not into and (len(sources) > 1 or dest.path.endswith("/")):
        reason = os.strerror(errno.ENOTDIR if dest.system.path.exists(dest.path) else errno.ENOENT)
        raise click.UsageError(f"{dest}: {reason}; more than one source needs a directory to go to")
    pairs: list[tuple[_Named, str]] = []
    taken: dict[str, _Named] = {}
    with Place(dest.system, dest.path) as place:
        fold = str.casefold if folds_case(place) else str
    for source in sources:
        found = _resolved(source, recursive=recursive)
        name = os.path.basename(source.path.rstrip("/"))
        path = dest.path
        if into and name not in ("", ".", ".."):
            path = os.path.join(dest.path, name)
            first = taken.setdefault(fold(name), source)
            if first is not source:
                raise click.UsageError(f"{source} and {first} would both be {path}")
        pairs.append((found, path))
    return pairs


def _resolved(source: _Named, *, recursive: bool) -> _Named:
    """Without -r a link stands for the file that it leads to."""
    try:
        status = source.system.lstat(source.path) if recursive else source.system.stat(source.path)
    except OSError as error:
        error.filename = str(source)  # with the image: a path alone might be the host's
        raise
    if stat_modes.S_ISDIR(status.st_mode) and not recursive:
        raise IsADirectoryError(errno.EISDIR, "a directory; -r copies it with all that is in it", str(source))
    if recursive:
        return source
    return _Named(source.system, source.system.path.realpath(source.path), source.image)


def _copy(
    source: _Named, path: str, dest: _Named, progress: CopyProgress, losses: Losses, options: dict[str, Any]
) -> bool:
    try:
        report = copy_tree(
            source.path, path, source_os=source.system, target_os=dest.system, progress=progress, **options
        )
    except CopyFailed as failed:
        if not failed.report.errors:
            tell(f"{source}: {failed}")
            return False
        report = failed.report
    return tell_report(report, losses)
