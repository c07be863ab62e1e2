"""Names: tables of the kernel, and DNS over its network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

import liblinux


@pytest.fixture
def kernel(either_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return either_kernel


_ZONE = {
    ("www.example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("www.example.com.", "AAAA"): ["2001:db8::1"],
    ("four.example.com.", "A"): ["192.0.2.4"],
    ("big.example.com.", "A"): [f"192.0.2.{last}" for last in range(1, 200)],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["www.example.com."],
}
_ALIAS = ("alias.example.com.", "www.example.com.")


def _respond(wire: bytes, room: int) -> bytes:
    """What a name server answers."""
    query = dns.message.from_wire(wire)
    question = query.question[0]
    name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
    response = dns.message.make_response(query)
    if name == _ALIAS[0]:
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", _ALIAS[1]))
        name = _ALIAS[1]
    if (name, kind) in _ZONE:
        response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *_ZONE[name, kind]))
    elif not any(known == name for known, _ in _ZONE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    answer = response.to_wire()
    if len(answer) > room:
        response.answer.clear()
        response.flags |= dns.flags.TC
        answer = response.to_wire()
    return answer


@contextlib.contextmanager
def name_server(kernel: liblinux.Kernel, respond: Callable[[bytes, int], bytes] = _respond) -> Iterator[int]:
    """A name server inside the kernel; its port. An empty message ends it."""
    module = kernel.socket
    with module.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        with module.create_server(("127.0.0.1", port)) as tcp:

            def serve() -> None:
                while True:
                    wire, peer = udp.recvfrom(4096)
                    if not wire:
                        return
                    answer = respond(wire, 512)
                    if not answer:
                        continue
                    udp.sendto(answer, peer)
                    if dns.message.from_wire(answer, ignore_trailing=True).flags & dns.flags.TC:
                        connection, _ = tcp.accept()
                        with connection, connection.makefile("rwb") as stream:
                            long = respond(stream.read(int.from_bytes(stream.read(2), "big")), 65535)
                            stream.write(len(long).to_bytes(2, "big") + long)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield port
            finally:
                with module.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                    last.sendto(b"", ("127.0.0.1", port))
                thread.join()


@pytest.fixture
def resolving(kernel: liblinux.Kernel) -> Iterator[liblinux.Kernel]:
    with name_server(kernel) as port:
        kernel.socket.nameservers[:] = [("127.0.0.1", port)]
        try:
            yield kernel
        finally:
            kernel.socket.nameservers.clear()


def addresses(kernel: liblinux.Kernel, name: str, family: int = 0) -> list[str]:
    return [info[4][0] for info in kernel.socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)]


def test_dns(resolving: liblinux.Kernel) -> None:
    assert sorted(addresses(resolving, "www.example.com")) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert addresses(resolving, "www.example.com", socket.AF_INET6) == ["2001:db8::1"]
    assert resolving.socket.gethostbyname("four.example.com") == "192.0.2.4"
    assert resolving.socket.gethostbyname_ex("alias.example.com")[0] == "www.example.com"
    infos = resolving.socket.getaddrinfo("alias.example.com", "http", socket.AF_INET, 0, 0, socket.AI_CANONNAME)
    assert infos[0][3] == "www.example.com" and infos[0][4][1] == 80
    assert resolving.socket.gethostbyaddr("192.0.2.1") == ("www.example.com", [], ["192.0.2.1"])
    assert resolving.socket.getnameinfo(("192.0.2.1", 80), 0) == ("www.example.com", "http")


def test_long_answer_by_tcp(resolving: liblinux.Kernel) -> None:
    assert len(addresses(resolving, "big.example.com", socket.AF_INET)) == 199


def test_name_that_does_not_exist(resolving: liblinux.Kernel) -> None:
    with pytest.raises(socket.gaierror, match="Name or service not known"):
        addresses(resolving, "nobody.example.com")
    with pytest.raises(socket.herror, match="Unknown host"):
        resolving.socket.gethostbyaddr("192.0.2.99")
    with pytest.raises(socket.gaierror):
        resolving.socket.getnameinfo(("192.0.2.99", 80), socket.NI_NAMEREQD)


def test_resolv_conf_of_the_kernel(kernel: liblinux.Kernel) -> None:
    """The server's address, the search list; a port is not to be had there, so the server is at 53."""
    answered = []

    def serve(sock: liblinux.Socket) -> None:
        for _ in range(2):
            wire, peer = sock.recvfrom(4096)
            answered.append(dns.message.from_wire(wire).question[0].name.to_text())
            sock.sendto(_respond(wire, 512), peer)

    kernel.os.makedirs("/etc", exist_ok=True)
    with kernel.open("/etc/resolv.conf", "w") as file:
        file.write("# ours\nnameserver 127.0.0.53\nsearch example.com\noptions timeout:30 attempts:1\n")
    with kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.53", 53))
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        assert kernel.socket.gethostbyname("four") == "192.0.2.4"
        assert kernel.socket.gethostbyname("four.example.com") == "192.0.2.4"
        thread.join()
    assert answered == ["four.example.com.", "four.example.com."]
    kernel.os.unlink("/etc/resolv.conf")


