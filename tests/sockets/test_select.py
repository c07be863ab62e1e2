"""`kernel.select` and its selectors."""

from __future__ import annotations

import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import liblinux


@pytest.fixture
def kernel(either_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return either_kernel


def test_select(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other:
        assert kernel.select.select([one, other], [one], [], 0) == ([], [one], [])
        one.send(b"x")
        assert kernel.select.select([one, other.fileno()], [], [other]) == ([other.fileno()], [], [])
    with pytest.raises(ValueError, match="negative"):
        kernel.select.select([one], [], [], 0)
    with socket.socket() as host, pytest.raises(TypeError, match="socket of the host"):
        kernel.select.select([host], [], [])
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.select.select([999], [], [])


def test_poll(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other:
        poll = kernel.select.poll()
        poll.register(one, select.POLLIN)
        started = time.monotonic()
        assert poll.poll(30) == []
        assert time.monotonic() - started >= 0.03
        other.send(b"x")
        assert poll.poll() == [(one.fileno(), select.POLLIN)]
        poll.modify(one, select.POLLIN | select.POLLOUT)
        assert poll.poll() == [(one.fileno(), select.POLLIN | select.POLLOUT)]
        poll.unregister(one)
        assert poll.poll(0) == []
        with pytest.raises(KeyError):
            poll.unregister(one)
        with pytest.raises(FileNotFoundError):
            poll.modify(one, 0)


def test_epoll(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other, kernel.select.epoll() as epoll:
        epoll.register(one, select.EPOLLIN | select.EPOLLET)
        with pytest.raises(FileExistsError):
            epoll.register(one)
        assert epoll.poll(0.01) == []
        other.send(b"x")
        assert epoll.poll() == [(one.fileno(), select.EPOLLIN)]
        assert epoll.poll(0) == []  # it is triggered by edges
        epoll.modify(one, select.EPOLLOUT)
        assert epoll.poll(maxevents=1) == [(one.fileno(), select.EPOLLOUT)]
        epoll.unregister(one)
        with pytest.raises(FileNotFoundError):
            epoll.unregister(one)
    assert epoll.closed
    with pytest.raises(ValueError, match="closed"):
        epoll.poll(0)


def test_files_of_the_kernel(kernel: liblinux.Kernel) -> None:
    reader, writer = kernel.os.pipe()
    with kernel.open(reader, "rb") as file, kernel.open(writer, "wb", buffering=0) as out:
        assert kernel.select.select([file], [out], [], 0) == ([], [out], [])
        out.write(b"x")
        assert kernel.select.select([file], [], [], 0) == ([file], [], [])


@pytest.mark.parametrize("name", ["DefaultSelector", "PollSelector"])
def test_selectors(kernel: liblinux.Kernel, name: str) -> None:
    """An echo server in the manner of the `selectors` module's documentation."""
    with kernel.socket.create_server(("127.0.0.1", 0)) as server, getattr(kernel.select, name)() as selector:
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ)

        def serve() -> None:
            served = 0
            while served < 2:
                for key, _ in selector.select():
                    if key.fileobj is server:
                        connection, _ = server.accept()
                        selector.register(connection, selectors.EVENT_READ)
                    elif data := key.fileobj.recv(100):
                        key.fileobj.sendall(data)
                    else:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                        served += 1

        thread = threading.Thread(target=serve)
        thread.start()
        clients = [kernel.socket.create_connection(server.getsockname()) for _ in range(2)]
        for number, client in enumerate(clients):
            client.sendall(b"hello %d" % number)
        for number, client in enumerate(clients):
            assert client.recv(100) == b"hello %d" % number
            client.close()
        thread.join()


def test_they_wait_as_long_as_they_are_told_to() -> None:
    """poll() by milliseconds, the others by seconds; by a virtual clock."""
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        first, second = kernel.socket.socketpair()
        with first, second, kernel.select.epoll() as epoll:
            poll = kernel.select.poll()
            for one in (poll, epoll):
                one.register(first, kernel.select.POLLIN)
            waits: dict[str, Callable[[], list[Any]]] = {
                "poll": lambda: poll.poll(250),
                "epoll": lambda: epoll.poll(0.25),
                "select": lambda: [x for x in kernel.select.select([first], [], [], 0.25) if x],
            }
            for name, wait in waits.items():
                start = kernel.now()
                assert wait() == []
                assert 250_000_000 <= kernel.now() - start < 250_500_000, name  # poll(2) has a slack of a thousandth
            second.send(b"x")
            start = kernel.now()
            assert all(wait() for wait in waits.values())
            assert kernel.now() - start < 10_000, "and not at all when there is something"
