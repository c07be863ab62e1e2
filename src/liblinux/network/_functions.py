"""Devices that are Python: functions that get and give frames, and captures that are played again."""

from __future__ import annotations

import errno
import os
import socket

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network._device import PACKETS, Device, End

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from liblinux._process import Process
    from liblinux.network._topology import Interface

__all__ = ["Functions", "Replay"]

_FRAME_BYTES = 1 << 17
_BUFFER_BYTES = 4 << 20
_SECOND_NS = 10**9
_ETHERNET = 1  # LINKTYPE_ETHERNET


class Functions(Device):
    """A link to a program: `receive(frame)` is called with what the host sends, `send(frame)` is what it gets.

    With a real clock `receive` is called on a thread of the device's own; when it
    raises, the device ends. With a virtual clock it is called by the event loop of
    :meth:`Network.run`, at the very time when the frame arrives, or by :meth:`poll`.
    """

    virtual = True

    def __init__(self, receive: Callable[[bytes], object], name: str = "functions") -> None:
        if not callable(receive):
            raise TypeError(f"what frames are given to is a function, not {receive!r}")
        super().__init__(name)
        self._receive = receive
        self._socket: socket.socket | None = None
        self._inside: tuple[Process, int] | None = None

    def send(self, frame: bytes) -> None:
        """Let an Ethernet frame (without checksum) arrive at the host; OSError when it is too short or the link down.

        ValueError before the network is up.
        """
        if not frame:  # to a socket of packets it would be the end
            raise OSError(errno.EINVAL, "a frame of no bytes; one of Ethernet has 14 at least")
        if self._inside is not None:
            process, tap = self._inside
            process.os.write(tap, frame)
        elif self._socket is not None:
            self._socket.send(frame)
        else:
            raise ValueError("the network is not up yet: call Network.up() first")

    # ---- with a real clock ---------------------------------------------------

    def open(self, interface: Interface) -> End:
        """Begin; see :class:`Device`."""
        import threading  # noqa: PLC0415 - most networks do without

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._socket, self._theirs = ours, theirs
        self._thread = threading.Thread(target=self._listen, args=(ours,), name=f"liblinux {self.name}", daemon=True)
        self._thread.start()
        return End(theirs.fileno(), PACKETS)

    def _listen(self, ours: socket.socket) -> None:
        try:
            while frame := ours.recv(_FRAME_BYTES):
                self._receive(frame)
        finally:
            # The other end notices, and so does the host.
            ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End; see :class:`Device`."""
        if self._socket is None:
            return
        self._theirs.close()
        self._thread.join()
        self._socket.close()
        self._socket = None

    # ---- with a virtual one --------------------------------------------------

    def enter(self, process: Process, tap: int) -> None:
        """Begin; see :class:`Device`."""
        self._inside = (process, tap)

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take frames while a loop runs; see :class:`Device`."""
        assert self._inside is not None, "enter() was called"
        loop.add_reader(self._inside[1], self.poll)

    def poll(self) -> None:
        """With a virtual clock: call `receive` with all that has arrived by now."""
        if self._inside is None:
            return
        process, tap = self._inside
        while True:
            try:
                frame = process.os.read(tap, _FRAME_BYTES)
            except BlockingIOError:
                return
            self._receive(frame)


class Replay(Functions):
    """A capture (pcap or pcapng, Ethernet) that is played again: its frames arrive at the host.

    At the times of the capture, counted from when the link comes up (with a virtual
    clock: from the beginning of :meth:`Network.run`), `speed` times as fast; 0 is all
    at once. What the host sends is counted, and lost. `sent` is how many frames have
    been, `refused` how many of them were too short to be frames; `done` whether all.
    Files are read by scapy (the extra `packets`).
    """

    def __init__(self, path: str | os.PathLike[str], *, speed: float = 1.0) -> None:
        super().__init__(lambda frame: None, os.fspath(path))
        if speed < 0:
            raise ValueError(f"a speed of {speed} is not one; 1 is as it was, 0 at once")
        self._speed = speed
        self._frames = list(_read(self.name))
        self.sent = 0
        self.refused = 0
        self._task: Any = None

    @property
    def done(self) -> bool:
        """Whether all frames have been sent."""
        return self.sent == len(self._frames)

    def _waits(self) -> Iterator[tuple[float, bytes]]:
        """How long to wait from the beginning, in seconds, for each frame."""
        for time, frame in self._frames:
            after = (time - self._frames[0][0]) / _SECOND_NS
            yield after / self._speed if self._speed else 0.0, frame

    def open(self, interface: Interface) -> End:
        """Begin; see :class:`Device`."""
        import threading  # noqa: PLC0415 - as above

        end = super().open(interface)
        self._stop = threading.Event()
        self._player = threading.Thread(target=self._play, name=f"liblinux {self.name}", daemon=True)
        self._player.start()
        return end

    def _play(self) -> None:
        import time  # noqa: PLC0415 - as above

        start = time.monotonic()
        for after, frame in self._waits():
            if self._stop.wait(max(0.0, start + after - time.monotonic())):
                return
            self._deliver(frame)

    def _deliver(self, frame: bytes) -> None:
        try:
            self.send(frame)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.refused += 1
        self.sent += 1

    def close(self) -> None:
        """End; see :class:`Device`."""
        if self._socket is not None:
            self._stop.set()
            self._player.join()
        super().close()

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Play while a loop runs; see :class:`Device`."""
        super().serve(loop)
        self._task = loop.create_task(self._play_virtually(loop))

    def _play_virtually(self, loop: asyncio.AbstractEventLoop) -> Coroutine[Any, Any, None]:
        import asyncio  # noqa: PLC0415 - as above

        async def play() -> None:
            start = loop.time()
            for after, frame in self._waits():
                await asyncio.sleep(start + after - loop.time())
                self._deliver(frame)

        return play()


def _read(path: str) -> Iterator[tuple[int, bytes]]:
    """Time in nanoseconds since 1970, and content, of all frames of a capture."""
    try:
        from scapy.error import Scapy_Exception  # noqa: PLC0415 - slow, and many networks do without
        from scapy.utils import RawPcapNgReader, RawPcapReader  # noqa: PLC0415 - as above
    except ImportError:
        raise ImportError("captures are read by scapy, which is not there: pip install 'liblinux[packets]'") from None
    try:
        # Opened here: scapy leaves a file open that is no capture.
        with open(path, "rb") as file:
            reader: Any = RawPcapReader(file)
            for frame, about in reader:
                if isinstance(reader, RawPcapNgReader):
                    kind, time = about.linktype, (about.tshigh << 32 | about.tslow) * _SECOND_NS // about.tsresol
                else:
                    fraction = about.usec if reader.nano else about.usec * 1000
                    kind, time = reader.linktype, about.sec * _SECOND_NS + fraction
                if kind != _ETHERNET:
                    raise ValueError(f"{path} was captured on something else than Ethernet (link type {kind})")
                yield int(time), bytes(frame)
    except (Scapy_Exception, EOFError) as error:
        raise ValueError(f"{path} is no capture in the format of pcap or pcapng: {error}") from None
