"""Completion of targets in a shell: files of the host up to the colon, names in the image behind it."""

from __future__ import annotations

from click.shell_completion import CompletionItem

from liblinux._errors import LiblinuxError
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
    try:
        with options.open(target.image) as image, image.os.scandir(directory or "/") as entries:
            names = [entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries]
    except (OSError, LiblinuxError):
        return []  # a shell has no place for an error while one types
    # A name with a line feed in it would be two for the shell, or more.
    fitting = [name for name in sorted(names) if name.startswith(start) and name.isprintable()]
    return [CompletionItem(f"{target.image}:{directory}/{name}") for name in fitting]
