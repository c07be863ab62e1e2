"""Sockets of a kernel: the shape of the standard library's, over the kernel's own loopback."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time

import pytest

import liblinux


@pytest.fixture
def kernel(either_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return either_kernel


def pair(kernel: liblinux.Kernel, family: int = socket.AF_INET) -> tuple[liblinux.Socket, liblinux.Socket]:
    """Both ends of a TCP connection over loopback."""
    with kernel.socket.create_server(("", 0), family=family) as server:
        port = server.getsockname()[1]
        client = kernel.socket.socket(family)
        client.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        accepted, address = server.accept()
    assert address == client.getsockname()
    return client, accepted


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp(kernel: liblinux.Kernel, family: int) -> None:
    client, server = pair(kernel, family)
    with client, server:
        client.sendall(b"question")
        assert server.recv(100) == b"question"
        buffer = bytearray(8)
        server.send(b"answer")
        assert client.recv_into(buffer) == 6 and buffer[:6] == b"answer"
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        assert client.getpeername() == server.getsockname()
        assert client.family is family and client.type is socket.SOCK_STREAM


@pytest.mark.parametrize("room", [16 * 1024, 256 * 1024, 256 * 1024 + 1])
def test_little_received_into_much_room(kernel: liblinux.Kernel, room: int) -> None:
    client, server = pair(kernel)
    with client, server:
        server.settimeout(0.01)
        with pytest.raises(TimeoutError):
            server.recv(room)
        kept = []
        for number in range(3):
            client.sendall(b"%d" % number * 9)
            kept.append(server.recv(room))
        # Each is its own: what comes later does not write into what came before.
        assert kept == [b"000000000", b"111111111", b"222222222"]
        client.sendall(bytes(range(256)) * 1024)
        received = bytearray()
        while len(received) < 256 * 1024:
            received += server.recv(room)
        assert received == bytes(range(256)) * 1024
        client.shutdown(socket.SHUT_WR)
        assert server.recv(room) == b""


def test_two_threads_receive_into_much_room(kernel: liblinux.Kernel) -> None:
    pairs = [pair(kernel), pair(kernel)]
    received: list[bytes] = [b"", b""]

    def wait(at: int) -> None:
        received[at] = pairs[at][1].recv(1 << 17)

    threads = [threading.Thread(target=wait, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for at in (1, 0):
        pairs[at][0].sendall(b"to %d" % at)
    for thread in threads:
        thread.join()
    for ends in pairs:
        for sock in ends:
            sock.close()
    assert received == [b"to 0", b"to 1"]


def test_udp(kernel: liblinux.Kernel) -> None:
    with (
        kernel.socket.socket(type=socket.SOCK_DGRAM) as one,
        kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        other.bind(("localhost", 0))
        assert other.sendto(b"datagram", one.getsockname()) == 8
        assert one.recvfrom(100) == (b"datagram", other.getsockname())
        one.sendto(b"more", socket.MSG_DONTWAIT, other.getsockname())
        buffer = bytearray(10)
        assert other.recvfrom_into(buffer) == (4, one.getsockname())
        other.sendto(b"cut", one.getsockname())
        assert one.recv(1, socket.MSG_TRUNC) == b"c"
        other.sendto(bytes(20_000), one.getsockname())
        assert one.recv(1 << 14, socket.MSG_TRUNC) == bytes(1 << 14)


def test_timeouts(kernel: liblinux.Kernel) -> None:
    client, server = pair(kernel)
    with client, server:
        client.settimeout(0.05)
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            client.recv(1)
        assert time.monotonic() - started >= 0.05
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        assert client.gettimeout() == 0
        client.settimeout(None)
        server.send(b"x")
        assert client.recv(1) == b"x"


def test_connection_refused(kernel: liblinux.Kernel) -> None:
    with kernel.socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            kernel.socket.create_connection(sock.getsockname())
        with kernel.socket.socket() as other:
            assert other.connect_ex(sock.getsockname()) == errno.ECONNREFUSED


def test_broken_pipe_is_an_error_and_not_the_end_of_the_process(kernel: liblinux.Kernel) -> None:
    process = kernel.process()
    one, other = process.socket.socketpair()
    other.close()
    with one, pytest.raises(BrokenPipeError):
        one.send(b"x")
    reader, writer = process.os.pipe()
    process.os.close(reader)
    with pytest.raises(BrokenPipeError):
        process.os.write(writer, b"x")
    assert process.syscall("getpid") == process.pid
    process.close()


def test_messages(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other:
        assert one.sendmsg([b"one ", bytearray(b"message")]) == 11
        assert other.recvmsg(100)[0] == b"one message"
        first, second = bytearray(3), bytearray(100)
        one.sendmsg([b"scattered"])
        assert other.recvmsg_into([first, second])[0] == 9
        assert first + second[:6] == b"scattered"


def test_descriptors_travel(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other:
        reader, writer = kernel.os.pipe()
        kernel.socket.send_fds(one, [b"fd"], [writer])
        kernel.os.close(writer)
        data, fds, _, _ = kernel.socket.recv_fds(other, 10, 4)
        assert data == b"fd" and len(fds) == 1
        kernel.os.write(fds[0], b"through")
        assert kernel.os.read(reader, 100) == b"through"
        for fd in (*fds, reader):
            kernel.os.close(fd)


def test_credentials_of_the_sender(kernel: liblinux.Kernel) -> None:
    one, other = kernel.socket.socketpair()
    with one, other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        one.send(b"who am I?")
        _, [(level, kind, raw)], _, _ = other.recvmsg(100, 100)
        assert (level, kind) == (socket.SOL_SOCKET, kernel.socket.SCM_CREDENTIALS)
        assert struct.unpack("=III", raw) == (1, 0, 0)


def test_two_threads(kernel: liblinux.Kernel) -> None:
    """One waits in the kernel, the other one comes and sends."""
    client, server = pair(kernel)

    def echo() -> None:
        while data := server.recv(1000):
            server.sendall(data)

    with client, server:
        thread = threading.Thread(target=echo)
        thread.start()
        for size in (1, 10, 1000):
            client.sendall(b"x" * size)
            received = b""
            while len(received) < size:
                received += client.recv(1000)
            assert received == b"x" * size
        client.shutdown(socket.SHUT_WR)
        thread.join()


def test_sockets_of_a_namespace_of_its_own(kernel: liblinux.Kernel) -> None:
    process = kernel.process(namespaces=("net",))
    with kernel.socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(ConnectionRefusedError):
            process.socket.create_connection(server.getsockname())
        kernel.socket.create_connection(server.getsockname()).close()
    process.close()


def test_forgotten_socket_is_closed_with_a_warning(shared_kernel: liblinux.Kernel) -> None:
    sock = shared_kernel.socket.socket()
    fd = sock.fileno()
    holder = [sock]
    del sock
    with pytest.warns(ResourceWarning, match="unclosed <liblinux.Socket fd"):
        holder.clear()
    assert shared_kernel.os.call("fcntl", fd, 1, 0) == -errno.EBADF


def test_closed_kernel() -> None:
    with liblinux.Kernel() as kernel:
        sock = kernel.socket.socket()
    with pytest.raises(liblinux.KernelClosed):
        sock.connect(("127.0.0.1", 1))
    sock.close()
    assert sock.fileno() == -1


def test_process_that_ends_takes_its_sockets_along(kernel: liblinux.Kernel) -> None:
    process = kernel.process()
    sock = process.socket.socket()
    process.close()
    assert sock.fileno() == -1
    with pytest.raises(liblinux.KernelClosed, match="has exited"):
        sock.listen()


@pytest.mark.parametrize("held", [False, True])
def test_the_loopback_is_there_after_a_restore(held: bool) -> None:
    """And it is set up when sockets are used, so that a kernel that was put back is what it was."""
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        state = kernel.snapshot()
        before, seen = kernel.now(), []
        module = kernel.socket
        for _ in range(3):
            if not held:
                module = kernel.socket
            with module.create_server(("127.0.0.1", 80)):
                module.create_connection(("127.0.0.1", 80)).close()
            seen.append(kernel.now())
            kernel.restore(state)
            assert kernel.now() == before
        assert held or len(set(seen)) == 1


def test_sockets_and_snapshots() -> None:
    with liblinux.Kernel() as kernel:
        kept, other = kernel.socket.socketpair()
        state = kernel.snapshot()
        lost = kernel.socket.socket()
        kept.send(b"gone")
        kernel.restore(state)
        assert lost.fileno() == -1
        with pytest.raises(OSError) as caught:
            lost.listen()
        assert caught.value.errno == errno.EBADF
        kept.send(b"there")
        assert other.recv(100) == b"there"
        kept.close()
        other.close()
