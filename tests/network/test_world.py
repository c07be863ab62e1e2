"""Links to this machine: each kind of device, what it says when it cannot, and what becomes of it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from liblinux import Network
from liblinux.network import Device, FrameSocket, HostInterface, Internet, Tap
from ports import free_port
from until import LONG_SECONDS, until


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """To nobody."""


@pytest.fixture
def web() -> Iterator[int]:
    """The port of an HTTP server on this machine's loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


PROGRAM = """
    import http.client, os, sys
    from liblinux import Network
    from liblinux.network import Internet

    def fetch():
        with Network() as net:
            internet = Internet()
            host = net.host("a")
            net.link(host, internet)
            net.up()
            connection = http.client.HTTPConnection(internet.gateway, int(sys.argv[1]))
            connection._create_connection = host.socket.create_connection
            connection.request("GET", "/page")
            return connection.getresponse().read().decode()

    if os.getuid() == 0:
        fetch()  # everything is imported then, from where only root may look perhaps
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    assert 0 not in os.getresuid(), "an ordinary user"
    print(fetch())
"""


def test_an_ordinary_user_fetches_a_page_from_the_loopback(web: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(web)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "you asked for /page"), done.stderr


def test_the_internet_forwards_ports_and_answers_ping() -> None:
    with Network() as net:
        internet = Internet()
        host = net.host("a")
        net.link(host, internet)
        net.up()
        assert host.ping(internet.gateway, timeout=LONG_SECONDS).received == 1
        with host.socket.create_server(("", 80)) as server:
            with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="use"):
                internet.forward(taken.getsockname()[1], to=80)
            port = free_port()
            internet.forward(port, to=80)
            with socket.create_connection(("127.0.0.1", port), timeout=LONG_SECONDS) as client:
                accepted, _ = server.accept()
                with accepted:
                    client.sendall(b"hello")
                    assert accepted.recv(5) == b"hello"
        assert internet.traffic.frames_in and internet.traffic.frames_out
        assert internet.error is None


@pytest.mark.parametrize("loopback", [True, False])
def test_the_loopback_of_this_machine_may_be_kept_from_it(web: int, loopback: bool) -> None:
    with Network() as net:
        internet = Internet(loopback=loopback)
        host = net.host("a")
        net.link(host, internet)
        net.up()
        if loopback:
            host.socket.create_connection((internet.gateway, web), timeout=LONG_SECONDS).close()
        else:
            with pytest.raises(OSError) as caught:
                host.socket.create_connection((internet.gateway, web), timeout=LONG_SECONDS)
            assert caught.value.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED)


def test_datagrams_are_forwarded_both_ways() -> None:
    port = free_port(socket.SOCK_DGRAM)
    with Network() as net:
        internet = Internet()
        host = net.host("a")
        net.link(host, internet)
        net.up()
        internet.forward(port, to=7, udp=True)
        with (
            host.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
        ):
            inside.bind(("", 7))
            outside.settimeout(LONG_SECONDS)
            inside.settimeout(1)

            def arrives() -> bool:
                """Datagrams may be lost: libslirp keeps one for a second, until it knows who has the address."""
                outside.sendto(b"question", ("127.0.0.1", port))
                with contextlib.suppress(TimeoutError):
                    came.append(inside.recvfrom(100))
                return bool(came)

            came: list[tuple[bytes, tuple[str, int]]] = []
            until(arrives, "a datagram arrives")
            data, sender = came[0]
            inside.sendto(data.upper(), sender)
            assert outside.recv(100) == b"QUESTION"


def test_internet_for_every_host(web: int) -> None:
    with Network(internet=True) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b)
        for host in (a, b):
            gateway = host.ip.get_default_routes(family=socket.AF_INET)[0].get_attr("RTA_GATEWAY")
            with host.socket.create_connection((gateway, web), timeout=LONG_SECONDS) as client:
                client.sendall(b"GET /it HTTP/1.0\r\n\r\n")
                assert b"200 OK" in client.recv(1000)
        assert a.ping("b", timeout=LONG_SECONDS).received == 1


def test_fragments_pass_at_the_mtu_of_the_link() -> None:
    with Network() as net:
        internet = Internet()
        net.link(net.host("a"), internet, mtu=1500)
        net.up()
        assert net.ping("a", internet.gateway, size=4000, timeout=LONG_SECONDS).received == 1


