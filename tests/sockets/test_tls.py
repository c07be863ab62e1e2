"""TLS, HTTP and files over sockets of a kernel."""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import liblinux


@pytest.fixture
def kernel(either_kernel: liblinux.Kernel) -> liblinux.Kernel:
    return either_kernel


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for server.example, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=server.example", "-addext", "subjectAltName=DNS:server.example"]
    key = path.with_suffix(".key")
    subprocess.run([*command, *names, "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_text(key.read_text() + path.read_text())
    return path


@pytest.fixture
def contexts(kernel: liblinux.Kernel, certificate: Path) -> tuple[Any, Any]:
    server = kernel.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return kernel.ssl.create_default_context(cafile=str(certificate)), server


@pytest.fixture
def serving(kernel: liblinux.Kernel) -> Iterator[Callable[[Callable[[liblinux.Socket], None]], Any]]:
    """Serve one connection by a function; the address."""
    threads: list[threading.Thread] = []
    servers: list[liblinux.Socket] = []

    def serve(function: Callable[[liblinux.Socket], None]) -> Any:
        server = kernel.socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run() -> None:
            connection, _ = server.accept()
            function(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return server.getsockname()

    yield serve
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()


def test_tls(kernel: liblinux.Kernel, contexts: tuple[Any, Any], serving: Any) -> None:
    data = bytes(range(256)) * 4096

    def serve(connection: liblinux.Socket) -> None:
        with contexts[1].wrap_socket(connection, server_side=True) as tls:
            assert tls.recv(100) == b"send it"
            tls.sendall(data)

    plain = kernel.socket.create_connection(serving(serve))
    with contexts[0].wrap_socket(plain, server_hostname="server.example") as tls:
        assert plain.fileno() == -1
        assert tls.version() == "TLSv1.3" and tls.cipher()[0].startswith("TLS_")
        assert tls.getpeercert()["subjectAltName"] == (("DNS", "server.example"),)
        tls.sendall(b"send it")
        with tls.makefile("rb") as file:
            assert file.read() == data


def test_certificate_for_somebody_else(kernel: liblinux.Kernel, contexts: tuple[Any, Any], serving: Any) -> None:
    def serve(connection: liblinux.Socket) -> None:
        with connection, pytest.raises(ssl.SSLError, match=r"ALERT|alert"):
            contexts[1].wrap_socket(connection, server_side=True)

    plain = kernel.socket.create_connection(serving(serve))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        contexts[0].wrap_socket(plain, server_hostname="other.example")


def test_tls_without_waiting(kernel: liblinux.Kernel, contexts: tuple[Any, Any]) -> None:
    """Both ends in one thread, as an event loop does it; more data than the sockets hold."""
    one, other = kernel.socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    client = contexts[0].wrap_socket(one, server_hostname="server.example", do_handshake_on_connect=False)
    server = contexts[1].wrap_socket(other, server_side=True, do_handshake_on_connect=False)
    data = bytes(range(251)) * 20000
    with client, server:
        waiting = {client, server}
        while waiting:
            for end in tuple(waiting):
                try:
                    end.do_handshake()
                    waiting.discard(end)
                except ssl.SSLWantReadError:
                    continue
        sent, received = 0, bytearray()
        refused = 0
        while len(received) < len(data):
            try:
                while sent < len(data):
                    sent += client.send(data[sent:])
            except ssl.SSLWantWriteError:
                refused += 1
            try:
                while part := server.recv(65536):
                    received += part
            except ssl.SSLWantReadError:
                continue
        assert refused and received == data


def test_unwrap_gives_the_socket_back(kernel: liblinux.Kernel, contexts: tuple[Any, Any], serving: Any) -> None:
    def serve(connection: liblinux.Socket) -> None:
        with contexts[1].wrap_socket(connection, server_side=True).unwrap() as plain:
            plain.sendall(b"in clear")

    plain = kernel.socket.create_connection(serving(serve))
    tls = contexts[0].wrap_socket(plain, server_hostname="server.example")
    with tls.unwrap() as plain:
        assert plain.recv(100) == b"in clear"
        assert type(plain) is kernel.socket.socket


def test_tls_over_a_socket_of_the_host(contexts: tuple[Any, Any]) -> None:
    """The contexts are the standard library's for everything else."""
    one, other = socket.socketpair()
    with one, other, contexts[1].wrap_socket(one, server_side=True, do_handshake_on_connect=False) as tls:
        assert isinstance(tls, ssl.SSLSocket)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve_http(connection: Any) -> None:
    with connection:
        Handler(connection, ("kernel", 0), None)  # type: ignore[arg-type]  # it only looks at the connection


def test_http_client(kernel: liblinux.Kernel, serving: Any) -> None:
    connection = http.client.HTTPConnection("{}:{}".format(*serving(serve_http)), timeout=60)
    connection._create_connection = kernel.socket.create_connection  # type: ignore[attr-defined]
    for path in ("/one", "/two"):
        connection.request("GET", path)
        assert connection.getresponse().read() == f"you asked for {path}".encode()
    connection.close()


def test_https_client(kernel: liblinux.Kernel, contexts: tuple[Any, Any], serving: Any) -> None:
    host, port = serving(lambda plain: serve_http(contexts[1].wrap_socket(plain, server_side=True)))
    kernel.socket.hosts["server.example"] = host
    connection = http.client.HTTPSConnection("server.example", port, context=contexts[0], timeout=60)
    connection._create_connection = kernel.socket.create_connection  # type: ignore[attr-defined]
    connection.request("GET", "/secret")
    assert connection.getresponse().read() == b"you asked for /secret"
    connection.close()
    kernel.socket.hosts.clear()


def test_urllib(kernel: liblinux.Kernel, serving: Any) -> None:
    def connection(host: str, **options: Any) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection(host, **options)
        made._create_connection = kernel.socket.create_connection  # type: ignore[attr-defined]
        return made

    class KernelHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(connection, req)

    host, port = serving(serve_http)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), KernelHandler)
    with opener.open(f"http://{host}:{port}/page", timeout=60) as response:
        assert response.read() == b"you asked for /page"


def test_sendfile(kernel: liblinux.Kernel, serving: Any, tmp_path: Path) -> None:
    """A file of the kernel goes inside it, one of the host is read."""
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    with kernel.open("/tmp/file", "wb") as file:
        file.write(content)

    def serve(connection: liblinux.Socket) -> None:
        with connection:
            with kernel.open("/tmp/file", "rb") as inside:
                assert connection.sendfile(inside, offset=10) == len(content) - 10
            with (tmp_path / "file").open("rb") as outside:
                assert connection.sendfile(outside, count=99) == 99
                assert outside.tell() == 99

    with kernel.socket.create_connection(serving(serve)) as sock, sock.makefile("rb") as stream:
        assert stream.read() == content[10:] + content[:99]
    kernel.os.unlink("/tmp/file")
