"""One kernel put back a thousand times, the same each time: `make reliability`, or

    .venv/bin/python tests/reliability/restores.py [-n 1000]

Between two restores files are written, a process runs, time passes and chance is
asked for. What that comes to, the overlay and the kernel's clock are compared; the
exit status is 1 when any of it ever differs.
"""

from __future__ import annotations

import collections
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
from leaks import make_image

import liblinux

__all__ = ["measure", "use"]

_WRITTEN_BYTES = 20_000
_SECOND = (1).to_bytes(8, "little") + bytes(8)


def use(kernel: liblinux.Kernel) -> str:
    """Do a little of everything; what it comes to."""
    digest = hashlib.sha256()
    with kernel.process(uid=1000, gid=1000) as process:
        digest.update(b"%d" % process.pid)
    with kernel.open("/mnt/new", "wb") as file:
        file.write(kernel.os.getrandom(_WRITTEN_BYTES))
    kernel.syscall("nanosleep", _SECOND, None)
    kernel.os.sync()
    for entry in kernel.os.scantree("/mnt"):
        digest.update(repr((entry.path, tuple(entry.stat(follow_symlinks=False)))).encode())
    with kernel.open("/mnt/new", "rb") as file:
        digest.update(file.read())
    digest.update(b"%d %d" % (kernel.now(), sum(disk.changes() for disk in kernel.disks)))
    return digest.hexdigest()


def measure(image: Path, count: int) -> tuple[collections.Counter[str], float]:
    """Results by how often they came, and the median of a restore in milliseconds."""
    results: collections.Counter[str] = collections.Counter()
    times = []
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt")
        state = kernel.snapshot()
        for _ in range(count):
            results[use(kernel)] += 1
            start = time.perf_counter()
            kernel.restore(state)
            times.append(time.perf_counter() - start)
    return results, statistics.median(times) * 1e3


@click.command()
@click.option("-n", "--count", default=1000, show_default=True, help="How often.")
def main(count: int) -> None:
    """Put one kernel back over and over, and compare."""
    with tempfile.TemporaryDirectory() as directory:
        results, milliseconds = measure(make_image(Path(directory)), count)
    same = max(results.values())
    click.echo(f"{same} of {count} restores identical, {milliseconds:.2f} ms each (median)")
    sys.exit(same != count)


if __name__ == "__main__":
    main()
