"""Requests and responses over TCP, one after the other."""

from __future__ import annotations

import errno
import math
import socket
from typing import TYPE_CHECKING

from liblinux.experiments._flows import Running
from liblinux.experiments._loop import READ, WRITE

if TYPE_CHECKING:
    from liblinux._sockets.sock import Socket
    from liblinux.experiments import _model as model
    from liblinux.experiments._loop import Loop
    from liblinux.network import Host

__all__ = ["Asking"]

_ZEROS = memoryview(bytes(1 << 20))
_TRASH = bytearray(1 << 20)


class _End:
    """One end of a connection: sends so much, and then waits for so much."""

    def __init__(self, loop: Loop, sock: Socket) -> None:
        self._loop = loop
        self.sock = sock
        self._unsent = 0
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, size: int) -> None:
        """Send so many bytes more."""
        self._unsent += size
        self.fill()

    @property
    def wants_to_send(self) -> bool:
        return self._unsent > 0

    def fill(self) -> None:
        """Send what the buffer takes."""
        try:
            while self._unsent:
                self._unsent -= self.sock.send(_ZEROS[: min(self._unsent, len(_ZEROS))])
        except BlockingIOError:
            return

    def take(self) -> int:
        """How much has arrived; -1 at the end."""
        total = 0
        try:
            while taken := self.sock.recv_into(_TRASH, len(_TRASH), socket.MSG_TRUNC):
                total += taken
                if taken < len(_TRASH):
                    return total
        except BlockingIOError:
            return total
        return total or -1

    def close(self) -> None:
        self._loop.forget(self.sock)
        self.sock.close()


class Asking(Running):
    """A client and a server on one connection. `delays` are from each request to the end of its response."""

    over_tcp = True

    def __init__(self, loop: Loop, name: str, hosts: tuple[Host, Host], port: int, part: model.Requests) -> None:
        super().__init__(loop, name, hosts, port)
        self._part = part
        self._listening: Socket | None = None
        self._client: _End | None = None
        self._server: _End | None = None
        self._wanted = 0  # bytes of the response that are to come
        self._asked = 0.0
        self._at_server = 0  # bytes of the next request that are there

    def _socket(self, host: Host) -> Socket:
        sock = host.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self._part.congestion is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._part.congestion.encode())
        return sock

    def listen(self) -> None:
        """The server waits."""
        self._listening = self._socket(self.target)
        self._listening.bind(("", self.port))
        self._listening.listen()
        self.loop.watch(self._listening, READ, self._accept)

    def _accept(self, events: int) -> None:
        assert self._listening is not None
        sock, _ = self._listening.accept()
        self._server = _End(self.loop, sock)
        self.loop.watch(sock, READ, self._serve)

    def _serve(self, events: int) -> None:
        server = self._server
        assert server is not None
        try:
            if events & READ:
                came = server.take()
                if came < 0:
                    server.close()
                    self._server = None
                    return
                self._at_server += came
                whole, self._at_server = divmod(self._at_server, self._part.request)
                server.send(whole * self._part.response)
            server.fill()
        except ConnectionError:
            server.close()
            self._server = None
            return
        self.loop.watch(server.sock, READ | WRITE * server.wants_to_send, self._serve)

    def start(self) -> None:
        """Connect; the first request follows."""
        self.started = self._asked = self.loop.now
        sock = self._socket(self.source)
        self._client = _End(self.loop, sock)
        error = sock.connect_ex((self.address, self.port))
        if error not in (0, errno.EINPROGRESS):
            self.stop()
            return
        self.loop.watch(sock, WRITE, self._connected)

    def _connected(self, events: int) -> None:
        if self._client is not None:
            self.loop.watch(self._client.sock, READ, self._read)
            self._ask()

    def _ask(self) -> None:
        if self._client is None or self.ended is not None:
            return
        if self.delays.values:  # the first one's time has begun with connecting
            self._asked = self.loop.now
        self._wanted = self._part.response
        self._exchange(0)

    def _exchange(self, events: int) -> None:
        client = self._client
        assert client is not None
        try:
            if not events:
                client.send(self._part.request)
            client.fill()
        except ConnectionError:
            self.stop()
            return
        self.loop.watch(client.sock, READ | WRITE * client.wants_to_send, self._read)

    def _read(self, events: int) -> None:
        client = self._client
        assert client is not None
        if events & WRITE:
            self._exchange(events)
        if not events & READ or self._client is None:
            return
        try:
            came = client.take()
        except (ConnectionError, TimeoutError):
            came = -1
        if came < 0:
            self.stop()
            return
        self.received += came
        self._wanted -= came
        if self._wanted <= 0:
            self._answered()

    def _answered(self) -> None:
        now = self.loop.now
        self.delays.add(now, now - self._asked)
        if self._part.number is not None and len(self.delays.values) >= self._part.number:
            self.stop()
        elif self._part.period is not None:
            assert self.started is not None
            begun = math.floor((now - self.started) / self._part.period) + 1
            self.loop.at(self.started + begun * self._part.period, self._ask)
        elif self._part.pause:
            self.loop.at(now + self._part.pause, self._ask)
        else:
            self._ask()

    def stop(self) -> None:
        """The client closes; the server then does so, too."""
        if self.ended is None:
            self.ended = self.loop.now
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Close all."""
        self.stop()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._listening is not None:
            self.loop.forget(self._listening)
            self._listening.close()
            self._listening = None

    def results(self) -> dict[str, float]:
        """How many, and how long they took."""
        return {**super().results(), "answers": len(self.delays.values), **self.delays.results("delay")}
