"""Collects packetdrill scripts (*.pkt) as tests, one for each mode of IP.

Enabled with `-p liblinux.packetdrill.pytest_plugin`, or in a conftest.py by
`pytest_plugins = ["liblinux.packetdrill.pytest_plugin"]`. The kernel is that of
`--packetdrill-kernel`, of LIBLINUX_KERNEL, or the newest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liblinux.packetdrill._config import MODES, Mode, modes_of
from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill._outcome import Outcome
from liblinux.packetdrill._parser import parse
from liblinux.packetdrill._script import Script

__all__ = ["PacketdrillFile", "PacketdrillItem"]


class ScriptFailed(Exception):
    """A script did not pass."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.report())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line."""
    group = parser.getgroup("packetdrill")
    group.addoption("--packetdrill-kernel", metavar="VERSION", help="kernel that *.pkt scripts run against")
    group.addoption(
        "--packetdrill-ip-version",
        choices=[*MODES, "all"],
        default="all",
        help="modes that *.pkt scripts run in (default: all)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """A file of scripts for every *.pkt."""
    if file_path.suffix != ".pkt":
        return None
    return PacketdrillFile.from_parent(parent, path=file_path)


class PacketdrillFile(pytest.File):
    """A script."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each mode that the script allows."""
        try:
            script = parse(self.path.read_text(encoding="utf-8"), str(self.path))
        except ScriptError as error:
            raise self.CollectError(str(error)) from None
        wanted = self.config.getoption("--packetdrill-ip-version")
        for mode in modes_of(script, MODES if wanted == "all" else (wanted,)):
            yield PacketdrillItem.from_parent(self, name=mode, script=script, mode=mode)


class PacketdrillItem(pytest.Item):
    """A script in a mode."""

    def __init__(self, *, script: Script, mode: Mode, **rest: Any) -> None:
        super().__init__(**rest)
        self.script, self.mode = script, mode

    def runtest(self) -> None:
        """Run it. Raises ScriptFailed."""
        from liblinux.packetdrill._runner import run  # noqa: PLC0415 - collecting alone shall be quick

        version = self.config.getoption("--packetdrill-kernel")
        outcome = run(self.script, self.mode, directory=self.path.parent, version=version)
        if outcome.output:
            self.add_report_section("call", "output of the script", outcome.output)
        if not outcome.passed:
            raise ScriptFailed(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report of the run instead of a traceback."""
        if isinstance(excinfo.value, ScriptFailed):
            return excinfo.value.outcome.report()
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is."""
        return self.path, None, f"{self.path.name}: {self.mode}"
