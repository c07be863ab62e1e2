"""Where other tools are wrong about an image, and Linux itself is not: each beside the other tool.

What is said of debugfs and 7z is what those of Debian 12 do (e2fsprogs 1.47.0,
p7zip-full 16.02+really26.02). A test fails when one of them has become better; then
it is the claim here that has to go.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import ENVIRONMENT, MIB, Command, Images, run
from liblinux import Kernel
from liblinux._image_root import ImageRoot
from looking import (
    ALICE_READS,
    HOLE_BYTES,
    LABEL,
    LARGE_ID,
    MOMENT,
    NET_RAW,
    NOT_UTF8,
    liblinux,
    rich_image,
)  # fmt: skip


def debugfs(request: str, image: Path) -> str:
    """What debugfs prints; it ends with 0 whatever it finds, and says so on standard error."""
    done = subprocess.run(
        ["debugfs", "-R", request, image], env=ENVIRONMENT, capture_output=True, encoding="latin-1", check=True
    )
    return done.stdout + done.stderr.partition("\n")[2]


def extracted(image: Path, directory: str, target: Path) -> Path:
    """A directory of the image, as `debugfs rdump` brings it to the host."""
    target.mkdir()
    debugfs(f"rdump {directory} {target}", image)
    return target / directory.rpartition("/")[2]


def found(command: Command, target: str) -> dict[str, Any]:
    (record,) = json.loads(command("stat", "--json", target).stdout)
    assert isinstance(record, dict)
    return record


@pytest.fixture
def rich(images: Images) -> Path:
    return rich_image(images)


@pytest.mark.parametrize("type", ["ext4", "xfs"])
def test_a_dirty_journal(type: str, images: Images, command: Command) -> None:
    """A file that was fsynced before the power failed is in the journal, and nowhere else."""
    image = images.empty(size=320 * MIB if type == "xfs" else 32 * MIB)
    run(f"mkfs.{type}", "-q", image)
    memory = bytearray(image.read_bytes())
    with Kernel() as kernel:
        kernel.mount(kernel.attach(memory), "/mnt")
        descriptor = kernel.os.open("/mnt/paid", os.O_WRONLY | os.O_CREAT, 0o644)
        kernel.os.write(descriptor, b"it is in the journal\n")
        kernel.os.fsync(descriptor)
        before = bytes(memory)  # here the power fails
    image.write_bytes(before)
    assert command("cat", f"{image}:/paid").stdout == "it is in the journal\n"
    assert command("find", image, "-name", "paid").stdout == "/paid\n"
    assert image.read_bytes() == before
    if type == "ext4":
        assert "File not found" in debugfs("cat /paid", image)
        assert "paid" not in run("7z", "l", image)


def test_inline_data(rich: Path, command: Command, tmp_path: Path) -> None:
    """Small files and directories in their inodes."""
    content = b"a name in Latin-1\n"
    assert liblinux("cat", os.fsdecode(os.fsencode(rich) + b":" + NOT_UTF8)).stdout == content
    # debugfs makes it 60 bytes, what an inode has room for, with zeros at the end.
    wrong = extracted(rich, "/odd", tmp_path / "rdump") / os.fsdecode(NOT_UTF8.rpartition(b"/")[2])
    assert wrong.read_bytes() == content.ljust(60, b"\0")
    # 7z takes the image for nothing that it knows.
    other = subprocess.run(["7z", "l", rich], capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "Cannot open the file as archive" in other.stdout + other.stderr


def test_owners_above_65535(rich: Path, command: Command) -> None:
    large = found(command, f"{rich}:/odd/large-owner")
    assert (large["uid"], large["gid"]) == (LARGE_ID, LARGE_ID + 1)
    assert f"User: {LARGE_ID - (1 << 32)} " in debugfs("stat /odd/large-owner", rich)  # -294967296


def test_nanoseconds_and_birth(rich: Path, command: Command, tmp_path: Path) -> None:
    notes = found(command, f"{rich}:/home/alice/notes")
    assert (notes["atime_ns"], notes["mtime_ns"]) == (MOMENT + 1, MOMENT)
    assert abs(notes["btime_ns"] - notes["ctime_ns"]) < 60 * 10**9
    copy = extracted(rich, "/home/alice", tmp_path / "rdump") / "notes"
    assert copy.stat().st_mtime_ns == MOMENT // 10**9 * 10**9


def test_attributes_lists_and_labels(rich: Path, command: Command, tmp_path: Path) -> None:
    odd = found(command, f"{rich}:/odd/attributes")
    expected = {
        "user.comment": b"as text", "user.binary": b"\0\xff\1", "security.selinux": LABEL,
        "security.capability": NET_RAW, "system.posix_acl_access": ALICE_READS,
    }  # fmt: skip
    assert {name: bytes.fromhex(value["hex"]) for name, value in odd["xattrs"].items()} == expected
    assert odd["acl"][1] == "user:alice:r--"
    # debugfs shows the list as it lies on the disk, in a form that no program takes, and rdump leaves all behind.
    assert ALICE_READS.hex(" ") not in debugfs("stat /odd/attributes", rich)
    assert os.listxattr(extracted(rich, "/odd", tmp_path / "rdump") / "attributes") == []


def test_devices_fifos_and_setuid(rich: Path, command: Command, tmp_path: Path) -> None:
    rows = json.loads(command("ls", "--json", f"{rich}:/dev").stdout)
    assert {row["path"]: (row["type"], row["mode"], row.get("device")) for row in rows} == {
        "/dev/log": ("socket", "0666", None),
        "/dev/null": ("character device", "0666", [1, 3]),
        "/dev/pipe": ("fifo", "0600", None),
        "/dev/sda": ("block device", "0660", [8, 0]),
    }
    assert found(command, f"{rich}:/odd/setuid")["mode"] == "6755"
    assert list(extracted(rich, "/dev", tmp_path / "devices").iterdir()) == []
    copy = extracted(rich, "/odd", tmp_path / "odd") / "setuid"
    assert copy.stat().st_mode & 0o7777 == 0o755


def test_sparse_extents(rich: Path, command: Command, tmp_path: Path) -> None:
    sparse = found(command, f"{rich}:/odd/sparse")
    assert (sparse["size"], sparse["allocated"], sparse["extents"]) == (HOLE_BYTES + 4096, 8192, 2)
    copy = extracted(rich, "/odd", tmp_path / "rdump") / "sparse"
    assert copy.stat().st_blocks * 512 >= HOLE_BYTES  # all of the hole, written as zeros


def test_names_that_are_not_utf8(rich: Path, images: Images) -> None:
    assert NOT_UTF8 + b"\0" in liblinux("find", f"{rich}:/odd", "--print0").stdout
    with ImageRoot(rich) as image:
        assert NOT_UTF8.rpartition(b"/")[2] in image.os.listdir(b"/odd")
    # 7z has them right too; debugfs shows an escape that it does not take back.
    source = images.directory / "source"
    source.mkdir()
    (source / "caf\udce9").write_text("x")
    plain = images.empty("plain.img")
    run("mkfs.ext4", "-q", "-F", "-d", source, plain)
    assert b"caf\xe9\n" in liblinux("ls", plain).stdout
    assert r"caf\xe9" in debugfs("ls -l /", plain)
    assert "File not found" in debugfs(r"cat /caf\xe9", plain)


def test_a_missing_file_is_a_failure(rich: Path, command: Command) -> None:
    assert command("cat", f"{rich}:/nothing").exit_code == 1
    assert "File not found" in debugfs("cat /nothing", rich)  # and exit code 0, which debugfs() has checked
