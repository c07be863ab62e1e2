"""The guides about serving images, run as those of test_guides_building.py are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import fuse_mounts
from liblinux.cli import COMMANDS
from test_guides_building import GUIDES, run_guide

LIBGUESTFS = GUIDES / "from-libguestfs.md"


@pytest.mark.skipif(bool(fuse_mounts.why_not()), reason="no mounts here; tests/commands/test_mount_refused.py runs")
def test_serve_over_fuse(tmp_path: Path) -> None:
    output = run_guide("serve-over-fuse.md", tmp_path).splitlines()
    assert output[:2] == ["penguin", "mnt/etc/hostname:penguin"]
    assert output[2] == "-rw-r--r-- root mnt/etc/hostname"
    assert output[3] == "disk.img: clean: no errors"
    assert output[4] == "tux"
    assert output[5].split() == ["Owner:", "0", "0,", "group", "0", "0"]
    assert output.count("hostname") == 2


def test_from_libguestfs(tmp_path: Path) -> None:
    output = run_guide("from-libguestfs.md", tmp_path)
    assert output.startswith("penguin\n\nwelcome\n")
    assert "index.html" in output
    assert "No such file or directory: '/etc/nothing'" in output
    assert "hostname 8\n" in output


def test_commands_that_the_table_names_are_there() -> None:
    named = set(re.findall(r"`liblinux ([a-z]+)[ `]", LIBGUESTFS.read_text()))
    assert named <= COMMANDS.keys()
    assert {"shell", "mount", "cp", "tar", "untar", "edit", "diff", "info", "mkimage", "fsck", "resize"} <= named


def test_the_calls_of_the_other_guide_are_those_of_the_package() -> None:
    import liblinux

    for name in re.findall(r"`liblinux\.(\w+)", LIBGUESTFS.read_text()):
        assert hasattr(liblinux, name) or os.path.isdir(Path(liblinux.__file__).parent / name), name
