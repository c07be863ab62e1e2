"""Files that arrive whole: written under another name in the same directory, and renamed when complete."""

from __future__ import annotations

import contextlib
import os
import stat

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["arriving"]


@contextlib.contextmanager
def arriving(path: str) -> Iterator[str]:
    """The name of a new empty file, which gets the name `path` at the end of the block, or is removed if it fails.

    It replaces a file that is there, whose mode it takes over. What is no regular file
    (a pipe, /dev/stdout) is to be written as it is: then the name is `path` itself.
    Raises OSError, naming `path`.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, os.strerror(21), path)
        yield path
        return
    target = os.path.realpath(path)
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name[:200]}.{os.urandom(4).hex()}.part")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    try:
        yield temporary
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # its program may have been about to make it anew
            os.unlink(temporary)
        raise
