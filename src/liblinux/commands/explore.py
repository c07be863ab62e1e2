"""The command ``liblinux explore``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from liblinux.explore import Report

__all__ = ["explore_command"]

# "1" is for what was found, "2" for what could not be tested, as for wrong usage.
EXIT_FAILED = 1
EXIT_UNTESTED = 2


class Seeds(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """FIRST:STOP, as of range(), or one seed."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """The range that a text says."""
        if isinstance(value, range):
            return value
        first, colon, stop = str(value).partition(":")
        try:
            seeds = range(int(first or 0), int(stop)) if colon else range(int(first), int(first) + 1)
        except ValueError:
            self.fail(f"{value!r} are no seeds: write FIRST:STOP, such as 0:1000, or one number", param, ctx)
        if not seeds or seeds.start < 0:
            self.fail(f"{value!r} are no seeds: the first is 0 or more, and below the end", param, ctx)
        return seeds


@click.command("explore")
@click.argument("test", metavar="PATH.py::TEST")
@click.option(
    "--seeds", type=Seeds(), default="0:1000", show_default=True, metavar="FIRST:STOP", help="Without the last one."
)
@click.option(
    "--faults",
    metavar="KINDS|FILE",
    help="Kinds of faults that are drawn for each seed (partition, kill, pause, clock, link, slow), with commas; "
    "or a file of JSON with a schedule, the same for all. [default: none]",
)
@click.option("--most", type=click.IntRange(min=1), default=4, show_default=True, help="Faults that are drawn.")
@click.option(
    "--until",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="They are over by then, on the network's clock.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes. [default: one per processor]")
@click.option(
    "--dask",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[ADDRESS]",
    help="On the Dask cluster at this address; without one, on a local one.",
)
@click.option("--kernel", metavar="X.Y", help="Kernel series. [default: the newest that is built]")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For each seed, of wall time; more is a failure.",
)
@click.option("--no-shrink", is_flag=True, help="Leave the schedule as it was found.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Keep the schedule that fails."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def explore_command(
    test: str,
    seeds: range,
    faults: str | None,
    jobs: int | None,
    dask: str | None,
    no_shrink: bool,
    save: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a test under many seeds and faults, until it fails.

    The test is a function with any of the parameters net (a Network with the seed
    and a virtual clock), seed and schedule (for net.play(schedule)); or any test of
    pytest, which has these as fixtures. All seeds below the one that is shown pass.
    It is tried once more by itself, and its faults are made as few as can be.

    \b
    Ends with 0 when all passed, 1 when one failed, 2 when it could not be tested.

    \b
    Examples:
      liblinux explore test_store.py::test_keeps --seeds 0:10000 --faults partition,kill
      liblinux explore test_store.py::test_keeps --seeds 17 --faults found.json
      liblinux explore test_store.py::test_keeps --faults kill --dask tcp://10.0.0.1:8786
    """
    from liblinux.explore import Untestable, explore  # noqa: PLC0415 - asyncio, and all

    try:
        plan = _plan(test, faults, **options)
        with _progress(len(seeds), not as_json) as progress:
            report = explore(plan, seeds, jobs=jobs, dask=dask, smaller=not no_shrink, progress=progress)
        if save is not None and report.failure is not None:
            (report.failure.smallest or report.failure.schedule).save(save)
    except (Untestable, ValueError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_UNTESTED) from None
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else str(report))
    if report.failure is None:
        return
    if not as_json:
        click.echo(f"\nAgain: {_again(test, report, faults, options, save)}")
    raise SystemExit(EXIT_FAILED)


def _plan(test: str, faults: str | None, **options: Any) -> Any:
    from liblinux.explore import Plan  # noqa: PLC0415 - as above
    from liblinux.network.faults import Draw, Schedule  # noqa: PLC0415 - as above

    if faults is None:
        return Plan(test, **options)
    if faults.endswith(".json") or Path(faults).is_file():
        return Plan(test, schedule=Schedule.load(faults).as_json(), **options)
    kinds = tuple(kind.strip() for kind in faults.split(",") if kind.strip())
    Draw(0, kinds)  # says what is wrong with them
    return Plan(test, kinds=kinds, **options)


def _again(test: str, report: Report, faults: str | None, options: dict[str, Any], save: Path | None) -> str:
    assert report.failure is not None
    words = ["liblinux explore", test, "--seeds", str(report.failure.outcome.seed)]
    if save is not None:
        words += ["--faults", str(save)]
    elif faults is not None:
        words += ["--faults", faults, "--most", str(options["most"]), "--until", f"{options['until']:g}"]
    if options["kernel"]:
        words += ["--kernel", options["kernel"]]
    return " ".join(words)


@contextlib.contextmanager
def _progress(total: int, wanted: bool) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        yield lambda count: bars.update(task, advance=count)
