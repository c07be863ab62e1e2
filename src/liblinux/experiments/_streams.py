"""Bulk data over TCP, Multipath TCP and SCTP.

Python shall wake seldom. The sender is told when a third of its buffer is free, and fills it with one
call. The receiver is told when some segments have come (SO_RCVLOWAT), and takes them without a copy
(MSG_TRUNC); what is below that is taken when somebody looks. Both let the kernel size their buffers, as
a program that knows nothing does: the low-water mark is small beside any window, so that nothing of TCP
depends on it.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from liblinux.experiments._flows import Running
from liblinux.experiments._loop import READ, WRITE

if TYPE_CHECKING:
    from liblinux._sockets.sock import Socket
    from liblinux.experiments import _model as model
    from liblinux.experiments._loop import Loop
    from liblinux.network import Host

__all__ = ["Bulk", "Messages"]

_CHUNK = memoryview(bytes(1 << 20))
_LOW_WATER_BYTES = 16 * 1448
_AT_ONCE = 64
_TRASH = bytearray(1 << 22)
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "mptcp": 262, "sctp": socket.IPPROTO_SCTP}
_GONE = (ConnectionError, TimeoutError)
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN}


class Bulk(Running):
    """As much as the path carries, or so many bytes and then the end."""

    over_tcp = True

    def __init__(
        self, loop: Loop, name: str, hosts: tuple[Host, Host], port: int, part: model.Stream | model.Sctp
    ) -> None:
        super().__init__(loop, name, hosts, port)
        self._part = part
        self._left = part.bytes
        self._protocol = _PROTOCOLS[part.kind]
        self._listening: Socket | None = None
        self._sending: Socket | None = None
        self._receiving: Socket | None = None
        self._info: Any = None
        self._failures = 0

    def _socket(self, host: Host) -> Socket:
        sock = host.socket.socket(socket.AF_INET, socket.SOCK_STREAM, self._protocol)
        sock.setblocking(False)
        return sock

    def listen(self) -> None:
        """The receiver waits for the connection."""
        listening = self._listening = self._socket(self.target)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._prepare(listening)
        listening.bind(("", self.port))
        listening.listen()
        self.loop.watch(listening, READ, self._accept)

    def _prepare(self, sock: Socket) -> None:
        if (congestion := getattr(self._part, "congestion", None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())

    def start(self) -> None:
        """Connect; what is sent first is what the window lets go."""
        if self.started is None:
            self.started = self.loop.now
        sending = self._sending = self._socket(self.source)
        self._prepare(sending)
        error = sending.connect_ex((self.address, self.port))
        if error not in (0, errno.EINPROGRESS):
            self._fail()
            return
        self.loop.watch(sending, WRITE, self._fill)

    def _accept(self, events: int) -> None:
        assert self._listening is not None
        receiving, _ = self._listening.accept()
        receiving.setblocking(False)
        self._close_receiving()
        self._receiving = receiving
        if self._protocol == socket.IPPROTO_TCP:
            receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _LOW_WATER_BYTES)
        self.loop.watch(receiving, READ, self._take)

    def _fill(self, events: int) -> None:
        self._send(len(_CHUNK))

    def _send(self, size: int) -> bool:
        """Send so much, or what is left; whether more can be sent."""
        assert self._sending is not None
        if self._left is not None:
            size = min(size, self._left)
        try:
            sent = self._sending.send(_CHUNK[:size])
        except BlockingIOError:
            return False
        except OSError as error:
            if not isinstance(error, _GONE) and error.errno not in _UNREACHABLE:
                raise
            self._fail()
            return False
        if self._left is not None:
            self._left -= sent
            if not self._left:
                self._finish()
                return False
        return True

    def _finish(self) -> None:
        """All is sent: the other side reads to the end."""
        assert self._sending is not None
        self.loop.forget(self._sending)
        self._keep_info()
        try:
            self._sending.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def _fail(self) -> None:
        """The connection was lost; a program would try again, after a second."""
        self._failures += 1
        if self._sending is not None:
            self._keep_info()
            self.loop.forget(self._sending)
            self._sending.close()
            self._sending = None
        if self.ended is None:
            self.loop.at(self.loop.now + 1, self._start_again)

    def _start_again(self) -> None:
        if self.ended is None and self._sending is None:
            self.start()

    def _take(self, events: int) -> None:
        self.drain()

    def drain(self) -> None:
        """Count what has arrived."""
        receiving = self._receiving
        if receiving is None:
            return
        try:
            while True:
                taken = receiving.recv_into(_TRASH, len(_TRASH), socket.MSG_TRUNC)
                self.received += taken
                if taken < len(_TRASH) and (taken == 0 or self._protocol != socket.IPPROTO_SCTP):
                    break
        except BlockingIOError:
            return
        except _GONE:
            taken = 0
        if taken == 0:
            self._close_receiving()
            if self._left == 0 and self.ended is None:
                self.ended = self.loop.now

    def stop(self) -> None:
        """What is in the sender's buffer is not sent: it would go on for a while."""
        self.drain()
        if self.ended is None:
            self.ended = self.loop.now
        if self._sending is not None:
            self._keep_info()
            self.loop.forget(self._sending)
            self._sending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._sending.close()
            self._sending = None

    def _close_receiving(self) -> None:
        if self._receiving is not None:
            self.loop.forget(self._receiving)
            self._receiving.close()
            self._receiving = None

    def tcp_info(self) -> Any:
        """Of the sender."""
        if self._sending is None or self._protocol != socket.IPPROTO_TCP:
            return None
        return self._sending.tcp_info()

    def _keep_info(self) -> None:
        self._info = self.tcp_info() or self._info

    def close(self) -> None:
        """Close all."""
        self.stop()
        self._close_receiving()
        if self._listening is not None:
            self.loop.forget(self._listening)
            self._listening.close()
            self._listening = None

    def results(self) -> dict[str, float]:
        """With what TCP knows of the connection at its end."""
        found = super().results()
        self._keep_info()
        if self._info is not None:
            found["retransmits"] = self._info.tcpi_total_retrans
            found["rtt_min"] = self._info.tcpi_min_rtt / 1e6
        if self._part.bytes is not None:
            found["complete"] = float(self.received >= self._part.bytes)
        if self._failures:
            found["failures"] = self._failures
        return found


class Messages(Bulk):
    """Messages of SCTP; with several addresses at both ends over the path that is left."""

    over_tcp = False

    def _fill(self, events: int) -> None:
        assert self._part.kind == "sctp"
        # Each message is a call of its own; some of them, and then others have their turn.
        for _ in range(_AT_ONCE):
            if not self._send(self._part.size):
                return