@contextlib.contextmanager
def _joined(first: Device, second: Device, **options: object) -> Iterator[tuple[Network, Network]]:
    """Two networks of a host each, in one subnet, joined outside."""
    with Network() as one, Network() as other:
        for net, device, number in ((one, first, 1), (other, second, 2)):
            addresses = ([f"10.7.0.{number}/24", f"fd07::{number}/64"], None)
            net.link(net.host("h"), device, addresses=addresses, **options)  # type: ignore[arg-type]
            net.up()
        yield one, other


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_two_kernels_are_joined_by_a_socket(kind: socket.SocketKind) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, kind)
    with _joined(FrameSocket(here), FrameSocket(there)) as (one, other):
        a, b = one.hosts["h"], other.hosts["h"]
        for address in ("10.7.0.2", "fd07::2"):
            assert a.ping(address, count=2, interval=0, timeout=LONG_SECONDS).received == 2
        with b.socket.create_server(("", 80)) as server, a.socket.create_connection(("10.7.0.2", 80)) as client:
            accepted, _ = server.accept()
            with accepted:
                data = os.urandom(100_000)
                sender = threading.Thread(target=client.sendall, args=(data,))
                sender.start()
                received = b""
                while len(received) < len(data):
                    received += accepted.recv(65536)
                sender.join()
        assert received == data


def test_a_link_outside_has_delay_and_is_captured(tmp_path: Path) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _joined(FrameSocket(here), FrameSocket(there), delay="10ms") as (one, _):
        with one.capture(tmp_path / "x.pcapng", host="h") as capture:
            times = one.ping("h", "10.7.0.2", count=20, interval=0, timeout=LONG_SECONDS).times[1:]
        assert 0.02 <= min(time for time in times if time) < 0.2, "the delays of what either side sends"
        assert capture.packets >= 4


def _ended(device: Device) -> OSError | None:
    """What a device says that has ended, or will soon."""
    until(lambda: device.error is not None, "the device ends")
    return device.error


def test_the_other_end_vanishes() -> None:
    here, there = socket.socketpair()
    with Network() as net:
        device = FrameSocket(here, "the far end")
        host = net.host("a")
        net.link(host, device)
        net.up()
        assert device.error is None
        there.close()
        error = _ended(device)
        assert isinstance(error, BrokenPipeError | ConnectionResetError)
        assert "the far end" in str(error)
        assert host.ip.link("get", ifname="eth0")[0].get_attr("IFLA_CARRIER") == 0


def test_what_is_no_frame_on_a_stream_ends_it() -> None:
    here, there = socket.socketpair()
    with there, Network() as net:
        device = FrameSocket(here)
        host = net.host("a")
        net.link(host, device)
        net.up()
        there.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert "rotocol error" in str(_ended(device))


def test_frames_longer_than_the_mtu_are_dropped() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there, Network() as net:
        device = FrameSocket(here)
        host = net.host("a")
        net.link(host, device, mtu=1500)
        net.up()
        mac = bytes.fromhex("020000010001")
        there.send(mac + b"\x02" + bytes(5) + b"\x08\x00" + b"\x45" + bytes(60_000))
        there.send(bytes(3))
        assert host.ping("10.0.0.1").received == 1, "itself"
        # A frame counts until it is known that it cannot be had.
        until(lambda: device.traffic.dropped_in, "both have been looked at")
        assert device.traffic.dropped_in >= 1, "three bytes are no frame"
        assert device.error is None


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Tap("a b"), ValueError, "no name"),
        (lambda: Tap("x" * 16), ValueError, "15 letters"),
        (lambda: HostInterface(""), ValueError, "no name"),
        (lambda: FrameSocket(socket.socket()), ValueError, "not connected"),
        (lambda: FrameSocket.unix("/nonexistent/socket"), FileNotFoundError, "nonexistent"),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_bad_devices(make: object, error: type[Exception], says: str) -> None:
    assert callable(make)
    with pytest.raises(error, match=says):
        make()


def test_a_virtual_clock_and_the_world_do_not_meet() -> None:
    with Network(clock="virtual") as net, pytest.raises(ValueError, match="clock='real'"):
        net.link(net.host("a"), Internet())


def test_a_device_has_one_link() -> None:
    with Network() as net:
        device = Internet()
        net.link(net.host("a"), device)
        with pytest.raises(ValueError, match="already"):
            net.link(net.host("b"), device)


def test_what_was_sent_before_the_network_was_closed_goes_out() -> None:
    """Or a connection that was closed at last would be open for ever at the other end."""
    for _ in range(4):
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            with Network(ipv6=None) as net:
                host = net.host("a")
                net.link(host, FrameSocket(here))
                with host.socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
                    sock.bind(("eth0", 0))
                    frames = [bytes(12) + b"\x88\xb5" + number.to_bytes(50, "big") for number in range(300)]
                    for frame in frames:
                        sock.send(frame)
            assert list(iter(lambda: there.recv(1 << 16), b"")) == frames  # noqa: B023 - called at once
