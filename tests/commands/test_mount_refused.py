"""`liblinux mount` where it cannot work: what it says, with and without FUSE on this host."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fuse_mounts
from conftest import Command, Images
from liblinux.fuse import _mounting as mounting

# The command where pyfuse3 is not, whether or not FUSE is.
_WITHOUT_BINDING = """
import sys
from liblinux import cli
from liblinux.fuse import _mounting
sys.modules["pyfuse3"] = None
_mounting.DEVICE = "/dev/null"
cli.main()
"""
# Whoever tries it, libfuse cannot mount there.
_UNMOUNTABLE = """
import sys, liblinux.fuse._service
from liblinux._image_root import ImageRoot
with ImageRoot(sys.argv[1]) as image:
    liblinux.fuse._service.serve(image, "/proc/nothing", source="image")
"""
# One that everybody can look at and that is no mount point.
PLAIN_DIRECTORY = "/usr"


def test_no_mount_point(images: Images, command: Command) -> None:
    image = images.ext4()
    result = command("mount", image, images.directory / "nothing")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr
    result = command("mount", image, image)
    assert result.exit_code == 1
    assert "must be a directory" in result.stderr


def test_a_path_inside_is_no_file_system(images: Images, command: Command) -> None:
    result = command("mount", f"{images.ext4()}:/sub", images.directory)
    assert result.exit_code == 2
    assert "whole file system" in result.stderr


def test_owners_that_are_none(images: Images, command: Command) -> None:
    result = command("mount", "--owner", "no such user", images.ext4(), images.directory)
    assert result.exit_code == 2
    assert "UID:GID" in result.stderr


def test_no_device(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "DEVICE", str(images.directory / "fuse"))
    result = command("mount", images.ext4(), images.directory)
    assert result.exit_code == 1
    assert "modprobe fuse" in result.stderr


def test_the_binding_is_here() -> None:
    """Tests have it (liblinux[test]): else all of those of mounts would be left out, and nothing would say so."""
    import pyfuse3

    assert issubclass(pyfuse3.FUSEError, Exception)


def test_no_binding(images: Images) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_BINDING, "mount", str(images.ext4()), str(images.directory)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("liblinux: pyfuse3: cannot be imported")
    assert "pip install 'liblinux[mount]'" in done.stderr
    assert "libfuse3-dev" in done.stderr


def test_what_libfuse_says_is_in_the_error(images: Images) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNMOUNTABLE, str(images.ext4())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "PermissionError" in done.stderr
    assert "/proc/nothing" in done.stderr
    assert "No such file or directory" in done.stderr


def test_this_host(images: Images, command: Command) -> None:
    """Either a mount works here, or the command says why not."""
    reason = fuse_mounts.why_not()
    if not reason:
        with fuse_mounts.mounted(images.ext4()) as top:
            assert (top / "hello.txt").exists()
        return
    result = command("mount", images.ext4(), images.directory)
    assert result.exit_code == 1
    assert result.stderr.startswith("liblinux: ")


@pytest.mark.usefixtures("as_nobody")
def test_no_fusermount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "DEVICE", "/dev/null")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="apt-get install fuse3"):
        mounting.check(PLAIN_DIRECTORY, allow_other=False)


@pytest.mark.usefixtures("as_nobody")
def test_others_are_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "DEVICE", "/dev/null")
    monkeypatch.setattr(mounting, "FUSERMOUNT", "sh")
    monkeypatch.setattr(mounting, "CONFIGURATION", "/dev/null")
    with pytest.raises(PermissionError, match="user_allow_other"):
        mounting.check(PLAIN_DIRECTORY, allow_other=True)


def test_umount_of_what_is_no_mount(images: Images, command: Command) -> None:
    result = command("umount", images.directory)
    assert result.exit_code == 1
    assert "nothing is mounted there" in result.stderr
    result = command("umount", "/proc")
    assert result.exit_code == 1
    assert "not one of liblinux" in result.stderr
