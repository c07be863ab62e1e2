"""The command line: options reach the builder, errors reach the user."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from liblinux import cli as command_line
from liblinux._errors import BuildError
from liblinux.builder import BuildOptions, BuildResult
from liblinux.builder import cli as builder_cli
from liblinux.builder._progress import LineProgress
from liblinux.builder._terminal import RichProgress, progress_for


def test_help_has_examples_and_lists_the_commands() -> None:
    result = CliRunner().invoke(command_line.cli, ["--help"])
    assert result.exit_code == 0
    assert "Examples" in result.output and "Build a Linux kernel as a shared library." in result.output
    result = CliRunner().invoke(command_line.cli, ["build", "--help"])
    assert result.exit_code == 0
    assert "liblinux build --kernel 6.1" in result.output


def test_the_version() -> None:
    result = CliRunner().invoke(command_line.cli, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("liblinux ")


def test_an_unknown_command() -> None:
    assert CliRunner().invoke(command_line.cli, ["nonsense"]).exit_code == 2


def test_options_reach_the_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BuildOptions] = []

    def fake(options: BuildOptions, progress: object) -> BuildResult:
        seen.append(options)
        return BuildResult(Path("lib.so"), "6.1.1", "0", True, 0.1)

    monkeypatch.setattr(builder_cli, "build", fake)
    options = "--kernel 6.1 --config minimal --with debug --with mine.config -j 3 --force --output out"
    arguments = ["build", *options.split()]
    result = CliRunner().invoke(command_line.cli, arguments)
    assert result.exit_code == 0
    assert "lib.so (from the cache in 0.1 s)" in result.output
    assert seen == [BuildOptions("6.1", None, "minimal", ("debug", "mine.config"), 3, True, Path("out"))]


def test_a_build_error_is_a_message_and_an_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: BuildOptions, progress: object) -> BuildResult:
        raise BuildError("make failed; the log is in there")

    monkeypatch.setattr(builder_cli, "build", fail)
    result = CliRunner().invoke(command_line.cli, ["build"])
    assert result.exit_code == 1
    assert "the log is in there" in result.output
    assert "Traceback" not in result.output


def test_a_log_gets_plain_lines() -> None:
    stream = io.StringIO()
    with progress_for(stream) as progress:
        assert isinstance(progress, LineProgress)
        progress.step("configuring")
        progress.compiling("fs/open.o", 1, 10)
    assert stream.getvalue().endswith("configuring\n")
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    stream = io.StringIO()
    with RichProgress(Console(file=stream, force_terminal=True, width=200)) as progress:
        progress.step("compiling [of] it")
        progress.compiling("fs/open.o", 2900, 2800)
    assert "compiling [of] it" in stream.getvalue()
    assert "fs/open.o" in stream.getvalue()
