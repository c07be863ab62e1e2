"""TCP over loopback: one byte there and back, a stream, connections; from C and from Python, here and on the host.

One byte is passed to and fro by two that wait for each other, here two tasks of the
kernel on one thread, on the host two threads, anywhere and on one processor; and by
one that serves both ends, which never waits. What uses one processor uses the same
one, here and on the host: what else runs beside a processor differs. A stream from C
is served by one thread here, by one and by two on the host. In each row the host's
best counts. From Python the same code runs over `kernel.socket` and over `socket`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import liblinux
from liblinux import _native
from measure import OURS, Row, medians
from programs import compiled, run
from subjects import HERE, Bench

_BLOCK_BYTES = 128 * 1024
_HOST_WAYS_STREAM = ("stream", "pump")
_SOURCE = HERE / "native_sockets.c"
_SMOLTCP = {"smoltcp": "15.4 Gbit/s (published)"}


def _pair(module: Any) -> tuple[Any, Any]:
    with module.create_server(("127.0.0.1", 0)) as server:
        client = module.create_connection(server.getsockname())
        accepted, _ = server.accept()
    for sock in (client, accepted):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, accepted


def _between(module: Any, function: Callable[[Any, Any], float]) -> Callable[[], float]:
    """A measurement over a connection of its own."""

    def measured() -> float:
        client, server = _pair(module)
        with client, server:
            return function(client, server)

    return measured


# ---- one byte there and one back ---------------------------------------------------


def _on_one_processor(measured: Callable[[], float]) -> Callable[[], float]:
    """The measurement, by a thread, and by programs that it runs, on the first processor they may use."""

    def pinned() -> float:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            return measured()
        finally:
            os.sched_setaffinity(0, allowed)

    return pinned


def _one_thread(count: int) -> Callable[[Any, Any], float]:
    def exchange(client: Any, server: Any) -> float:
        ask, hear, answer, learn = client.send, server.recv, server.send, client.recv
        started = time.perf_counter()
        for _ in range(count):
            ask(b"?")
            hear(1)
            answer(b"!")
            learn(1)
        return (time.perf_counter() - started) / count * 1e6

    return exchange


def _two_threads(count: int) -> Callable[[Any, Any], float]:
    def exchange(client: Any, server: Any) -> float:
        def echo() -> None:
            for _ in range(count):
                server.send(server.recv(1))

        thread = threading.Thread(target=echo)
        thread.start()
        started = time.perf_counter()
        for _ in range(count):
            client.send(b"?")
            client.recv(1)
        seconds = time.perf_counter() - started
        thread.join()
        return seconds / count * 1e6

    return exchange


# ---- a stream ----------------------------------------------------------------------


def _pump(total: int) -> Callable[[Any, Any], float]:
    """Both ends by one thread."""

    def stream(client: Any, server: Any) -> float:
        data, buffer = bytes(_BLOCK_BYTES), bytearray(_BLOCK_BYTES)
        client.setblocking(False)
        left = total
        started = time.perf_counter()
        while left > 0:
            sent = client.send(data)
            left -= sent
            while sent > 0:
                sent -= server.recv_into(buffer)
        return total * 8 / (time.perf_counter() - started) / 1e9

    return stream


def _threads(total: int) -> Callable[[Any, Any], float]:
    """From one thread to another."""

    def stream(client: Any, server: Any) -> float:
        def drain() -> None:
            buffer = bytearray(_BLOCK_BYTES)
            left = total
            while left > 0:
                left -= server.recv_into(buffer)

        thread = threading.Thread(target=drain)
        started = time.perf_counter()
        thread.start()
        data, left = bytes(_BLOCK_BYTES), total
        while left > 0:
            left -= client.send(data[:left])
        thread.join()
        return total * 8 / (time.perf_counter() - started) / 1e9

    return stream


# ---- connections -------------------------------------------------------------------


def _connections(module: Any, count: int) -> Callable[[], float]:
    def connections() -> float:
        with module.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            started = time.perf_counter()
            for _ in range(count):
                client = module.socket()
                client.connect(address)
                accepted, _ = server.accept()
                client.close()
                accepted.close()
            return count / (time.perf_counter() - started)

    return connections


# ---- rows --------------------------------------------------------------------------


def _native_host(
    bench: Bench, ways: tuple[str, ...], *numbers: int, scale: float = 1
) -> dict[str, Callable[[], float]]:
    program = compiled(_SOURCE, bench.images.directory)

    def player(way: str) -> Callable[[], float]:
        return lambda: scale * float(run([program, way, *map(str, numbers)]))

    return {f"host, {way}": player(way) for way in ways}


def _faster(figures: dict[str, float], factor: float) -> bool | None:
    """Whether a time of ours is that much shorter than the best of the host's."""
    others = [value for name, value in figures.items() if name.startswith("host")]
    return figures[OURS] * factor <= min(others) if OURS in figures and others else None


