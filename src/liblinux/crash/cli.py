"""The command ``liblinux crashtest``."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from liblinux._errors import LiblinuxError
from liblinux.crash._formats import FORMATS
from liblinux.crash._image import ATOMIC_BYTES
from liblinux.crash._report import Report
from liblinux.crash._test import Progress, crashtest

__all__ = ["crashtest_command"]

# "1" is for what was found, "2" for what could not be tested, as for wrong usage.
EXIT_FAILED = 1
EXIT_UNTESTED = 2
_SHOWN = 5


@click.command("crashtest")
@click.argument("workload", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="WORKLOAD.py")
@click.option(
    "--fs",
    "filesystems",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help="Test on an empty file system of this type. Can be repeated. [default: ext4]",
)
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Test on this image instead; it is not changed.",
)
@click.option("--points", type=click.IntRange(min=1), default=1000, show_default=True, help="Crash points to try.")
@click.option("--point", "named", multiple=True, metavar="POINT", help="Try only this one, as a failure names it.")
@click.option("--seed", default="0", show_default=True, help="Of the recording and the points: a number or text.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes. [default: one per processor]")
@click.option("--options", default="", metavar="OPTIONS", help="Mount options, as of mount(8).")
@click.option("--check-options", metavar="OPTIONS", help="Mount options after the crash. [default: the same]")
@click.option(
    "--atomic",
    type=int,
    default=ATOMIC_BYTES,
    show_default=True,
    metavar="BYTES",
    help="What the disk writes whole or not at all; 512 tears between sectors.",
)
@click.option("--fsck", is_flag=True, help="Let the file system's own checker look after each recovery.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="For each point.",
)
@click.option("--partition", type=int, metavar="NUMBER", help="Of the image; 0 is the whole disk.")
@click.option("--sector-size", type=int, default=512, show_default=True, metavar="BYTES", help="Of the disk.")
@click.option("--kernel", metavar="X.Y", help="Kernel series to test. [default: the newest that is built]")
@click.option(
    "--keep-failures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the images of points that failed, and what was wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def crashtest_command(
    workload: Path,
    filesystems: tuple[str, ...],
    image: Path | None,
    points: int,
    named: tuple[str, ...],
    seed: str,
    jobs: int | None,
    kernel: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Let the power fail, again and again, and see what is left.

    WORKLOAD.py has two functions. workload(fs) uses the file system and says with
    fs.promise(name, value) what must survive from then on. check(fs, promises) is
    called after each crash and recovery, and raises AssertionError or OSError when
    something promised is not there.

    \b
    Ends with 0 when nothing was lost, 1 when something was, 2 when it could not be tested.

    \b
    Examples:
      liblinux crashtest examples/crash/fsynced.py --fs ext4 --fs xfs
      liblinux crashtest examples/crash/forgetful.py --options noauto_da_alloc
      liblinux crashtest mine.py --image disk.img --seed 7 --keep-failures lost
      liblinux crashtest mine.py --image disk.img --seed 7 --point 812:torn:3fa1
    """
    if image is not None and filesystems:
        raise click.UsageError("--fs makes an empty file system and --image brings one: give one of them")
    module = _load(workload)
    arguments = {
        "points": named or points,
        # As a number it is the seed that a program would give.
        "seed": int(seed) if seed.isdecimal() else seed,
        "workers": jobs,
        "version": kernel,
        **options,
    }
    sources: list[dict[str, Any]] = [{"image": image}] if image else [{"filesystem": type} for type in filesystems]
    reports = []
    for source in sources or [{"filesystem": "ext4"}]:
        with _untested(), _progress(not as_json) as progress:
            report = crashtest(module.workload, module.check, **source, **arguments, progress=progress)
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        click.echo(json.dumps([report.as_json() for report in reports], indent=2))
    if not all(report.passed for report in reports):
        raise SystemExit(EXIT_FAILED)


def _show(report: Report) -> None:
    click.echo(str(report))
    for failure in report.failures[:_SHOWN]:
        click.echo(f"\n{failure}")
    if len(report.failures) > _SHOWN:
        click.echo(f"\nand {len(report.failures) - _SHOWN} more; --json shows all of them")
    if report.failures:
        click.echo(f"\nAgain, only the first: add --point {report.failures[0].point}")


def _load(path: Path) -> ModuleType:
    """The module at a path, which may import its neighbours, as a program may."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    with _untested():
        spec.loader.exec_module(module)
    for name in ("workload", "check"):
        if not callable(getattr(module, name, None)):
            raise click.UsageError(f"{path} has no function {name}(); it needs workload(fs) and check(fs, promises)")
    return module


@contextlib.contextmanager
def _untested() -> Iterator[None]:
    """What goes wrong before the power fails is no crash that lost something."""
    try:
        yield
    except (LiblinuxError, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
    except Exception:  # noqa: BLE001 - the code of the user
        traceback.print_exc()
        click.echo("Error: the workload itself failed; nothing was tested", err=True)
    else:
        return
    raise SystemExit(EXIT_UNTESTED)


@contextlib.contextmanager
def _progress(wanted: bool) -> Iterator[Progress | None]:
    """A bar on a terminal; drawn when there is news, for a thread must not be there when workers are forked."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (
        TextColumn("crash points"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bars:
        task = bars.add_task("", total=None, failed=0)
        yield _every_tenth(lambda done, total, failed: _draw(bars, task, done, total, failed))


def _draw(bars: Any, task: Any, done: int, total: int, failed: int) -> None:
    bars.update(task, completed=done, total=total, failed=failed)
    bars.refresh()


def _every_tenth(progress: Callable[[int, int, int], object]) -> Progress:
    """Not for each: drawing takes as long as a crash point."""

    def sometimes(done: int, total: int, failed: int) -> None:
        if done % 10 == 0 or done == total:
            progress(done, total, failed)

    return sometimes
