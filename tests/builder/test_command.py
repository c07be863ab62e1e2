"""The command line: options reach the builder, errors reach the user."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
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


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["build", "--nonsense"], ["build", "-j", "0"], ["completion", "cmd"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(command_line.cli, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_every_shell(shell: str) -> None:
    result = CliRunner().invoke(command_line.cli, ["completion", shell])
    assert result.exit_code == 0
    assert f"_LIBLINUX_COMPLETE={shell}_complete" in result.output


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["liblinux", ""], {"build", "completion", "imagefuzz"}),
        (["liblinux", "build", "--k"], {"--kernel"}),
        (["liblinux", "build", "--config", "m"], {"minimal"}),
    ],
)
def test_bash_completes(words: list[str], expected: set[str], tmp_path: Path) -> None:
    """The printed script in a real bash, which asks the real command."""
    command = tmp_path / "liblinux"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m liblinux.cli "$@"\n')
    command.chmod(0o755)
    script = f"""
        PATH={tmp_path}:$PATH
        eval "$(liblinux completion bash)"
        COMP_LINE='{" ".join(words)}'
        COMP_POINT=${{#COMP_LINE}}
        _liblinux_completion liblinux
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert expected <= set(done.stdout.split()), done


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
