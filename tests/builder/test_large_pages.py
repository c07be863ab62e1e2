"""The compiler's memory in large pages: where it is asked for, that it is had, and that nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from liblinux.builder import _large_pages

MADVISE = "always [madvise] never\n"
SOURCE = "static int squares[4000] = {[3 ... 3999] = 7}; int square(int i) { return squares[i] * squares[i]; }\n"
# Maps memory with the C library's mmap(); prints for which of it large pages are advised, and reads a file through one.
PROGRAM = """
import mmap, sys
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
def advised(length):
    def regions():
        with open("/proc/self/smaps") as lines:
            return sum("hg" in line.split() for line in lines if line.startswith("VmFlags:"))
    before = regions()
    with mmap.mmap(-1, length, flags=PRIVATE) as mapped:
        mapped[length - 1] = 1
        return regions() - before
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    print(advised(1 << 23), advised(1 << 16), mapped[:].decode(), end="")
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    mode = tmp_path / "mode"
    mode.write_text(MADVISE)
    monkeypatch.setattr(_large_pages, "_MODE", mode)
    return _large_pages.environment(tmp_path, tmp_path / "log")


@pytest.mark.parametrize("mode", ["[always] madvise never\n", "always madvise [never]\n"])
def test_nothing_is_asked_for_in_vain(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mode"
    path.write_text(mode)
    monkeypatch.setattr(_large_pages, "_MODE", path)
    assert _large_pages.environment(tmp_path, tmp_path / "log") == {}


def test_a_kernel_without_large_pages_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_large_pages, "_MODE", tmp_path / "missing")
    assert _large_pages.environment(tmp_path, tmp_path / "log") == {}


def test_large_memory_is_advised_and_no_other(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("as ever")

    def said(extra: dict[str, str]) -> str:
        command = [sys.executable, "-c", PROGRAM, str(file)]
        done = subprocess.run(command, env={**os.environ, **extra}, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    has_large_pages = Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert said({"LD_PRELOAD": environment["LD_PRELOAD"]}) == f"{int(has_large_pages)} 0 as ever"
    assert said({}) == "0 0 as ever"


def test_what_is_compiled_is_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "square.c").write_text(SOURCE)

    def compiled(extra: dict[str, str]) -> bytes:
        command = ["gcc", "-O2", "-c", "-o", "square.o", "square.c"]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **extra}, capture_output=True, check=True)
        assert done.stderr == b""
        return (tmp_path / "square.o").read_bytes()

    assert compiled(environment) == compiled({})