@pytest.mark.parametrize("says", ["another number", "another question", "nothing"])
def test_server_that_is_silent_or_wrong(says: str) -> None:
    """Strangers' answers are not believed. By the real clock: a virtual one would not wait for the server's thread."""
    asked = []

    def nonsense(wire: bytes, room: int) -> bytes:
        asked.append(wire)
        if says == "another number":
            return bytes([wire[0] ^ 1]) + _respond(wire, room)[1:]
        other = dns.message.make_query("four.example.com", "A")
        other.id = dns.message.from_wire(wire).id
        return _respond(other.to_wire(), room) if says == "another question" else b""

    with liblinux.Kernel() as kernel:
        kernel.os.makedirs("/etc", exist_ok=True)
        with kernel.open("/etc/resolv.conf", "w") as file:
            file.write("options timeout:1 attempts:1\n")
        with name_server(kernel, nonsense) as port:
            kernel.socket.nameservers.append(("127.0.0.1", port))
            started = kernel.now()
            with pytest.raises(socket.gaierror, match=r"no answer from 127\.0\.0\.1") as caught:
                addresses(kernel, "www.example.com", socket.AF_INET)
            assert caught.value.errno == socket.EAI_AGAIN
            assert kernel.now() - started >= 10**9
    assert len(asked) == 1, "it was asked, and its answer was not taken"


def test_a_name_is_asked_for_as_long_as_it_is_told() -> None:
    """Twice five seconds, of the kernel's clock."""
    with (
        liblinux.Kernel(clock="virtual", seed=1) as kernel,
        kernel.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        silent.bind(("127.0.0.1", 0))
        kernel.socket.nameservers.append(silent.getsockname())
        started = kernel.now()
        with pytest.raises(socket.gaierror, match="no answer"):
            addresses(kernel, "www.example.com", socket.AF_INET)
        assert 10 * 10**9 <= kernel.now() - started < 11 * 10**9


def test_tables(kernel: liblinux.Kernel) -> None:
    kernel.socket.hosts["b"] = ["10.0.0.2", "fd00::2"]
    kernel.socket.hosts["router"] = "10.0.0.1"
    kernel.os.makedirs("/etc", exist_ok=True)
    with kernel.open("/etc/hosts", "w") as file:
        file.write("10.9.9.9 file.example file # a comment\n")
    assert kernel.socket.gethostbyname("router") == "10.0.0.1"
    assert sorted(addresses(kernel, "B")) == ["10.0.0.2", "fd00::2"]
    assert kernel.socket.gethostbyname("file") == "10.9.9.9"
    assert kernel.socket.gethostbyaddr("10.9.9.9") == ("file.example", ["file"], ["10.9.9.9"])
    assert kernel.socket.getfqdn("file") == "file.example"
    assert addresses(kernel, "localhost") == ["::1", "127.0.0.1"]
    assert addresses(kernel, kernel.socket.gethostname(), socket.AF_INET) == ["127.0.0.1"]
    with pytest.raises(socket.gaierror) as caught:
        addresses(kernel, "router", socket.AF_INET6)
    assert caught.value.errno == socket.EAI_NODATA
    kernel.os.unlink("/etc/hosts")
    kernel.socket.hosts.clear()


def test_numbers_are_as_in_the_standard_library(kernel: liblinux.Kernel) -> None:
    for arguments in (
        ("127.0.0.1", 80),
        ("::1", "https", 0, socket.SOCK_STREAM),
        (None, 0, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE),
        (None, 8080),
        ("10.1", None, socket.AF_INET),
    ):
        assert kernel.socket.getaddrinfo(*arguments) == socket.getaddrinfo(*arguments)
    for wrong in (("1.2.3.4", 80, socket.AF_INET6), ("127.0.0.1", "no-such-service"), ("x", 1, 0, 0, 0, 4)):
        with pytest.raises(socket.gaierror):
            kernel.socket.getaddrinfo(*wrong)


def test_create_connection_tries_all_addresses(kernel: liblinux.Kernel) -> None:
    kernel.socket.hosts["service"] = ["::1", "127.0.0.1"]
    with kernel.socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with kernel.socket.create_connection(("service", port), timeout=60) as client:
            assert client.getpeername() == ("127.0.0.1", port) and client.gettimeout() == 60
    with pytest.raises(ExceptionGroup) as caught:
        kernel.socket.create_connection(("service", port), all_errors=True)
    assert [type(one) for one in caught.value.exceptions] == [ConnectionRefusedError, ConnectionRefusedError]
    kernel.socket.hosts.clear()
