"""An image on a directory of the host, from the mount to the clean end."""

from __future__ import annotations

import os
import signal
import sys
import threading

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _mounting as mounting
from liblinux.fuse._directories import Directories
from liblinux.fuse._files import Files
from liblinux.fuse._metadata import Metadata
from liblinux.fuse._names import Names
from liblinux.fuse._served import Served
from liblinux.fuse._session import Session, Stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from liblinux._image_root import ImageRoot

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long programs that still use the mount may go on after a signal.
_PATIENCE_SECONDS = 3.0
_AGAIN_SECONDS = 0.1


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

    `ready` is called when it is mounted. Closing the image is the caller's, and
    writes all back. In the main thread only. Raises OSError when it cannot be
    mounted, KernelPanic when the image's kernel dies; then it is unmounted, and
    whoever uses it gets EIO.
    """
    served = Served(image, owner)
    handlers = {
        number: handler
        for part in (Metadata(served), Names(served), Files(served), Directories(served))
        for number, handler in part.handlers().items()
    }
    # Before the mount: from then on it is undone in order.
    signals = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    descriptor = mounting.connect(mountpoint, source=source, readonly=served.readonly, allow_other=allow_other)
    session = Session(descriptor, handlers, acl=allow_other)
    end = _End(mountpoint, session, signals)
    try:
        ready()
        end.watch()
        session.run()
    finally:
        end.reached.set()
        if not end.unmounted and mounting.mounted(mountpoint) == mounting.TYPE:
            mounting.unmount(mountpoint, lazy=True)
        os.close(descriptor)
    if session.broken is not None:
        raise session.broken


class _End:
    """Ends a session on a signal: out of sight first, then a while for those who still use it, then for good."""

    def __init__(self, mountpoint: str, session: Session, signals: list[signal.Signals]) -> None:
        self._mountpoint = mountpoint
        self._session = session
        self._signals = signals
        self.reached = threading.Event()
        self.unmounted = False

    def watch(self) -> None:
        """Wait for signals in a thread: unmounting may need the session to answer."""
        signal.signal(signal.SIGUSR1, self._stop)
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        signal.sigwait(self._signals)
        try:
            mounting.unmount(self._mountpoint, lazy=True)
            self.unmounted = True
        except OSError as error:
            if not self.reached.is_set():
                print(f"liblinux: {self._mountpoint}: {error.strerror}", file=sys.stderr)
        wait = _PATIENCE_SECONDS
        while not self.reached.wait(wait):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            wait = _AGAIN_SECONDS

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._session.waiting:
            raise Stop
