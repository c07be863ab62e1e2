"""What may happen to libslirp: garbage, fragments that come the wrong way round, death, death again and again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liblinux import Host, Network
from liblinux.network import Internet
from ports import free_port
from until import LONG_SECONDS, until

_GARBAGE = Path(__file__).resolve().parent.parent / "reliability/frames_internet.py"
# Nobody is reached from there.
_NOWHERE = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]


@pytest.fixture
def joined() -> Iterator[tuple[Host, Internet]]:
    with Network() as net:
        internet, host = Internet(), net.host("a")
        net.link(host, internet, addresses=(["10.66.0.2/24", "fd66::2/64"], None))
        net.up()
        yield host, internet


def _libslirp(internet: Internet) -> int:
    """The process that may die: the child of the one that keeps it."""
    assert internet._program is not None
    keeper = internet._program.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children")
    # It says that one has died before it begins the next.
    until(lambda: children.read_text(encoding="ascii"), "libslirp is begun")
    return int(children.read_text(encoding="ascii"))


def _kill(internet: Internet) -> None:
    deaths = internet.restarts
    os.kill(_libslirp(internet), signal.SIGSEGV)
    until(lambda: internet.restarts > deaths or internet.error is not None, "its death is noticed")


def test_a_million_frames_of_garbage_and_then_a_page() -> None:
    done = subprocess.run(
        [*_NOWHERE, sys.executable, str(_GARBAGE), "--count", "1000000"],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["frames"] >= 1_000_000
    assert result["after"] == ["still here", "still here"], result
    assert (result["restarts"], result["error"]) == (0, None), "nothing of it reaches what libslirp dies of"


def test_the_last_fragment_may_come_first(joined: tuple[Host, Internet]) -> None:
    host, internet = joined
    assert host.ping(internet.gateway, timeout=LONG_SECONDS).received == 1
    with (
        host.socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock,
        host.socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as answers,
    ):
        answers.settimeout(LONG_SECONDS)
        echo = _with_checksum(struct.pack("!BBHHH", 8, 0, 0, 77, 1) + bytes(range(200)), 2)
        for offset, end in ((104, None), (48, 104), (0, 48)):
            more = 0x2000 if end else 0
            head = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 0, 9, more | offset // 8, 64, 1, 0,
                socket.inet_aton("10.66.0.2"), socket.inet_aton(internet.gateway),
            )  # fmt: skip
            sock.sendto(head + echo[offset:end], (internet.gateway, 0))
        answer: bytes = answers.recv(1000)
    assert answer[20] == 0 and answer[24:] == echo[4:], "what came back is what was sent, in one piece"
    assert internet.restarts == 0


def _with_checksum(data: bytes, at: int) -> bytes:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + (~total & 0xFFFF).to_bytes(2, "big") + data[at + 2 :]


def test_urgent_data_are_data(joined: tuple[Host, Internet]) -> None:
    host, internet = joined
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        host.socket.create_connection((internet.gateway, server.getsockname()[1])) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(LONG_SECONDS)
            client.send(b"one", socket.MSG_OOB)
            client.send(b"two")
            received = b""
            while len(received) < 6:
                received += accepted.recv(10)
            assert received == b"onetwo"


def _has_ipv6() -> bool:
    """Whether this machine's loopback has an address of it."""
    with socket.socket(socket.AF_INET6) as sock, contextlib.suppress(OSError):
        sock.bind(("::1", 0))
        return True
    return False


def test_who_is_refused_hears_it(joined: tuple[Host, Internet]) -> None:
    host, internet = joined
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address, has_it in ((internet.gateway, True), (internet.gateway6, _has_ipv6())):
        # A machine without IPv6 cannot ask anybody, and that is heard as well.
        with pytest.raises(ConnectionRefusedError if has_it else OSError):
            host.socket.create_connection((address, port), timeout=LONG_SECONDS)


def test_a_server_that_hangs_up_on_a_writer(joined: tuple[Host, Internet]) -> None:
    host, internet = joined
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        host.socket.create_connection((internet.gateway, server.getsockname()[1])) as client,
    ):
        accepted, _ = server.accept()
        accepted.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(1000):
                client.sendall(bytes(10000))
    assert host.ping(internet.gateway, timeout=LONG_SECONDS).received == 1
    assert (internet.restarts, internet.error) == (0, None)


def test_libslirp_is_begun_anew(joined: tuple[Host, Internet], caplog: pytest.LogCaptureFixture) -> None:
    host, internet = joined
    port = free_port()
    internet.forward(port, to=80)
    with caplog.at_level(logging.WARNING, "liblinux.internet"):
        _kill(internet)
    assert internet.restarts == 1
    assert "SIGSEGV" in caplog.text and "begun anew" in caplog.text
    assert host.ping(internet.gateway, timeout=LONG_SECONDS).received == 1
    with (
        host.socket.create_server(("", 80)) as server,
        socket.create_connection(("127.0.0.1", port), timeout=LONG_SECONDS) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello", "the port is forwarded again"
    assert internet.error is None


def test_a_loop_of_deaths_ends_in_an_error(joined: tuple[Host, Internet]) -> None:
    host, internet = joined
    for _ in range(200):  # eleven, when none of them takes a second
        if internet.error is None:
            _kill(internet)
    assert internet.restarts >= 10
    with pytest.raises(ConnectionAbortedError, match=r"ten times within ten seconds.*SIGSEGV.*capture"):
        raise internet.error or AssertionError("no error")
    assert host.ping("127.0.0.1").received == 1
    assert host.ping(internet.gateway, timeout=0.2).received == 0
