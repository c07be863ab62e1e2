"""Paths of `universal_pathlib` in an image: UPath("liblinux:///etc/hostname", image="disk.img").

Found by that package through an entry point; nothing else imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upath import UPath

if TYPE_CHECKING:
    from typing import Any, Self

__all__ = ["ImagePath"]


class ImagePath(UPath):
    """What UPath gives for the protocol "liblinux": its own, over :class:`liblinux.ImageFileSystem`."""

    __slots__ = ()

    def with_segments(self, *pathsegments: Any) -> Self:
        """A path in the same image, which is opened once: another kernel would find it locked, and cost a boot."""
        _ = self.fs
        return super().with_segments(*pathsegments)
