"""Datagrams at a constant rate, and pings."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from liblinux.experiments._flows import Running
from liblinux.experiments._loop import READ
from liblinux.network._ping import echo_reply, echo_request

if TYPE_CHECKING:
    from liblinux._sockets.sock import Socket
    from liblinux.experiments import _model as model
    from liblinux.experiments._loop import Loop
    from liblinux.network import Host

__all__ = ["Datagrams", "Echoes"]

_STAMP = struct.Struct("=d")
_BUFFER_BYTES = 1 << 16
_VERSION = 4
_NUMBERS = 1 << 16


class Datagrams(Running):
    """A datagram every so often, with the time when it was sent, which is that of the receiver as well."""

    def __init__(self, loop: Loop, name: str, hosts: tuple[Host, Host], port: int, part: model.Udp) -> None:
        super().__init__(loop, name, hosts, port)
        self._gap = 8 * part.size / part.rate
        self._payload = bytes(part.size - _STAMP.size)
        self._sending: Socket | None = None
        self._receiving: Socket | None = None
        self._sent = self._refused = self._arrived = 0
        self._jitter = 0.0
        self._buffer = bytearray(_BUFFER_BYTES)

    def listen(self) -> None:
        """The receiver is there first."""
        self._receiving = self.target.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receiving.setblocking(False)
        self._receiving.bind(("", self.port))
        self.loop.watch(self._receiving, READ, self._take)

    def start(self) -> None:
        """Send the first one."""
        self.started = self.loop.now
        self._sending = self.source.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sending.setblocking(False)
        self._send()

    def _send(self) -> None:
        if self._sending is None or self.ended is not None:
            return
        assert self.started is not None
        now = self.loop.now
        try:
            self._sending.sendto(_STAMP.pack(now) + self._payload, (self.address, self.port))
        except OSError:  # the buffer is full, or there is no route now: lost, as it is by the network
            self._refused += 1
        self._sent += 1
        self.loop.at(self.started + self._sent * self._gap, self._send)

    def _take(self, events: int) -> None:
        self.drain()

    def drain(self) -> None:
        """Take all that have arrived."""
        if self._receiving is None:
            return
        while True:
            try:
                size = self._receiving.recv_into(self._buffer)
            except BlockingIOError:
                return
            now = self.loop.now
            delay = now - _STAMP.unpack_from(self._buffer)[0]
            if self.delays.values:
                # Smoothed as in RFC 3550, 6.4.1.
                self._jitter += (abs(delay - self.delays.values[-1]) - self._jitter) / 16
            self.delays.add(now, delay)
            self._arrived += 1
            self.received += size

    def stop(self) -> None:
        """What is on its way arrives."""
        if self.ended is None:
            self.ended = self.loop.now

    def close(self) -> None:
        """Close both sockets."""
        self.drain()
        self.stop()
        for sock in (self._sending, self._receiving):
            if sock is not None:
                self.loop.forget(sock)
                sock.close()
        self._sending = self._receiving = None

    def results(self) -> dict[str, float]:
        """With losses, delays of one way, and jitter."""
        found = {**super().results(), "sent": self._sent, "arrived": self._arrived, "jitter": self._jitter}
        if self._sent:
            found["loss"] = 1 - self._arrived / self._sent
        return {**found, **self.delays.results("delay")}


class Echoes(Running):
    """ICMP echo requests, at regular instants, whether the one before was answered or not."""

    def __init__(self, loop: Loop, name: str, hosts: tuple[Host, Host], port: int, part: model.Ping) -> None:
        super().__init__(loop, name, hosts, port)
        self._part = part
        self._sock: Socket | None = None
        self._sent = 0
        self._asked: dict[int, float] = {}

    def start(self) -> None:
        """Send the first one."""
        self.started = self.loop.now
        self._sock = self.source.socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._sock.setblocking(False)
        self.loop.watch(self._sock, READ, self._take)
        self._send()

    def _send(self) -> None:
        if self._sock is None or self.ended is not None:
            return
        assert self.started is not None
        number = self._sent % _NUMBERS
        self._sent += 1
        # The port is another one for every flow, and so tells whose answer it is.
        request = echo_request(_VERSION, self.port & 0xFFFF, number, self._part.size)
        try:
            self._sock.sendto(request, (self.address, 0))
            self._asked[number] = self.loop.now
        except OSError:  # no route now
            self._asked.pop(number, None)
        self.loop.at(self.started + self._sent * self._part.interval, self._send)

    def _take(self, events: int) -> None:
        assert self._sock is not None
        while True:
            try:
                packet = self._sock.recv(_BUFFER_BYTES)
            except (BlockingIOError, ConnectionError):
                return
            number = echo_reply(_VERSION, packet, self.port & 0xFFFF)
            asked = self._asked.pop(number, None) if number is not None else None
            if asked is not None:
                self.received += self._part.size
                self.delays.add(self.loop.now, self.loop.now - asked)

    def stop(self) -> None:
        """Answers still count."""
        if self.ended is None:
            self.ended = self.loop.now

    def close(self) -> None:
        """Close the socket."""
        self.stop()
        if self._sock is not None:
            self.loop.forget(self._sock)
            self._sock.close()
            self._sock = None

    def results(self) -> dict[str, float]:
        """Losses and round trips."""
        found = {**super().results(), "sent": self._sent, "arrived": len(self.delays.values)}
        if self._sent:
            found["loss"] = 1 - len(self.delays.values) / self._sent
        return {**found, **self.delays.results("delay")}
