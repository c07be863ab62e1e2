"""Images that other file systems of fsspec have, over http and s3, and by `universal_pathlib`; read on demand."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from upath import UPath

import liblinux
from conftest import MIB, Command, Images, run

DATA = bytes(range(256)) * 256
# Of libraries that are not ours, at import or at their end.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Server(ThreadingHTTPServer):
    """Serves one file, in parts if it `has_ranges`; notes which."""

    daemon_threads = True

    def __init__(self, path: Path, *, has_ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = path.read_bytes()
        self.has_ranges = has_ranges
        self.sent: list[tuple[int, int]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/disk.img"

    @property
    def bytes_sent(self) -> int:
        return sum(end - start for start, end in self.sent)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        content = self.server.content
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = 0, len(content)
        if wanted and self.server.has_ranges:
            start, end = int(wanted[1]), min(int(wanted[2] or end) + 1, end)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.server.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if send:  # noted first: the headers may be all that the other side waits for
            self.server.sent.append((start, end))
        self.end_headers()
        if send:
            with contextlib.suppress(ConnectionError):  # who gets more than was asked for hangs up
                self.wfile.write(content[start:end])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Not to standard error."""


@pytest.fixture
def large(images: Images) -> Path:
    return images.ext4(size=256 * MIB)


@pytest.fixture
def served(large: Path) -> Iterator[Server]:
    with Server(large) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_over_http(served: Server) -> None:
    with fsspec.open(f"liblinux://sub/data.bin::{served.url}") as file:
        assert file.read() == DATA
    assert 0 < served.bytes_sent < 16 * MIB, "of 256 MiB"
    assert len(served.sent) == len(set(served.sent)), "no block twice"


def test_over_http_by_url(served: Server, command: Command) -> None:
    with liblinux.open_image(served.url, untrusted=True) as image:
        assert image.cat("/hello.txt") == b"hello from the image\n"
    result = command("cat", f"{served.url}:/hello.txt")
    assert (result.exit_code, result.stdout) == (0, "hello from the image\n")


def test_a_container_over_http(served: Server, large: Path, tmp_path: Path) -> None:
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", large, tmp_path / "qcow2")
    served.content = (tmp_path / "qcow2").read_bytes()
    with fsspec.open(f"liblinux://sub/data.bin::{served.url}") as file:
        assert file.read() == DATA


def test_a_server_without_ranges(served: Server, command: Command) -> None:
    served.has_ranges = False
    result = command("cat", f"{served.url}:/hello.txt")
    assert result.exit_code == 1
    assert "fetch it first" in result.stderr
    assert len(served.sent) == 1


def test_chained_caches_of_fsspec(served: Server, tmp_path: Path) -> None:
    """A third link of the chain: blocks that were fetched are kept in files."""
    url = f"liblinux://hello.txt::blockcache::{served.url}"
    for _ in range(2):
        before = served.bytes_sent
        with fsspec.open(url, blockcache={"cache_storage": str(tmp_path)}) as file:
            assert file.read() == b"hello from the image\n"
    assert served.bytes_sent == before, "the second time all is there"


def test_over_s3(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
        s3 = boto3.client("s3", **client)
        s3.create_bucket(Bucket="images")
        s3.upload_file(str(large), "images", "disk.img")
        with fsspec.open("liblinux://sub/data.bin::s3://images/disk.img", s3={"client_kwargs": client}) as file:
            assert file.read() == DATA
    finally:
        server.stop()


def test_pathlib(large: Path) -> None:
    root = UPath("liblinux:///", image=str(large))
    assert sorted(path.name for path in root.iterdir()) == ["hello.txt", "lost+found", "sub"]
    assert (root / "sub" / "data.bin").read_bytes() == DATA
    assert (root / "sub").is_dir() and (root / "hello.txt").is_file() and not (root / "none").exists()
    assert (root / "hello.txt").stat().st_size == 21
    assert [path.name for path in root.glob("**/*.bin")] == ["data.bin"]
    assert (root / "sub/../hello.txt").read_text() == "hello from the image\n"


def test_pathlib_writes(images: Images) -> None:
    path = images.ext4()
    root = UPath("liblinux:///", image=str(path), mode="r+")
    (root / "new").mkdir()
    (root / "new" / "file").write_text("by pathlib")
    (root / "new" / "file").rename("liblinux:///new/other")
    assert [each.name for each in (root / "new").iterdir()] == ["other"]
    root.fs.close()
    assert run("debugfs", "-R", "cat /new/other", path) == "by pathlib"
