"""Copying the port into a tree: only what differs, and nothing stays behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liblinux.builder.port import port_files, synchronise


@pytest.fixture
def port(tmp_path: Path) -> Path:
    root = tmp_path / "port"
    (root / "kernel").mkdir(parents=True)
    (root / "kernel/time.c").write_text("int time;\n")
    (root / "Kconfig").write_text("config LIBLINUX\n")
    return root


def test_editors_leftovers_are_not_part_of_the_port(port: Path) -> None:
    for name in (".hidden", "Kconfig~", "Kconfig.orig", "Kconfig.rej"):
        (port / name).touch()
    assert port_files(port) == [Path("Kconfig"), Path("kernel/time.c")]


def test_the_first_copy_is_complete_and_the_second_does_nothing(port: Path, tmp_path: Path) -> None:
    destination = tmp_path / "tree/arch/lib"
    assert synchronise(port, destination) == [Path("Kconfig"), Path("kernel/time.c")]
    assert (destination / "kernel/time.c").read_bytes() == (port / "kernel/time.c").read_bytes()
    assert synchronise(port, destination) == []


def test_only_changed_files_are_touched(port: Path, tmp_path: Path) -> None:
    destination = tmp_path / "arch/lib"
    synchronise(port, destination)
    for relative in port_files(port):
        os.utime(destination / relative, (1000, 1000))
    (port / "kernel/time.c").write_text("int time = 1;\n")
    assert synchronise(port, destination) == [Path("kernel/time.c")]
    assert (destination / "Kconfig").stat().st_mtime == 1000


def test_an_older_original_still_looks_new_to_make(port: Path, tmp_path: Path) -> None:
    destination = tmp_path / "arch/lib"
    synchronise(port, destination)
    before = (destination / "Kconfig").stat().st_mtime_ns
    (port / "Kconfig").write_text("config OTHER\n")
    os.utime(port / "Kconfig", (1000, 1000))
    synchronise(port, destination)
    assert (destination / "Kconfig").stat().st_mtime_ns >= before


def test_removed_files_and_empty_directories_go(port: Path, tmp_path: Path) -> None:
    destination = tmp_path / "arch/lib"
    synchronise(port, destination)
    (port / "kernel/time.c").unlink()
    assert synchronise(port, destination) == [Path("kernel/time.c")]
    assert not (destination / "kernel").exists()
