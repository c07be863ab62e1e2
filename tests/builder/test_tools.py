"""The check for build tools: one message, one command, standard library only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from liblinux._errors import BuildError
from liblinux.builder import tools


def test_nothing_is_missing() -> None:
    assert tools.missing_packages(which=lambda name: f"/usr/bin/{name}", has_header=lambda name: True) == {}


def test_the_message_names_everything_and_the_exact_command(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"flex", "ld", "objcopy"}
    missing = tools.missing_packages(
        which=lambda name: None if name in absent else f"/usr/bin/{name}", has_header=lambda name: False
    )
    assert missing == {"binutils": ["ld", "objcopy"], "flex": ["flex"], "libc6-dev": ["stdio.h"]}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    text = tools.message(missing)
    assert "ld, objcopy, flex, stdio.h" in text
    assert text.endswith("  apt-get install -y --no-install-recommends binutils flex libc6-dev")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "  sudo apt-get install" in tools.message(missing)


def test_without_a_compiler_its_headers_are_wanted_too() -> None:
    missing = tools.missing_packages(which=lambda name: None if name == "gcc" else name)
    assert missing == {"gcc": ["gcc"], "libc6-dev": ["stdio.h"]}


def test_a_build_without_tools_is_a_build_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "missing_packages", lambda: {"bison": ["bison"]})
    with pytest.raises(BuildError, match=r"(?s)bison.*apt-get install"):
        tools.require()


def test_it_runs_as_a_plain_file_without_any_package() -> None:
    command = [sys.executable, "-I", "-S", str(Path(tools.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert done.returncode == 0 or "apt-get install" in done.stderr


def test_only_the_command_needs_packages() -> None:
    """`python -m liblinux.builder.tools` must work where nothing but Python is installed."""
    for module in Path(tools.__file__).parent.glob("*.py"):
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", module.read_text(), re.MULTILINE))
        if module.stem not in ("cli", "_terminal"):
            assert imported <= {*sys.stdlib_module_names, "liblinux"}, module


def test_installing_without_being_root_only_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "missing_packages", lambda: {"bc": ["bc"]})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert tools.main(["--install"]) == 1
    assert "sudo apt-get install -y --no-install-recommends bc" in capsys.readouterr().err
