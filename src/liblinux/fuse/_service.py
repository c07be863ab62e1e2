"""An image on a directory of the host, from the mount to the clean end.

libfuse mounts and has the conversation with the host's kernel, pyfuse3 and trio
call the answers; here is when it begins and how it ends.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import tempfile

import pyfuse3
import trio

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _mounting as mounting
from liblinux.fuse._directories import Directories
from liblinux.fuse._files import Files
from liblinux.fuse._metadata import Metadata
from liblinux.fuse._names import Names
from liblinux.fuse._served import Served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from liblinux._image_root import ImageRoot

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long programs that still use the mount may go on after a signal.
_PATIENCE_SECONDS = 3.0
# pyfuse3 logs when an answer comes too late, because who asked was killed: nobody needs to know.
logging.getLogger("pyfuse3").setLevel(logging.CRITICAL)
# The connection is over; of unmounting libfuse makes no error.
_ENDED = (errno.ECONNABORTED, errno.EPERM)


class _Operations(Metadata, Names, Files, Directories):
    """All answers. The host checks permissions and access lists with `enable_acl`."""

    def __init__(self, served: Served, *, acl: bool) -> None:
        super().__init__(served)
        self.enable_acl = acl
        self.asked = trio.Event()

    def init(self) -> None:
        """The host is about to be told what was agreed on."""
        self.asked.set()


def serve(
    image: ImageRoot,
    mountpoint: str,
    *,
    source: str,
    allow_other: bool = False,
    owner: tuple[int, int] | None = None,
    ready: Callable[[], object] = lambda: None,
) -> None:
    """Serve an image until it is unmounted, or SIGINT, SIGTERM or SIGHUP unmounts it.

    `mountpoint` is a real path, `source` what `df` shows. `ready` is called when it
    is mounted. Closing the image is the caller's, and writes all back; the signals
    are blocked from then on, so that nothing cuts that short. In the main thread
    only. Raises OSError when it cannot be mounted, KernelPanic when the image's
    kernel dies; then it is unmounted, and whoever uses it gets EIO.
    """
    operations = _Operations(Served(image, owner), acl=allow_other)
    options = mounting.options(source, readonly=not image.writable, allow_other=allow_other)
    trio.run(_Service(operations, mountpoint, options, ready).run)
    if operations.broken is not None:
        raise operations.broken


class _Service:
    """One mount."""

    def __init__(
        self, operations: _Operations, mountpoint: str, options: set[str], ready: Callable[[], object]
    ) -> None:
        self._operations = operations
        self._mountpoint = mountpoint
        self._options = options
        self._ready = ready
        self._unmounted = False

    async def run(self) -> None:
        """From the mount to the end."""
        signals = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        # Before the mount: from then on it is undone in order.
        with trio.open_signal_receiver(*signals) as arriving:
            _mount(self._operations, self._mountpoint, self._options)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._begin)
                    nursery.start_soon(self._end, arriving)
                    await _answer_all()
                    nursery.cancel_scope.cancel()
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, signals)
                # Lazily, unless it is away already.
                pyfuse3.close(unmount=not self._unmounted)

    async def _begin(self) -> None:
        await self._operations.asked.wait()
        # After the answer to that: what the two agree on there is less.
        mounting.read_ahead(self._mountpoint)
        self._ready()

    async def _end(self, arriving: AsyncIterator[int]) -> None:
        """On a signal out of sight first, then a while for those who still use it, then for good."""
        await anext(arriving)
        try:
            # In a thread: unmounting may need our answers.
            await trio.to_thread.run_sync(self._unmount)
        except OSError as error:
            print(f"liblinux: {self._mountpoint}: {error.strerror}", file=sys.stderr)
        await trio.sleep(_PATIENCE_SECONDS)
        pyfuse3.terminate()

    def _unmount(self) -> None:
        mounting.unmount(self._mountpoint, lazy=True)
        self._unmounted = True


async def _answer_all() -> None:
    try:
        # One task: the answers do not wait for anything, and more of them would only wait for each other.
        await pyfuse3.main(min_tasks=1, max_tasks=1)
    except* OSError as group:
        _, unexpected = group.split(lambda error: isinstance(error, OSError) and error.errno in _ENDED)
        if unexpected is not None:
            raise unexpected from None


def _mount(operations: _Operations, mountpoint: str, options: set[str]) -> None:
    """Mount by libfuse. Raises OSError with what libfuse, or fusermount3, said to the standard error."""
    shown = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            pyfuse3.init(operations, mountpoint, options)
        except RuntimeError:
            pyfuse3.close(unmount=False)
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            if os.geteuid() == 0 and "not permitted" in text:
                text += "; this root may not mount (a container without CAP_SYS_ADMIN?)"
            raise PermissionError(errno.EPERM, text, mountpoint) from None
        finally:
            os.dup2(shown, 2)
            os.close(shown)
