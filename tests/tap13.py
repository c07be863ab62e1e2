"""A pytest plugin: with --tap13 the report is the Test Anything Protocol, version 13, on standard output.

One line for each test; a failure is followed by what pytest says about it, as a
YAML block. What goes wrong outside of a test's own function, in a module that
cannot be collected or when a fixture is torn down, is a line as well. (Rejected:
the plugin pytest-tap, which writes no version line and knows of no failures in
teardown.) Source: https://testanything.org/tap-version-13-specification.html
"""

from __future__ import annotations

import sys
from typing import TextIO

import pytest

__all__ = ["Tap", "pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    group = parser.getgroup("terminal reporting")
    group.addoption("--tap13", action="store_true", help="Report in TAP version 13.")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take the place of the reporter that writes for people."""
    # The workers of xdist report to the one that started them. (Its own lines about
    # them are what TAP calls unknown, to be ignored.)
    if not config.getoption("--tap13") or hasattr(config, "workerinput"):
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.unregister(reporter)
    config.pluginmanager.register(Tap(sys.stdout), "tap13-report")


class Tap:
    """Writes the report, line by line as tests end; the plan comes last."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._count = 0

    def _line(self, ok: bool, description: str, directive: str = "", message: str = "") -> None:
        self._count += 1
        # A "#" would begin a directive.
        words = [*([] if ok else ["not"]), "ok", str(self._count), "-", description.replace("#", "♯")]
        lines = [" ".join(words + ([f"# {directive}"] if directive else []))]
        if message:
            lines += ["  ---", "  message: |", *(f"    {line}" for line in message.splitlines()), "  ..."]
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    def pytest_sessionstart(self) -> None:
        """The version comes first."""
        self._stream.write("TAP version 13\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read for tests is a failure."""
        if report.failed:
            self._line(False, f"collecting {report.nodeid}", message=report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line for each test, and one more when something besides its function fails."""
        if report.skipped:
            reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._line(True, report.nodeid, "SKIP " + reason.removeprefix("Skipped: ").replace("\n", " "))
        elif report.failed:
            where = "" if report.when == "call" else f" ({report.when})"
            self._line(False, report.nodeid + where, message=report.longreprtext)
        elif report.when == "call":
            self._line(True, report.nodeid)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Nothing that follows can be believed."""
        self._stream.write("Bail out! " + str(excrepr).replace("\n", " ") + "\n")

    def pytest_sessionfinish(self) -> None:
        """The plan."""
        self._stream.write(f"1..{self._count}\n")
        self._stream.flush()
