"""No root, no /dev/fuse, no loop device, no KVM, no mount: looked at with strace, as another user."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MIB, run
from looking import liblinux

NOBODY = 65534
# The right to read is left to find this checkout and its Python, wherever they are; there is nothing else.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
    "--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
)  # fmt: skip
HARMLESS = {"/dev/null", "/dev/urandom", "/dev/tty", "/dev/shm"}
MOUNTING = ("mount(", "fsopen(", "move_mount(", "unshare(", "setns(")


def traced(log: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """The command with all opening, mounting and making of namespaces in `log`."""
    calls = "trace=open,openat,openat2,mount,fsopen,move_mount,unshare,setns"
    strace = ("strace", "-f", "-o", str(log), "-e", calls)
    return liblinux(*arguments, prefix=(*strace, *(AS_NOBODY if os.geteuid() == 0 else ())))


def devices(log: Path) -> set[str]:
    """Devices that the traced processes tried to open."""
    return set(re.findall(r'open[a-z0-9]*\([^"]*"(/dev/[^"]*)"', log.read_text())) - HARMLESS


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A directory that nobody may write to, with an image of his in it."""
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    run("mkfs.ext4", "-q", "-F", image)
    if os.geteuid() == 0:
        os.chown(image, NOBODY, NOBODY)
    image.chmod(0o600)
    return image


def test_root_is_not_needed(world: Path, tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    for arguments in (
        ("mkdir", "-m", "4755", f"{world}:/made"),
        ("touch", "-d", "@0.000000001", f"{world}:/made/file"),
        ("chown", "4000000000:0", f"{world}:/made/file"),
        ("chmod", "6711", f"{world}:/made/file"),
        ("stat", f"{world}:/made/file"),
        ("ls", "-lR", "--untrusted", world),
    ):
        done = traced(log, *arguments)
        assert (done.returncode, done.stderr) == (0, b"")
        assert "openat(" in log.read_text()  # strace has seen something
        assert devices(log) == set()
        assert not any(call in log.read_text() for call in MOUNTING)
    assert b"4000000000" in done.stdout and b"-rws--s--x" in done.stdout


def test_the_check_can_fail(tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    program = "import os\ntry: os.open('/dev/fuse', os.O_RDWR)\nexcept OSError: pass"
    run("strace", "-f", "-o", log, "-e", "trace=openat", sys.executable, "-c", program)
    assert devices(log) == {"/dev/fuse"}


def test_another_user_is_refused(world: Path) -> None:
    """So the process of the test above had no rights but the user's own."""
    if os.geteuid() == 0:
        os.chown(world, 0, 0)
        done = liblinux("touch", f"{world}:/x", prefix=AS_NOBODY)
    else:
        world.chmod(0o400)
        done = liblinux("touch", f"{world}:/x")
    assert (done.returncode, done.stderr) == (1, f"liblinux: {world}: Permission denied\n".encode())
