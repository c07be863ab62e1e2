"""Measure liblinux side by side with the alternatives: `make bench`.

    python bench/run.py                     everything, some minutes
    python bench/run.py --quick             smaller images and fewer rounds, to see that it works
    python bench/run.py --only read         one subject; can be repeated
    python bench/run.py --only fat          minutes of pyfatfs, which is not in the others
    python bench/run.py --json FILE         the figures also as JSON
    python bench/run.py --build             also the full build of a kernel

Reads and writes happen on a tmpfs, so that no disk is measured. As root, loop
mounts are measured too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

import archives
import boot
import building
import calls
import commands
import containers
import copies
import copying
import dumbbell
import exploring
import footprint
import internet
import isolation
import making
import network
import observing
import reading
import scripts
import serving
import sockets
import startup
import switching
import testing
import virtual
import walking
import writing
from measure import Row
from subjects import Bench
from table import show, write_json
from workplace import workplace

SUBJECTS: dict[str, Callable[[Bench], list[Row]]] = {
    "boot": boot.measure,
    "process": startup.measure,
    "commands": commands.measure,
    "containers": containers.measure,
    "calls": calls.measure,
    "switch": switching.measure,
    "read": reading.measure,
    "walk": walking.measure,
    "serve": serving.measure,
    "write": writing.measure,
    "memory": footprint.measure,
    "network": network.measure,
    "isolation": isolation.measure,
    "sockets": sockets.measure,
    "tar": archives.measure,
    "image": making.measure,
    "copies": copies.measure,
    "internet": internet.measure,
    "packetdrill": scripts.measure,
    "copying": copying.measure,
    "fat": copying.measure_fat,
    "virtual": virtual.measure,
    "explore": exploring.measure,
    "observing": observing.measure,
    "dumbbell": dumbbell.measure,
    "testing": testing.measure,
    "build": building.measure,
}
# Only when it is asked for: minutes of others.
BY_NAME_ALONE = ("fat",)
ROUNDS = 7
QUICK_ROUNDS = 1


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round on small images")
    parser.add_argument("--only", action="append", choices=list(SUBJECTS), metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--build", action="store_true", help="also build a kernel from nothing: minutes")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}")
    options = parser.parse_args()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    # In a file or a pipe the table is as wide as it needs to be.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    rows: list[Row] = []
    with console.status("making the images") as status, workplace(quick=options.quick) as images:
        bench = Bench(images, rounds, options.quick, options.build)
        for name in options.only or [name for name in SUBJECTS if name not in BY_NAME_ALONE]:
            status.update(f"measuring: {name}")
            rows += SUBJECTS[name](bench)
    show(console, rows, rounds)
    if options.json:
        write_json(options.json, rows, rounds)


if __name__ == "__main__":
    main()
