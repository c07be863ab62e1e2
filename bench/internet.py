"""A download from a server on this machine's loopback, by the way to the Internet that needs no rights."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from liblinux import Network
from liblinux.network import Internet
from measure import OURS, Row, medians
from subjects import Bench

_TARGET_GBIT = 2.0
_WHOLE, _QUICK = 10**9, 10**8
_CHUNK_BYTES = 1 << 20
# A process of its own: it shall not wait for the interpreter of the client.
_SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
data = bytes(1 << 20)
while True:
    client, _ = server.accept()
    with client:
        count = int(client.recv(100))
        while count > 0:
            count -= client.send(data[:count])
"""


@contextmanager
def _serving() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def _download(create_connection: object, address: tuple[str, int], count: int) -> float:
    """Gbit/s."""
    assert callable(create_connection)
    buffer = bytearray(_CHUNK_BYTES)
    with create_connection(address) as client:
        start = time.perf_counter()
        client.sendall(str(count).encode())
        left = count
        while left:
            left -= client.recv_into(buffer)
        return count * 8 / (time.perf_counter() - start) / 1e9


def measure(bench: Bench) -> list[Row]:
    """The same client and server, through the library's stack and libslirp, and without."""
    count = _QUICK if bench.quick else _WHOLE
    with _serving() as port, Network() as net:
        internet, host = Internet(), net.host("a")
        net.link(host, internet)
        net.up()
        figures, skipped = medians(
            {
                OURS: lambda: _download(host.socket.create_connection, (internet.gateway, port), count),
                "host loopback": lambda: _download(socket.create_connection, ("127.0.0.1", port), count),
            },
            min(bench.rounds, 3),
        )
    return [
        Row(
            "internet",
            f"download of {count // 10**6} MB from this machine, internet=True",
            "Gbit/s",
            "2 Gbit/s",
            figures,
            figures[OURS] >= _TARGET_GBIT,
            {},
            skipped,
        )
    ]
