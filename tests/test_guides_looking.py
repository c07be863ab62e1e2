"""The sessions of docs/guides run, and print what the page says; "…" there stands for anything."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ENVIRONMENT, MIB, Images, run
from test_luks import VARIANTS, fill, luks

GUIDES = Path(__file__).resolve().parent.parent / "docs" / "guides"
LVM = Path(__file__).resolve().parent / "lvm"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def directory(images: Images) -> Path:
    """With all the images that the pages name."""
    images.ext4("any")
    content = images.directory / "content"
    (content / "etc").mkdir()
    (content / "etc" / "hostname").write_text("penguin\n")
    (content / "etc" / "fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    efi = images.empty("efi", 16 * MIB)
    run("mkfs.fat", "-n", "EFI", efi)
    uuid = ("-U", "01234567-89ab-cdef-0123-456789abcdef")
    disk = images.partitioned("gpt", [efi, images.ext4("root", 32 * MIB, label="root", options=uuid)], "disk.img")
    assert disk.stat().st_size == 50 * MIB
    server = images.empty("server.img", 64 * MIB)
    secret = luks(images.empty("secret.img", 48 * MIB), *VARIANTS["LUKS1"])
    fill(secret, images.ext4("plain", 32 * MIB))
    with server.open("r+b") as file:
        file.write(lzma.decompress((LVM / "server.xz").read_bytes()))
        file.write(images.ext4("server-root", 32 * MIB, label="root").read_bytes())
        (content / "etc" / "hostname").unlink()
        (content / "etc" / "fstab").unlink()
        (content / "etc").rmdir()
        file.write(images.ext4("server-home", 16 * MIB, label="home").read_bytes())
    return images.directory


def shell(command: str, directory: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, env={**ENVIRONMENT, "PATH": path}, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def expected(text: str) -> re.Pattern[str]:
    """Any room between words is as good as another: columns are as wide as what is in them."""
    words = [re.escape(word).replace("…", ".*") for word in text.split()]
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*", re.DOTALL)


@pytest.mark.parametrize("page", sorted(GUIDES.glob("look-into-*.md")), ids=lambda page: page.stem)
def test_sessions(page: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    scope: dict[str, object] = {"__name__": "guide"}
    blocks = BLOCK.findall(page.read_text())
    assert len(blocks) > 5
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, page.name, "exec"), scope)  # noqa: S102 - what a reader would paste
            continue
        for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            said = shell(command, directory)
            assert expected(output).fullmatch(said), f"$ {command}\n{said}\nand the page says\n{output}"
