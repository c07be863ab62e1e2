"""The targets of a command, image by image, with patterns expanded."""

from __future__ import annotations

from itertools import groupby

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._glob import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from liblinux._image_root import ImageRoot
    from liblinux.commands._problems import Problems
    from liblinux.commands._target import Target

__all__ = ["by_image", "expanded"]


def by_image(targets: Iterable[Target]) -> Iterator[tuple[str, list[str]]]:
    """Names of images with the paths that are wanted of them, in the order of the command line."""
    for name, wanted in groupby(targets, key=lambda target: target.image):
        yield name, [target.path for target in wanted]


def expanded(image: ImageRoot, paths: Iterable[str], problems: Problems) -> list[str]:
    """All paths that the patterns stand for; one that stands for nothing is a problem."""
    found: list[str] = []
    for path in paths:
        with problems:
            found += expand(image, path)
    return found
