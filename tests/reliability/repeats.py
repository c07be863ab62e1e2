"""Whether the same seed gives the same run, a thousand times: `make reliability`, or

    .venv/bin/python tests/reliability/repeats.py                 1,000 runs, half of them under load
    .venv/bin/python tests/reliability/repeats.py -n 100 --program streams

Each process runs a program of tests/services ten times, each time on a network of
its own, with a PYTHONHASHSEED of its own; what is compared is a hash of the
capture file and of the program's log. The exit status is 1 when one differs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click

_RUNNER = Path(__file__).resolve().parent.parent / "services" / "service_run.py"
_TIMES = 10  # in each process
_LOAD = "while True: pass"
_SEED = "1"
_PROGRAMS = ("streams", "http", "threads")


def _run(program: str, hash_seed: int) -> list[str]:
    """Hashes of runs in one process. (The first imports what the program needs.)"""
    done = subprocess.run(
        [sys.executable, _RUNNER, _SEED, *[program] * _TIMES],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split(" ", 1)[1] for line in done.stdout.splitlines()]


def _repeat(program: str, count: int, first: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for number in range(first, first + -(-count // _TIMES)):
        seen.update(_run(program, number))
    return seen


@click.command(help=__doc__)
@click.option("-n", "--count", default=1000, show_default=True, help="runs, shared out among the programs")
@click.option("--program", "programs", multiple=True, default=_PROGRAMS, show_default=True)
def main(count: int, programs: tuple[str, ...]) -> None:
    """Run them all, and say how many were equal."""
    different = False
    each = count // (2 * len(programs)) or 1
    for program in programs:
        idle = _repeat(program, each, 0)
        busy = [subprocess.Popen([sys.executable, "-c", _LOAD]) for _ in range(2 * (os.cpu_count() or 1))]
        try:
            loaded = _repeat(program, each, 10_000)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        seen = idle + loaded
        ((_, equal),) = seen.most_common(1)
        click.echo(f"{program}: {equal} of {seen.total()} equal, {loaded.total()} of them under load")
        different |= len(seen) > 1
    sys.exit(different)


if __name__ == "__main__":
    main()
