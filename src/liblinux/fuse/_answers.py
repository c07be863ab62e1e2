"""What every answer to a request has in common: an error of the image's kernel becomes one of FUSE."""

from __future__ import annotations

import errno
import functools

import pyfuse3

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from liblinux.fuse._served import Served

    P = ParamSpec("P")
    R = TypeVar("R")
    A = TypeVar("A", bound="Answers")

__all__ = ["Answers", "answer"]


class Answers(pyfuse3.Operations):
    """Answers to requests about an image; pyfuse3 says of what has none here that it is not there (ENOSYS).

    `broken` is the error of the image's kernel that has ended them.
    """

    supports_dot_lookup = False  # for NFS, which would ask for nodes that are forgotten

    def __init__(self, served: Served) -> None:
        super().__init__()
        self._served = served
        self._nodes = served.nodes
        self._os = served.os
        self._native = served.native
        self.broken: LiblinuxError | None = None


def answer(handler: Callable[Concatenate[A, P], R]) -> Callable[Concatenate[A, P], Coroutine[Any, Any, R]]:
    """What pyfuse3 awaits, made of a function.

    It never waits: one request is answered after the other. Others at the same time
    would not make it faster, for Python runs one thread at a time, a kernel has one
    runner, and the host reads ahead by itself.
    """

    @functools.wraps(handler)
    async def answered(self: A, /, *arguments: P.args, **named: P.kwargs) -> R:
        try:
            return handler(self, *arguments, **named)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from None
        except LiblinuxError as error:
            self.broken = error
            pyfuse3.terminate()
            raise pyfuse3.FUSEError(errno.EIO) from None

    return answered
