"""`liblinux edit`: a file of an image in the user's editor."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._change import Changing
from liblinux.commands._entries import Entry, entry_at
from liblinux.commands._glob import expand_one
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._replace import replace_content
from liblinux.commands._target import Target, TargetType

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["edit_command"]

_CHUNK_BYTES = 1 << 20


@click.command("edit")
@click.argument("target", metavar="TARGET", type=TargetType())
@click.option("--editor", metavar="COMMAND", help="[default: $VISUAL, $EDITOR, or one that is installed]")
@click.option("--break-links", is_flag=True, help="Of a file with several names, let only this one change.")
@image_options
def edit_command(target: Target, editor: str | None, break_links: bool, image_options: ImageOptions) -> None:
    """Edit a file of an image.

    The editor gets a copy, and the image is not held open meanwhile. What comes back
    replaces the file in one step, with its owner, mode, extended attributes and access
    control lists. When nothing was changed, nothing is written; when somebody else
    changed the file meanwhile, neither, and the copy is kept.

    \b
    Examples:
      liblinux edit disk.img:/etc/fstab
      EDITOR='sed -i s/quiet//' liblinux edit disk.img:/etc/default/grub
    """
    if os.path.exists(target.image) and not os.access(target.image, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target.image)
    with tempfile.TemporaryDirectory(prefix="liblinux-edit-") as directory:
        copy = Path(directory) / (os.path.basename(target.path) or "file")
        # Written to an overlay: what cannot be written is refused before the work is done.
        with Changing(image_options, target.image, overlay=True) as image:
            path = str(image.os.path.realpath(expand_one(image, target.path), strict=True))
            before = entry_at(image, path)
            _check(before, break_links=break_links)
            content = _read(image, path)
        copy.write_bytes(content)
        copy.chmod(0o600)
        _run_editor(editor, copy)
        edited = copy.read_bytes()
        if edited == content:
            click.echo("liblinux: nothing was changed", err=True)
            return
        try:
            with Changing(image_options, target.image) as image:
                _check_unchanged(image, path, before)
                replace_content(image, path, edited)
        except BaseException:
            kept = _keep(edited, copy.name)
            click.echo(f"liblinux: the edited copy is kept in {kept}", err=True)
            raise


def _run_editor(editor: str | None, copy: Path) -> None:
    try:
        click.edit(filename=str(copy), editor=editor)
    except click.ClickException as error:
        raise click.ClickException(f"{error.message}; nothing was written") from error


def _check(entry: Entry, *, break_links: bool) -> None:
    status = entry.status
    if entry.is_directory:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), entry.path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "this is no regular file", entry.path)
    if status.st_nlink > 1 and not break_links:
        text = (
            f"this file has {status.st_nlink} names (hard links), and the others would keep the old content; "
            "with --break-links they do"
        )
        raise OSError(errno.EMLINK, text, entry.path)


def _read(image: ImageRoot, path: str) -> bytes:
    descriptor = image.os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := image.os.read(descriptor, _CHUNK_BYTES):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        image.os.close(descriptor)


def _check_unchanged(image: ImageRoot, path: str, before: Entry) -> None:
    def identity(status: os.stat_result) -> tuple[int, ...]:
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    if identity(image.os.lstat(path)) != identity(before.status):
        raise OSError(errno.ESTALE, "the file was changed while it was edited; nothing was written", path)


def _keep(edited: bytes, name: str) -> str:
    descriptor, path = tempfile.mkstemp(prefix="liblinux-kept-", suffix=f"-{name}")
    with open(descriptor, "wb") as file:
        file.write(edited)
    return path
