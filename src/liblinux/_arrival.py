"""Files that arrive whole: written under another name in the same directory, and renamed when complete."""

from __future__ import annotations

import contextlib
import os
import stat

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["arriving"]

_LONGEST_NAME_BYTES = 200  # of 255, so that there is room for what makes it another name


@contextlib.contextmanager
def arriving(path: str | os.PathLike[str]) -> Iterator[str]:
    """The name of a new empty file, which gets the name `path` at the end of the block, or is removed if it fails.

    It replaces a file that is there, whose mode it takes over. What is no regular file
    (a pipe, /dev/stdout) is to be written as it is: then the name is `path` itself.
    Raises OSError, naming `path`.
    """
    path = os.fspath(path)
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
    short = os.fsdecode(os.fsencode(name)[:_LONGEST_NAME_BYTES])
    temporary = os.path.join(directory, f".{short}.{os.urandom(8).hex()}.part")
    try:
        try:
            open(temporary, "xb").close()
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
        yield temporary
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        # It may never have been there, or be gone: its program may have been about to make it anew.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
