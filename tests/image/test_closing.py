"""open_image(): after close(), an exception, a death."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import liblinux
from cells import cells, only_cell
from conftest import Images, e2fsck


def test_after_close(reading: liblinux.ImageFileSystem) -> None:
    file = reading.open("/hello.txt", "rb")
    reading.close()
    reading.close()
    assert reading.closed
    for use in (
        lambda: reading.ls("/"),
        lambda: reading.info("/hello.txt"),
        lambda: reading.exists("/hello.txt"),
        lambda: reading.isfile("/hello.txt"),
        lambda: reading.cat("/hello.txt"),
        lambda: reading.find("/"),
        lambda: reading.open("/hello.txt", "wb"),
        file.read,
    ):
        with pytest.raises(liblinux.KernelClosed, match="closed"):
            use()
    file.close()


def test_closed_after_an_exception(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), liblinux.open_image(path, "r+") as image:
        image.pipe("/new", b"1")
        1 / 0  # noqa: B018 - the exception is the test
    assert image.closed
    e2fsck(path)


def test_failed_opening_leaves_nothing(path: Path, images: Images) -> None:
    for untrusted in (False, True):
        with pytest.raises(liblinux.MountError):
            liblinux.open_image(path, "r+", partition=7, untrusted=untrusted)
        with pytest.raises(liblinux.MountError):
            liblinux.open_image(images.empty("zeros"), untrusted=untrusted)
        with pytest.raises(FileNotFoundError):
            liblinux.open_image(images.directory / "none", untrusted=untrusted)
        with pytest.raises(TypeError):
            liblinux.open_image(42, untrusted=untrusted)
    assert not cells()
    with liblinux.open_image(path, "r+") as image:  # nobody holds its lock
        assert image.exists("/hello.txt")


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_killed(path: Path, mode: str) -> None:
    with liblinux.open_image(path, mode, untrusted=True) as image:  # type: ignore[arg-type]
        file = image.open("/new", "wb") if mode == "r+" else image.open("/hello.txt", "rb")
        os.kill(only_cell(), signal.SIGKILL)
        for use in (
            lambda: image.ls("/"),
            lambda: image.exists("/"),
            lambda: image.isfile("/"),
            lambda: image.cat("/f"),
        ):
            with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
                use()
    assert image.closed
    assert not cells()
    file.close()


def test_panic(path: Path) -> None:
    with liblinux.open_image(path) as image:
        image.kernel.abort()
        with pytest.raises(liblinux.KernelPanic):
            image.exists("/hello.txt")
    assert image.closed


def test_limits_of_an_untrusted_image(path: Path) -> None:
    with liblinux.open_image(path, untrusted=True):
        limits = Path(f"/proc/{only_cell()}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert "600" in line.split()[3]
