"""What is said of a container that cannot be read."""

from __future__ import annotations

import errno

from liblinux._errors import FormatError

__all__ = ["damaged", "unsupported"]


def damaged(path: str, what: str) -> FormatError:
    """The file contradicts its own format, or ends too early."""
    return FormatError(errno.EBADMSG, what, path, advice="the file is damaged or was not copied as a whole")


def unsupported(path: str, what: str, advice: str = "") -> FormatError:
    """Something of the format that is not read here."""
    return FormatError(errno.EOPNOTSUPP, what, path, advice=advice or _CONVERT.format(path=path))


_CONVERT = "convert it first: qemu-img convert -O raw {path} disk.img"
