"""The command ``liblinux imagefuzz``."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from liblinux._errors import LiblinuxError
from liblinux.imagefuzz._campaign import TIMEOUT_SECONDS, Campaign, Tally
from liblinux.imagefuzz._target import Target
from liblinux.imagefuzz._trial import FINDINGS, RESULTS, Outcome

__all__ = ["imagefuzz_command"]


@click.command("imagefuzz")
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--count", "-n", default=1000, show_default=True, type=click.IntRange(min=1), help="How many seeds to try."
)
@click.option("--seed", "-s", default=0, show_default=True, type=click.IntRange(min=0), help="The first of them.")
@click.option("--jobs", "-j", default=1, show_default=True, type=click.IntRange(min=1), help="Processes at once.")
@click.option("--type", "-t", metavar="TYPE", help="Type of the file system, as mount(8) has it. [default: detected]")
@click.option("--options", "-o", metavar="OPTIONS", help="Mount options. [default: errors=continue where known]")
@click.option("--memory", default="64M", show_default=True, help="Memory of each kernel.")
@click.option("--kernel", "version", metavar="VERSION", help="Kernel to use, such as 6.1. [default: 6.12]")
@click.option(
    "--timeout",
    default=TIMEOUT_SECONDS,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Seconds after which an image counts as a hang.",
)
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Keep the damaged image of every finding there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each finding, and one with the sums.")
def imagefuzz_command(
    image: Path,
    count: int,
    seed: int,
    jobs: int,
    type: str | None,
    options: str | None,
    memory: str,
    version: str | None,
    timeout: float,
    save: Path | None,
    as_json: bool,
) -> None:
    """Damage an IMAGE in many ways, and see how the kernel takes it.

    Each seed damages the image in its own way, most likely in its metadata, with
    checksums put right; the image file itself is not changed. It is mounted,
    walked, read, written and unmounted in a kernel of its own, in a worker process.

    A seed is refused (not mounted) or passed, or it is a finding: a panic of the
    kernel, a wait without end (stuck), an unexpected exception (error), the death
    of the worker, or a hang. Findings are tried again alone.

    Exit status: 0 without findings, 1 with, 2 for wrong usage.

    \b
    Examples:
      liblinux imagefuzz disk.img                          seeds 0 to 999
      liblinux imagefuzz disk.img -n 100000 -j 8 --save found
      liblinux imagefuzz disk.img --seed 4711 -n 1         one finding again
      liblinux imagefuzz disk.img --json | jq .seed
    """
    try:
        target = Target.of(image, type=type, options=options, memory=memory, version=version)
        campaign = Campaign(target, jobs=jobs, timeout_seconds=timeout)
    except (LiblinuxError, OSError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    tally = _run(campaign, target, range(seed, seed + count), save, as_json)
    if as_json:
        click.echo(json.dumps(summary(target, tally)))
    else:
        Console().print(_table(target, tally))
    sys.exit(1 if tally.findings else 0)


def _run(campaign: Campaign, target: Target, seeds: range, save: Path | None, as_json: bool) -> Tally:
    tally = Tally()
    start = time.monotonic()
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[found]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(target.type, total=len(seeds), found="")
        for outcome in campaign.run(seeds):
            tally.add(outcome)
            progress.update(task, advance=1, found=f"{len(tally.findings)} found")
            if outcome.result in FINDINGS:
                _report(progress.console, outcome, as_json)
                if save is not None:
                    _keep(campaign, target, outcome, save)
    tally.seconds = time.monotonic() - start
    return tally


def _report(console: Console, outcome: Outcome, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(outcome)))
        return
    again = "" if outcome.reproduced is None else f", {'' if outcome.reproduced else 'NOT '}reproduced"
    console.print(
        f"seed {outcome.seed}: {outcome.result} in {outcome.step}{again}: {outcome.detail}",
        highlight=False,
        markup=False,
    )


def _keep(campaign: Campaign, target: Target, outcome: Outcome, directory: Path) -> None:
    """The damaged image, as a file with the holes of the original."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{Path(target.image).stem}-{outcome.seed}-{outcome.result}.img"
    shutil.copyfile(target.image, path)
    with path.open("r+b") as file:
        for change in campaign.changes(outcome.seed):
            file.seek(change.offset)
            file.write(change.data)


def summary(target: Target, tally: Tally) -> dict[str, object]:
    """The sums, by name."""
    results: dict[str, object] = {result: tally.results[result] for result in RESULTS}
    return {
        "image": target.image,
        "type": target.type,
        "tried": tally.tried,
        "mounted": tally.mounted,
        **results,
        "warned": len(tally.warned),
        "slowest_seconds": round(tally.slowest, 3),
        "seconds": round(tally.seconds, 1),
    }


def _table(target: Target, tally: Tally) -> Table:
    table = Table(title=f"{Path(target.image).name} ({target.type})")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in summary(target, tally).items():
        if name not in ("image", "type"):
            table.add_row(name.replace("_", " "), str(value))
    return table
