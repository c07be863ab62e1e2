"""The examples of docs/guides/extract-firmware.md run, in their order, on firmware made here."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ENVIRONMENT, MIB, Images, run

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "extract-firmware.md"
EXAMPLES = re.findall(r"^```(sh|python)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def firmware(images: Images) -> None:
    """rootfs.squashfs, the same in the middle of firmware.bin, and card.img with two partitions."""
    tree = images.directory / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root::0:0::/:/bin/sh\n")
    (tree / "opt").mkdir()
    (tree / "busybox").write_bytes(bytes(range(256)) * 100)
    (tree / "busybox").chmod(0o4755)
    (tree / "bin").symlink_to("/usr/bin")
    images.ext4("data.img", 4 * MIB).rename(tree / "opt/data.img")
    devices = ("-p", "dev d 755 0 0", "-p", "dev/console c 600 0 0 5 1")
    run("mksquashfs", tree, images.directory / "rootfs.squashfs", "-quiet", "-no-progress", "-all-root", *devices)
    content = (images.directory / "rootfs.squashfs").read_bytes()
    (images.directory / "firmware.bin").write_bytes(os.urandom(70_001) + content + os.urandom(12_345))
    images.partitioned("dos", [images.ext4("boot.img"), images.ext4("home.img")], "card.img")


def test_examples(images: Images, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    firmware(images)
    monkeypatch.chdir(images.directory)
    # The command as it is installed, wherever this Python is.
    program = images.directory / "bin" / "liblinux"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom liblinux.cli import main\nmain()\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {**ENVIRONMENT, "PATH": f"{program.parent}:{ENVIRONMENT['PATH']}"}
    scope: dict[str, object] = {"__name__": "guide"}
    codes = []
    for number, (language, example) in enumerate(EXAMPLES, 1):
        if language == "python":
            exec(compile(example, f"{GUIDE.name}, example {number}", "exec"), scope)  # noqa: S102 - what a reader pastes
        else:
            codes.append(subprocess.run(["sh", "-c", example], env=environment, check=False).returncode)
    output = capfdbinary.readouterr().out.decode()
    assert codes == [0, 0, 0, 0, 1]
    for text in (
        "passwd\n",
        '{"path": "busybox", "what": "mode", "value": "4755", "why": "not asked for: setuid"}',
        '{"path": "dev/console", "what": "device", "value": "character 5:1", "why": "not asked for: devices"}',
        " entries, ",
        "hello from the image",
        "root::0:0::/:/bin/sh",
        "dev/console: only in rootfs.squashfs:/ (character device)",
        "and 10,000 are allowed",
    ):
        assert text in output, text
    assert stat.S_IMODE((images.directory / "rootfs/busybox").stat().st_mode) == 0o755
    assert os.readlink(images.directory / "found/bin") == "/usr/bin"
    assert "hello.txt" in os.listdir(images.directory / "home")
