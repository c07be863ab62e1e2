"""The scripts that ship with the kernel, as they are: found in its source, never copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from liblinux.packetdrill import MODES, Mode, parse, run
from liblinux.packetdrill._selftests import options_for, selftests


def test_there_are_thirty() -> None:
    names = [path.parent.parent.name + "/" + path.parent.name for path in selftests()]
    assert names.count("net/packetdrill") == 24
    assert names.count("netfilter/packetdrill") == 6


def test_the_table_in_the_documentation() -> None:
    """It names every script, and says of each that it passes."""
    page = Path(__file__).parents[2] / "docs/PACKETDRILL.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1].rpartition("/")[2] for row in rows] == [path.name for path in selftests()]
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert len(cells) == 6
        assert all(cell.startswith("passed") for cell in cells), row


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", selftests(), ids=lambda path: path.stem)
def test_script_of_the_kernel(path: Path, mode: Mode) -> None:
    outcome = run(parse(path.read_text(), path.name), mode, directory=path.parent, options=options_for(path))
    assert outcome.passed, outcome.report()
