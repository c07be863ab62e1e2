"""Garbage frames into `Internet()`: random and mutated ones; afterwards a page is still fetched through it.

    unshare --net --map-root-user sh -c 'ip link set lo up; exec "$@"' sh \\
        python tests/reliability/frames_internet.py [--count 1000000] [--seed 1] [--kernel 6.1]

In a network namespace without routes, for garbage must reach nobody. A host speaks through libslirp in all the
ways that there are; what it said, and what is nearly that, is sent again by a packet socket on its interface. Half
of it has right checksums, or nothing would come far. What is printed is one line of JSON: frames that left the host,
how often libslirp was begun anew, seconds, and what was fetched before and after.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import itertools
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import frames

from liblinux import Host, Network
from liblinux.network import Internet

__all__ = ["bombard", "fetch"]

# Frames that are thought of; the others are these, changed once more.
_POOL = 40_000
# The queue of a TAP device holds a thousand.
_AT_ONCE, _STEP = 800, 100
_OUTGOING = 4  # PACKET_OUTGOING
_ALL = 0x0300  # htons(ETH_P_ALL)
_TCP, _UDP = 6, 17


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"still here"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """To nobody."""


class _Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def _serving() -> Iterator[tuple[int, int]]:
    """Ports of an HTTP server on the loopback, of IPv4 and of IPv6."""
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as four,
        _Server6(("::1", 0), _Page) as six,
    ):
        for server in (four, six):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield four.server_port, six.server_port
        for server in (four, six):
            server.shutdown()


def fetch(host: Host, address: str, port: int) -> str:
    """A page, by the HTTP client of the standard library."""
    connection: Any = http.client.HTTPConnection(address, port, timeout=20)
    connection._create_connection = host.socket.create_connection
    try:
        connection.request("GET", "/")
        return str(connection.getresponse().read().decode())
    finally:
        connection.close()


def _said(host: Host, device: Internet, ports: tuple[int, int]) -> list[bytes]:
    """What the host sends while it fetches, asks for names, pings, sends long datagrams and urgent data."""
    seen = []
    assert device.gateway6 is not None
    with host.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _ALL) as tap:
        fetch(host, device.gateway, ports[0])
        fetch(host, device.gateway6, ports[1])
        host.ping(device.gateway, timeout=5)
        host.ping(device.gateway6, timeout=5)
        for family, address in ((socket.AF_INET, device.gateway), (socket.AF_INET6, device.gateway6)):
            with host.socket.socket(family, socket.SOCK_DGRAM) as sock:
                for length in (0, 40, 1400, 60000 if family == socket.AF_INET else 9000):
                    sock.sendto(bytes(length), (address, 53 if length == 40 else 9))
        with host.socket.create_connection((device.gateway, ports[0])) as sock:
            sock.send(b"GET", socket.MSG_OOB)
        tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, address = tap.recvfrom(1 << 17)
                if address[2] == _OUTGOING:
                    seen.append(frame)
    return seen


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(memoryview(data).cast("H"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _right_checksum(frame: bytes) -> bytes:
    """With the checksum of TCP or UDP as it should be, if it is one of these."""
    data = bytearray(frame)
    four = data[12:14] == b"\x08\x00"
    above = 14 + ((data[14] & 15) << 2 if four and len(data) > 34 else 40)
    if len(data) < above + 20 or not (four or data[12:14] == b"\x86\xdd"):
        return frame
    protocol = data[23] if four else data[20]
    at = {_TCP: 16, _UDP: 6}.get(protocol)
    if at is None:
        return frame
    addresses = bytes(data[26:34] if four else data[22:54])
    data[above + at : above + at + 2] = b"\0\0"
    pseudo = addresses + bytes((0, protocol)) + (len(data) - above).to_bytes(2, "big")
    data[above + at : above + at + 2] = _sum(pseudo + bytes(data[above:])).to_bytes(2, sys.byteorder)
    return bytes(data)


def garbage(seed: int, right: list[bytes]) -> Iterator[bytes]:
    """Frames without end, the same for the same seed."""
    chance = random.Random(seed)
    maker = frames.Frames(seed, right)
    pool = []
    for number in range(_POOL):
        frame = maker.make()[:2000]
        pool.append(_right_checksum(frame) if number % 2 else frame)
        yield pool[-1]
    places = [chance.random() for _ in range(4093)]
    for number in itertools.count():
        frame = pool[number % len(pool)]
        if number % 3 and frame:
            data = bytearray(frame)
            data[int(places[number % 4093] * len(data))] = number * 167 & 0xFF
            yield data  # type: ignore[misc]
        else:
            yield frame


def _send(sock: Any, device: Internet, garbage: Iterator[bytes], count: int) -> None:
    """So many that arrive, and no more at once than the queue of the link holds."""
    begin = device.traffic.frames_out
    sent = arrived = lost = 0
    while arrived < count and device.error is None:
        try:
            sock.send(next(garbage))
        except OSError:
            continue  # what is no frame
        sent += 1
        if sent % _STEP:
            continue
        for _ in range(100):
            arrived = device.traffic.frames_out - begin
            if sent - lost - arrived <= _AT_ONCE:
                break
            time.sleep(0.0005)
        else:
            lost = sent - arrived


def bombard(seed: int, count: int, *, version: str | None = None) -> dict[str, object]:
    """Send `count` frames; what came of it. RuntimeError where they could reach somebody."""
    if Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        raise RuntimeError("garbage must reach nobody: begin with 'unshare --net --map-root-user'")
    with _serving() as ports, Network(version=version) as net:
        device, host = Internet(), net.host("a")
        net.link(host, device, addresses=(["10.66.0.2/24", "fd66::2/64"], None))
        net.up()
        before = [fetch(host, device.gateway, ports[0])]
        right = _said(host, device, ports)
        start, already = time.monotonic(), device.traffic.frames_out
        with host.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind(("eth0", 0))
            _send(sock, device, garbage(seed, right), count)
        seconds = time.monotonic() - start
        assert host.ping("127.0.0.1").received == 1
        assert device.gateway6 is not None
        return {
            "frames": device.traffic.frames_out - already,
            "restarts": device.restarts,
            "error": str(device.error) if device.error else None,
            "seconds": round(seconds, 1),
            "before": before,
            "after": [fetch(host, device.gateway, ports[0]), fetch(host, device.gateway6, ports[1])],
        }


def main() -> None:
    """The command line."""
    options = frames.arguments(__doc__).parse_args()
    sys.stdout.write(json.dumps(bombard(options.seed, options.count, version=options.kernel)) + "\n")


if __name__ == "__main__":
    main()
