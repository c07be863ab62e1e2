"""The examples of the guides run as a reader would paste them, one after the other, in an empty directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import ENVIRONMENT

GUIDES = Path(__file__).resolve().parent.parent / "docs" / "guides"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


PROGRAMS = {
    "liblinux": "-c 'from liblinux.cli import main; main()'",
    # Without the plugins of all packages that are installed, for some are slow.
    "pytest": "-m pytest -p liblinux.pytest_plugin -p xdist.plugin -p no:cacheprovider",
}
FILE = re.compile(r"# (\w+\.py)\n")


def run_guide(name: str, directory: Path, more: Mapping[str, str] = {}) -> str:
    """Run all blocks of a guide, but write those that begin with a file's name; what they printed.

    `more` variables of the environment.
    """
    text = (GUIDES / name).read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("\n```sh") + text.count("\n```python")
    # The commands of this checkout, as they would be in a PATH.
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for program, arguments in PROGRAMS.items():
        (programs / program).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        (programs / program).chmod(0o755)
    environment = {
        **ENVIRONMENT,
        "PATH": f"{programs}:{ENVIRONMENT['PATH']}",
        "PYTHON": sys.executable,
        "LIBLINUX": str(GUIDES.parent.parent),  # a checkout, says the guide to faults
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **more,
    }
    work = directory / "work"
    work.mkdir()
    script = ["set -eo pipefail"]
    for language, block in blocks:
        if language == "sh":
            script.append(block)
        else:
            file = FILE.match(block)
            taker = f"cat > {file[1]}" if file else "$PYTHON -"
            script.append(f"{taker} <<'END_OF_PYTHON'\n{block}END_OF_PYTHON")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_build_an_image_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    output = run_guide("build-an-image-in-ci.md", tmp_path)
    assert output.startswith("appliance\n")
    assert re.search(r"crw------- 0/0 +5,1 .* dev/console", output)
    assert re.search(r"-rwsr-xr-x 0/0 .* usr/bin/hello", output)
    assert output.endswith("built in CI\n")
    assert {"disk.img", "one.img", "two.img", "from-tar.img", "from-pipe.img"} <= set(os.listdir(tmp_path / "work"))
