"""What goes wrong with archives.

LiblinuxError
 └── ArchiveError      an archive that cannot be read, or that must not be written out
      └── LostError    with strict=True: something that the target cannot hold
"""

from __future__ import annotations

from liblinux._errors import LiblinuxError

__all__ = ["ArchiveError", "LostError"]


class ArchiveError(LiblinuxError):
    """An archive is damaged, is cut off, or names places outside of the directory that it goes to."""


class LostError(ArchiveError):
    """Something cannot be kept where it was to go, and nothing was to be lost."""
