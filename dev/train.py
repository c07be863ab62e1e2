"""Count which ways the kernel's code takes, for the compiler to know them when it is built.

    .venv/bin/python dev/train.py                  of 6.12 and 6.1
    .venv/bin/python dev/train.py --kernel 6.12

Builds a kernel whose objects of kernel/arch/lib/profile/objects count how often each
branch is taken (kernel/config/training.config), lets it do what train_lessons.py has,
and writes what was counted to kernel/arch/lib/profile/SERIES, in GCC's own format: gcc
finds them there (kernel/arch/lib/Makefile). To be run again when the kernel's source,
the configuration or the compiler changes much: functions that are not as they were when
they were trained are compiled as if they had never been, and nothing else happens.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from liblinux.builder import BuildOptions, build
from liblinux.builder.cache import Cache

ROOT = Path(__file__).resolve().parent.parent
PROFILE = ROOT / "kernel" / "arch" / "lib" / "profile"
LESSONS = Path(__file__).with_name("train_lessons.py")


def train(series: str) -> int:
    """Write the profile of one series of kernels.

    :returns: how many objects were counted in.
    """
    with tempfile.TemporaryDirectory() as directory:
        result = build(BuildOptions(kernel=series, fragments=["training"], output=Path(directory)))
        records = Path(directory, "records")
        environment = {**os.environ, "LIBLINUX_KERNEL": str(result.library)}
        subprocess.run([sys.executable, LESSONS, records], env=environment, check=True)
        written = _take(records, Cache.default().objects, PROFILE / series)
    expected = (PROFILE / "objects").read_text().split()
    if missing := sorted({Path(name).stem for name in expected} - {name.rpartition("#")[2] for name in written}):
        raise click.ClickException(f"these objects of {PROFILE / 'objects'} counted nothing: {', '.join(missing)}")
    return len(written)


def _take(records: Path, objects: Path, target: Path) -> set[str]:
    """Name the records as gcc looks for them: by the object's path within the object directory."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    written = set()
    prefix = str(objects).replace("/", "#").lstrip("#") + "#"
    for record in records.iterdir():
        name = record.name.removeprefix(prefix).partition("#")[2]
        (target / name).write_bytes(record.read_bytes())
        written.add(name.removesuffix(".gcda"))
    return written


@click.command()
@click.option("--kernel", "series", multiple=True, default=("6.12", "6.1"), show_default=True, metavar="X.Y")
def main(series: tuple[str, ...]) -> None:
    """Train kernels, one after the other."""
    for one in series:
        click.echo(f"{one}: {train(one)} objects")


if __name__ == "__main__":
    main()
