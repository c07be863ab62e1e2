"""How `liblinux mount` ends: signals, umount(8), deaths; and how it does not begin. Collected as test_mount.py is."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

import liblinux
from conftest import Images, e2fsck, run
from fuse_mounts import LIBLINUX, mounted
from liblinux.fuse import _mounting as mounting


def test_a_signal_unmounts_and_leaves_a_clean_image(images: Images) -> None:
    image = images.ext4()
    top = images.directory / "mnt"
    top.mkdir()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A server leaves alone what is ignored, as SIGHUP is where these tests run under nohup(1).
        defaults = ["env", "--default-signal=INT,TERM,HUP"]
        server = subprocess.Popen([*defaults, *LIBLINUX, "mount", "-f", "--rw", str(image), str(top)])
        _wait_for_mount(top, server)
        (top / f"before-{number}").write_text("kept")
        server.send_signal(number)
        assert server.wait(30) == 0
        assert not os.path.ismount(top)
        e2fsck(image)
    with liblinux.open_image(image) as inside:
        assert inside.cat(f"/before-{signal.SIGHUP}") == b"kept"


def test_a_signal_ends_a_server_in_the_background(images: Images) -> None:
    image = images.ext4()
    top = images.directory / "mnt"
    top.mkdir()
    run(*LIBLINUX, "mount", "--rw", image, top)
    (top / "kept").write_text("kept")
    server = mounting.server_of(str(top))
    assert server is not None
    signal.pidfd_send_signal(server, signal.SIGTERM)
    assert select.select([server], [], [], 30)[0]
    os.close(server)
    assert not os.path.ismount(top)
    e2fsck(image)
    with liblinux.open_image(image) as inside:
        assert inside.cat("/kept") == b"kept"


def test_a_signal_ends_it_although_it_is_used(images: Images) -> None:
    image = images.ext4()
    top = images.directory / "mnt"
    top.mkdir()
    server = subprocess.Popen([*LIBLINUX, "mount", "-f", "--rw", str(image), str(top)])
    _wait_for_mount(top, server)
    descriptor = os.open(top / "open", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"written")
    server.terminate()
    assert server.wait(30) == 0
    for too_late in (lambda: os.write(descriptor, b"too late"), lambda: os.close(descriptor)):
        with pytest.raises(OSError) as caught:
            too_late()
        assert caught.value.errno in {errno.ENOTCONN, errno.ECONNABORTED}
    e2fsck(image)


def test_umount_while_it_is_used(images: Images) -> None:
    with mounted(images.ext4()) as top:
        with (top / "hello.txt").open("rb"):
            done = subprocess.run([*LIBLINUX, "umount", str(top)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "--lazy" in done.stderr
        assert os.path.ismount(top)


def test_fusermount_unmounts(images: Images) -> None:
    image = images.ext4()
    top = images.directory / "mnt"
    top.mkdir()
    server = subprocess.Popen([*LIBLINUX, "mount", "-f", "--rw", str(image), str(top)])
    _wait_for_mount(top, server)
    (top / "kept").write_text("kept")
    run("fusermount3", "-u", top)
    assert server.wait(30) == 0
    e2fsck(image)


def test_a_mount_point_that_is_in_use(images: Images) -> None:
    image = images.ext4()
    with mounted(image) as top:
        done = subprocess.run([*LIBLINUX, "mount", str(image), str(top)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "mounted there already" in done.stderr


def test_a_background_server_that_fails_says_so(images: Images) -> None:
    top = images.directory / "mnt"
    top.mkdir()
    command = [*LIBLINUX, "mount", str(images.empty()), str(top)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot mount" in done.stderr
    assert not os.path.ismount(top)


def test_an_image_whose_kernel_dies(images: Images) -> None:
    image = images.ext4()
    top = images.directory / "mnt"
    top.mkdir()
    server = subprocess.Popen(
        [*LIBLINUX, "mount", "-f", "--untrusted", str(image), str(top)], stderr=subprocess.PIPE, text=True
    )
    _wait_for_mount(top, server)
    assert (top / "hello.txt").exists()
    cells = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for cell in cells:
        os.kill(int(cell), signal.SIGKILL)
    with pytest.raises(OSError) as caught:
        (top / "sub" / "data.bin").read_bytes()
    assert caught.value.errno in {errno.EIO, errno.ENOTCONN}
    assert server.wait(30) == 1
    assert server.stderr is not None
    with server.stderr:
        assert "killed by SIGKILL" in server.stderr.read()
    assert not os.path.ismount(top)


def _wait_for_mount(top: Path, server: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 30
    while not os.path.ismount(top):
        assert server.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
