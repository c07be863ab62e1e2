"""The command ``liblinux packetdrill``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click

from liblinux._errors import BuildError
from liblinux.packetdrill._config import MODES, Mode, modes_of
from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill._outcome import Failure, Outcome
from liblinux.packetdrill._parser import parse
from liblinux.packetdrill._selftests import options_for, selftests
from liblinux.packetdrill._table import write_table

__all__ = ["packetdrill_command"]

_FAILED, _USAGE = 1, 2
# From so many runs on a bar shows how far they are.
_MANY = 8


@dataclass(frozen=True)
class _Job:
    """One script in one mode."""

    path: Path
    mode: Mode
    options: tuple[tuple[str, str | None], ...]
    version: str | None
    seed: int


@click.command("packetdrill", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--ip-version", "ip_version", type=click.Choice([*MODES, "all"]), default="all", show_default=True)
@click.option(
    "--kernel", "versions", multiple=True, metavar="VERSION", help="Kernel to test: 6.12, 6.1, ... Repeatable."
)
@click.option("-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="As --NAME=VALUE in a script.")
@click.option("-D", "--define", "defines", multiple=True, metavar="NAME=VALUE", help="A constant for the script.")
@click.option("-j", "--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes at a time.")
@click.option("--seed", default=0, show_default=True, help="Of all randomness in the kernel.")
@click.option("--selftests", "with_selftests", is_flag=True, help="Run the scripts that ship with the kernel's source.")
@click.option(
    "--table", type=click.Path(path_type=Path), help="Write the results into the table of this Markdown file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each run.")
@click.option("-v", "--verbose", is_flag=True, help="Show what happened in every run.")
def packetdrill_command(
    files: tuple[Path, ...],
    ip_version: str,
    versions: tuple[str, ...],
    options: tuple[str, ...],
    defines: tuple[str, ...],
    jobs: int,
    seed: int,
    table: Path | None,
    *,
    with_selftests: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run packetdrill scripts against a kernel of the library, on virtual time.

    FILES are scripts, or directories of *.pkt files. Set-up lines are served by
    the library's kernel; nothing touches the host, and no rights are needed.

    \b
    Examples:
      liblinux packetdrill handshake.pkt
      liblinux packetdrill --ip-version ipv6 -v handshake.pkt
      liblinux packetdrill -j 2 -o tolerance_usecs=1 tests/
      liblinux packetdrill --selftests --kernel 6.12 --kernel 6.1
    Exit status: 0 all passed, 1 some failed, 2 some could not be run.
    """
    if not files and not with_selftests:
        raise click.UsageError("no scripts: name files or directories, or give --selftests")
    wanted = MODES if ip_version == "all" else (ip_version,)
    given = tuple(_pair(one) for one in options) + tuple(("define", one) for one in defines)
    paths = [*_scripts(files), *(selftests() if with_selftests else ())]
    work: list[_Job] = []
    outcomes: list[Outcome] = []
    for path in paths:
        try:
            modes = modes_of(parse(_read(path), str(path)), wanted)  # type: ignore[arg-type] # click has checked them
        except ScriptError as error:
            outcomes.append(_broken(path, error))
            continue
        own = (*given, *(options_for(path) if with_selftests else ()))
        work += [_Job(path, mode, own, version, seed) for version in versions or (None,) for mode in modes]
    for outcome in outcomes:
        _show(outcome, as_json=as_json, verbose=verbose)
    for outcome in _run_all(work, jobs, quiet=as_json or verbose):
        outcomes.append(outcome)
        _show(outcome, as_json=as_json, verbose=verbose)
    if table is not None:
        write_table(table, outcomes)
    if not as_json:
        _summary(outcomes)
    statuses = {outcome.status for outcome in outcomes}
    sys.exit(_USAGE if "error" in statuses or not outcomes else _FAILED if "failed" in statuses else 0)


def _pair(text: str) -> tuple[str, str | None]:
    name, equals, value = text.removeprefix("--").partition("=")
    return name, value if equals else None


def _scripts(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(path.rglob("*.pkt"))
        else:
            yield path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from None


def _broken(path: Path, error: ScriptError) -> Outcome:
    failure = Failure(error.message, error.line, error.column)
    return Outcome(str(path), "all modes", status="error", failure=failure)


def _run(job: _Job) -> Outcome:
    from liblinux.packetdrill._runner import run  # noqa: PLC0415 - so that --help and errors come quickly

    script = parse(_read(job.path), str(job.path))
    try:
        return run(script, job.mode, directory=job.path.parent, options=job.options, version=job.version, seed=job.seed)
    except BuildError as error:
        return Outcome(str(job.path), job.mode, status="error", failure=Failure(str(error)))


def _run_all(work: list[_Job], jobs: int, *, quiet: bool) -> Iterator[Outcome]:
    """All runs in their order; by several processes if so wanted."""
    if jobs == 1 or len(work) < 2:
        results: Iterator[Outcome] = map(_run, work)
        yield from _with_bar(results, len(work), quiet=quiet)
        return
    # Not forked: kernels and threads of this process are none of theirs.
    with ProcessPoolExecutor(min(jobs, len(work)), mp_context=get_context("spawn")) as pool:
        yield from _with_bar(pool.map(_run, work), len(work), quiet=quiet)


def _with_bar(results: Iterator[Outcome], count: int, *, quiet: bool) -> Iterator[Outcome]:
    if quiet or count < _MANY or not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import track  # noqa: PLC0415

    console = Console(stderr=True)
    yield from track(results, "packetdrill", total=count, console=console, transient=True)


def _show(outcome: Outcome, *, as_json: bool, verbose: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.as_dict()))
        return
    if outcome.output:
        click.echo(outcome.output, nl=False)
    if verbose and outcome.passed:
        click.echo("\n".join(f"    {line}" for line in outcome.exchange))
    if verbose or not outcome.passed:
        click.echo(outcome.report())
    for warning in outcome.warnings:
        click.echo(f"{outcome.script}:{warning.line}: {outcome.mode}: warning: {warning.message}", err=True)


def _summary(outcomes: list[Outcome]) -> None:
    counts = {status: sum(one.status == status for one in outcomes) for status in ("passed", "failed", "error")}
    releases = sorted({one.release for one in outcomes if one.release})
    on = f" on Linux {', '.join(releases)}" if releases else ""
    parts = [f"{counts['passed']} passed"]
    parts += [
        f"{counts[status]} {name}" for status, name in (("failed", "failed"), ("error", "not run")) if counts[status]
    ]
    click.echo(f"{', '.join(parts)}{on}" if outcomes else f"no scripts found{os.linesep}", nl=bool(outcomes))