def _at_least(figures: dict[str, float], figure: float = 0.0) -> bool | None:
    """Whether a rate of ours is as good as the best of the host's, and as a figure."""
    others = [value for name, value in figures.items() if name.startswith("host")]
    return figures[OURS] >= max([figure, *others]) if OURS in figures and others else None


def measure(bench: Bench) -> list[Row]:
    """Seven rows."""
    count = 10_000 if bench.quick else 50_000
    total = (1 << 28) if bench.quick else (1 << 31)
    host: ModuleType = socket
    with liblinux.Kernel() as kernel:
        process, ours = kernel._process, kernel.socket

        def exchange(tasks: int) -> Callable[[Any, Any], float]:
            return lambda client, server: (
                2e-3 * _native.exchange_nanoseconds(process, 2 * count, client.fileno(), server.fileno(), tasks)
            )

        def stream(client: Any, server: Any) -> float:
            return (
                total * 8 / _native.stream_nanoseconds(process, _BLOCK_BYTES, total, client.fileno(), server.fileno())
            )

        anywhere = _native_host(bench, ("exchange",), count, scale=1e-3)
        pinned = _native_host(bench, ("pinned", "polled"), count, scale=1e-3)
        two_c, two_skipped = medians(
            {
                OURS: _on_one_processor(_between(ours, exchange(2))),
                **anywhere,
                "host, pinned": _on_one_processor(pinned["host, pinned"]),
            },
            bench.rounds,
        )
        one_c, one_skipped = medians(
            {
                OURS: _on_one_processor(_between(ours, exchange(1))),
                "host, polled": _on_one_processor(pinned["host, polled"]),
            },
            bench.rounds,
        )
        byte_python, _ = medians(
            {OURS: _between(ours, _one_thread(count)), "host": _between(host, _one_thread(count))}, bench.rounds
        )
        byte_threads, _ = medians(
            {OURS: _between(ours, _two_threads(count // 5)), "host": _between(host, _two_threads(count // 5))},
            bench.rounds,
        )
        stream_c, _ = medians(
            {OURS: _between(ours, stream), **_native_host(bench, _HOST_WAYS_STREAM, _BLOCK_BYTES, total)}, bench.rounds
        )
        stream_python, _ = medians(
            {
                OURS: _between(ours, _pump(total)),
                "host": _between(host, _pump(total)),
                "liblinux, two threads": _between(ours, _threads(total)),
                "host, two threads": _between(host, _threads(total)),
            },
            bench.rounds,
        )
        connections, _ = medians(
            {OURS: _connections(ours, count // 10), "host": _connections(host, count // 10)}, bench.rounds
        )
    return [
        Row(
            "sockets",
            "TCP: 1 byte there and back, from C, two that wait",
            "us",
            "host / 10",
            two_c,
            _faster(two_c, 10),
            {},
            two_skipped,
        ),
        Row("sockets", "the same by one that never waits", "us", "", one_c, None, {}, one_skipped),
        Row("sockets", "the same from Python, one thread", "us", "host / 3", byte_python, _faster(byte_python, 3)),
        Row("sockets", "the same from Python, two threads", "us", "", byte_threads),
        Row(
            "sockets",
            "TCP: one stream, from C",
            "Gbit/s",
            "host, 100",
            stream_c,
            _at_least(stream_c, 100),
            _SMOLTCP,
        ),
        Row("sockets", "the same from Python", "Gbit/s", "host", stream_python, _at_least(stream_python)),
        Row(
            "sockets",
            "TCP: connections opened and closed, from Python",
            "/s",
            "host",
            connections,
            _at_least(connections),
        ),
    ]
