"""The pass table: which script does what on which kernel, in a Markdown file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from liblinux._arrival import arriving
from liblinux.packetdrill._config import MODES
from liblinux.packetdrill._errors import ScriptError

if TYPE_CHECKING:
    from liblinux.packetdrill._outcome import Outcome

__all__ = ["table_of", "write_table"]

BEGIN, END = "<!-- begin table -->", "<!-- end table -->"


def write_table(path: Path, outcomes: list[Outcome]) -> None:
    """Put the table between its marks in a file, which is made when there is none. Raises ScriptError."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ScriptError(f"has no place for a table: {BEGIN} and {END}", str(path))
    with arriving(path) as name:
        Path(name).write_text(f"{before}{BEGIN}\n{table_of(outcomes)}{END}{after}", encoding="utf-8")


def table_of(outcomes: list[Outcome]) -> str:
    """A row for each script, a column for each kernel and mode."""
    releases = sorted({one.release for one in outcomes if one.release}, key=_numbers, reverse=True)
    columns = [(release, mode) for release in releases for mode in MODES]
    found = {(one.script, one.release, one.mode): _word(one) for one in outcomes}
    lines = [
        "| script | " + " | ".join(f"{release} {mode}" for release, mode in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for script in dict.fromkeys(one.script for one in outcomes):
        cells = [found.get((script, *column), "") for column in columns]
        lines.append(f"| `{_short(script)}` | " + " | ".join(cells) + " |")
    return "".join(f"{line}\n" for line in lines)


def _short(script: str) -> str:
    path = Path(script)
    return f"{path.parent.parent.name}/{path.name}" if path.parent.name == "packetdrill" else path.name


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


def _word(outcome: Outcome) -> str:
    if outcome.passed:
        count = len(outcome.warnings)
        return f"passed, {count} warning{'s' * (count > 1)}" if count else "passed"
    line = outcome.failure.line if outcome.failure else 0
    return f"**{'failed' if outcome.status == 'failed' else 'not run'}**, line {line}"
