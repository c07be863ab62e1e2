"""The conversation with the host's kernel: one request after the other.

One thread does it all. A second one would not make it faster: Python runs one at
a time, and a kernel has one runner; the host reads ahead by itself.
"""

from __future__ import annotations

import errno
import os

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _protocol as fuse
from liblinux.fuse._files import READ_BYTES
from liblinux.fuse._protocol import ANSWER, REQUEST, Init, Op

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liblinux.fuse._served import Answer, Handler

__all__ = ["Session", "Stop"]

_HEADER_ROOM = 4096
_BACKGROUND = 16  # requests that the host may have under way by itself
_PAGE_BYTES = 4096
_ABILITIES = (
    Init.ASYNC_READ
    | Init.ATOMIC_O_TRUNC
    | Init.BIG_WRITES
    | Init.DONT_MASK
    | Init.HAS_IOCTL_DIR
    | Init.DO_READDIRPLUS
    | Init.ASYNC_DIO
    | Init.PARALLEL_DIROPS
    | Init.MAX_PAGES
    | Init.CACHE_SYMLINKS
    | Init.NO_OPEN_SUPPORT
    | Init.NO_OPENDIR_SUPPORT
)
# The connection is over.
_ENDED = (errno.ENODEV, errno.ECONNABORTED, errno.EPERM)
_NO_ANSWER = frozenset({Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT})


class Stop(Exception):
    """Raised by a signal handler to end a session that waits for a request."""


class Session:
    """Serves the requests of a descriptor of /dev/fuse with `handlers`, by opcode.

    With `acl` the host checks access lists. `waiting` is true while nothing is
    under way, `broken` is the error of the image's kernel that ended it.
    """

    def __init__(self, descriptor: int, handlers: Mapping[int, Handler], *, acl: bool) -> None:
        self._descriptor = descriptor
        self._handlers = dict(handlers)
        self._handlers[Op.INIT] = self._init
        self._abilities = _ABILITIES | (Init.POSIX_ACL if acl else Init(0))
        self._buffer = bytearray(READ_BYTES + _HEADER_ROOM)
        self.waiting = False
        self.broken: LiblinuxError | None = None

    def run(self) -> None:
        """Serve until it is unmounted, or `Stop` is raised, or the image's kernel dies."""
        try:
            while self.broken is None:
                length = self._receive()
                if length is None:
                    return
                if length:
                    self._serve(length)
        except Stop:
            return

    def _receive(self) -> int | None:
        """The length of the next request; 0 when there was none after all, None at the end."""
        self.waiting = True
        try:
            return os.readv(self._descriptor, [self._buffer])
        except OSError as error:
            if error.errno in _ENDED:
                return None
            if error.errno in {errno.ENOENT, errno.EAGAIN, errno.EINTR}:
                return 0  # who asked has gone
            raise
        finally:
            self.waiting = False

    def _serve(self, length: int) -> None:
        _, opcode, unique, node, uid, gid, _ = REQUEST.unpack_from(self._buffer)
        handler = self._handlers.get(opcode)
        if handler is None:
            if opcode not in _NO_ANSWER:
                self._refuse(unique, errno.ENOSYS)
            return
        body = memoryview(self._buffer)[REQUEST.size : length]
        try:
            answer = handler(node, body, (uid, gid))
        except OSError as error:
            self._refuse(unique, error.errno or errno.EIO)
            return
        except LiblinuxError as error:
            self.broken = error
            self._refuse(unique, errno.EIO)
            return
        if answer is not None:
            self._send(unique, 0, answer)

    def _refuse(self, unique: int, number: int) -> None:
        self._send(unique, -number, b"")

    def _send(self, unique: int, code: int, answer: Answer) -> None:
        assert answer is not None
        parts = (answer,) if isinstance(answer, bytes | memoryview) else answer
        length = ANSWER.size + sum(map(len, parts))
        try:
            os.writev(self._descriptor, [ANSWER.pack(length, code, unique), *parts])
        except OSError as error:
            # Who asked was killed, or all is over, which the next read says as well.
            if error.errno not in (errno.ENOENT, *_ENDED):
                raise

    def _init(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Agree on what both sides can."""
        major, minor, _, flags = fuse.INIT_IN.unpack_from(body)
        if major > fuse.MAJOR:
            return fuse.INIT_OUT.pack(fuse.MAJOR, fuse.MINOR, 0, 0, 0, 0, 0, 0, 0)  # it asks again
        if (major, minor) < (fuse.MAJOR, fuse.OLDEST_MINOR):
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        return fuse.INIT_OUT.pack(
            fuse.MAJOR, fuse.MINOR, READ_BYTES, self._abilities & flags, _BACKGROUND, _BACKGROUND * 3 // 4,
            READ_BYTES, 1, READ_BYTES // _PAGE_BYTES,
        )  # fmt: skip
