"""Completion of targets in a shell: files of the host up to the colon, names in the image behind it."""

from __future__ import annotations

from click.shell_completion import CompletionItem

from liblinux._errors import LiblinuxError
from liblinux._image_format import HEAD_BYTES, PACKED_FORMATS, tell_format
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions
from liblinux.commands._target import parse_target

if TYPE_CHECKING:
    import click

__all__ = ["complete_target"]


def complete_target(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """What `incomplete` may become."""
    target = parse_target(incomplete)
    if target is None:
        return [CompletionItem(incomplete, type="file")]
    directory, _, start = target.path.rpartition("/")
    options = ImageOptions.of(context.params)
    if _takes_long(target.image):
        return []
    try:
        with options.open(target.image) as image, image.os.scandir(directory or "/") as entries:
            names = [entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries]
    except (OSError, LiblinuxError):
        return []  # a shell has no place for an error while one types
    # A name with a line feed in it would be two for the shell, or more.
    fitting = [name for name in sorted(names) if name.startswith(start) and name.isprintable()]
    return [CompletionItem(f"{target.image}:{directory}/{name}") for name in fitting]


def _takes_long(image: str) -> bool:
    """Whether opening it means unpacking it as a whole, or asking a server."""
    try:
        with open(image, "rb") as file:
            return tell_format(file.read(HEAD_BYTES)) in PACKED_FORMATS
    except OSError:
        return True
