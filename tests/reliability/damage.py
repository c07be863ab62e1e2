"""Twelve file systems, a thousand damaged images of each: `make reliability`, or

    .venv/bin/python tests/reliability/damage.py                     12,000 images
    .venv/bin/python tests/reliability/damage.py --fs ext4 --seed 123 --count 1
    .venv/bin/python tests/reliability/damage.py --fs ext4 --image ext4-plain --seed 123 --count 1

The seeds of a file system are shared out among its images: image k of n gets
the seeds k, k + n, k + 2n, ... Images are made once and kept, since what a seed
does depends on every byte. Prints the table of docs/RELIABILITY.md, and every
finding as a line of JSON; the exit status is 1 when the process of an image died
or hung.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from targets import SOURCES, Source

from liblinux.imagefuzz import Campaign, Tally

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "liblinux" / "reliability"
_COLUMNS = (
    "tried",
    "mounted",
    "refused",
    "warned",
    "panics",
    "stuck",
    "errors",
    "deaths",
    "hangs",
    "slowest",
    "seconds",
)
_FILE_SYSTEMS = list(dict.fromkeys(source.file_system for source in SOURCES))


@click.command()
@click.option(
    "--fs", "wanted", multiple=True, type=click.Choice(_FILE_SYSTEMS, case_sensitive=False), help="Only this."
)
@click.option("--image", "image_names", multiple=True, help="Only this image, with all the seeds.")
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--count", default=1000, show_default=True, help="Seeds of each file system.")
@click.option("--jobs", "-j", default=1, show_default=True, help="Processes at once.")
@click.option("--kernel", "version", help="Kernel version.")
@click.option("--directory", type=click.Path(path_type=Path), default=_CACHE, help="Where the images are kept.")
def main(
    wanted: tuple[str, ...],
    image_names: tuple[str, ...],
    seed: int,
    count: int,
    jobs: int,
    version: str | None,
    directory: Path,
) -> None:
    """Damage images, and print what became of them."""
    total = Tally()
    rows = []
    for file_system in wanted or _FILE_SYSTEMS:
        tally = Tally()
        sources = [source for source in SOURCES if source.file_system == file_system]
        sources = [source for source in sources if not image_names or source.name in image_names]
        for number, source in enumerate(sources):
            seeds = range(seed + number, seed + count, len(sources))
            _run(source, seeds, tally, jobs, version, directory)
        rows.append((file_system, tally))
        _add(total, tally)
    print(_table([*rows, ("all", total)]))
    sys.exit(1 if total.results["death"] or total.results["hang"] else 0)


def _run(source: Source, seeds: range, tally: Tally, jobs: int, version: str | None, directory: Path) -> None:
    campaign = Campaign(source.target(directory, version), jobs=jobs)
    console = Console(stderr=True)
    start = time.monotonic()
    with console.status("") as status:
        for outcome in campaign.run(seeds):
            before = len(tally.findings)
            tally.add(outcome)
            status.update(f"{source.name}: seed {outcome.seed}, {len(tally.findings)} found")
            if len(tally.findings) > before or outcome.warnings:
                print(json.dumps({"image": source.name, **dataclasses.asdict(outcome)}), flush=True)
    tally.seconds += time.monotonic() - start


def _add(total: Tally, tally: Tally) -> None:
    total.results.update(tally.results)
    total.findings += tally.findings
    total.warned += tally.warned
    total.slowest = max(total.slowest, tally.slowest)
    total.seconds += tally.seconds


def _table(rows: list[tuple[str, Tally]]) -> str:
    lines = ["| file system | " + " | ".join(_COLUMNS) + " |", "|---|" + "--:|" * len(_COLUMNS)]
    for name, tally in rows:
        results = tally.results
        counts = [tally.tried, tally.mounted, results["refused"], len(tally.warned)]
        counts += [results[result] for result in ("panic", "stuck", "error", "death", "hang")]
        cells = [*map(str, counts), f"{tally.slowest:.2f} s", f"{tally.seconds:.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
