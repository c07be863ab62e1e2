"""The second thread: when it is there, when it goes, and that nothing needs it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

import liblinux
from big_files import HAS_TWO_PROCESSORS, Big, read_cold, until_counted
from until import until

READ = """
import hashlib, os, sys
import liblinux
%s
with liblinux.Kernel(%s) as kernel:
    kernel.mount(kernel.attach(sys.argv[1], readonly=True), "/mnt")
    %s
    with kernel.open("/mnt/a", "rb", buffering=0) as file:
        data = b"".join(iter(lambda: file.read(1 << 20), b""))
    %s
    told = kernel.statistics()
    threads = len(os.listdir("/proc/self/task"))
print(hashlib.sha256(data).hexdigest(), told["started_reads"], told["reader_bytes"], threads)
"""


def run_reading(
    big: Big, *, before: str = "", options: str = "", mounted: str = "", after: str = ""
) -> tuple[int, int, int]:
    """Read a file in a process of its own: reads that were started, bytes of the second thread, threads at the end."""
    done = subprocess.run(
        [sys.executable, "-c", READ % (before, options, mounted, after), big.path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digest, *numbers = done.stdout.split()
    assert digest == hashlib.sha256(big.content["a"]).hexdigest()
    started, aside, threads = map(int, numbers)
    return started, aside, threads


def test_one_processor(big: Big) -> None:
    """Then there is no second thread, and nothing is started once that is known."""
    started, aside, threads = run_reading(big, before="os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")
    assert (aside, threads) == (0, 1)
    assert 0 < started < 5


def test_the_virtual_clock(big: Big) -> None:
    """What happens when does not depend on a thread: all reads are done at once."""
    assert run_reading(big, options="clock='virtual'") == (0, 0, 1)


def test_no_thread_to_be_had(big: Big) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)); root = os.getuid() == 0"
    started, aside, threads = run_reading(
        big, before=limit, mounted="root and os.setresuid(65534, 65534, 0)", after="root and os.setresuid(0, 0, 0)"
    )
    assert (aside, threads) == (0, 1)
    assert started > 0


def test_small_reads_start_nothing(kernel: liblinux.Kernel, big: Big) -> None:
    kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
    before = kernel.statistics()["started_reads"]
    with kernel.open("/mnt/a", "rb", buffering=0) as file:
        assert file.read(4096) == big.content["a"][:4096]
    assert kernel.statistics()["started_reads"] == before


def test_failures_that_are_injected_hit_every_read(kernel: liblinux.Kernel, big: Big) -> None:
    """Who replaces disk_io sees all requests."""
    kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
    before = kernel.statistics()["started_reads"]
    with kernel.inject(seed=1, read_error=1.0), pytest.raises(OSError, match="Input/output error"):
        read_cold(kernel, "/mnt/a")
    assert kernel.statistics()["started_reads"] == before
    assert read_cold(kernel, "/mnt/a") == big.content["a"]


@pytest.mark.skipif(not HAS_TWO_PROCESSORS, reason="one processor: there is no second thread")
@pytest.mark.in_process("its threads are those of another process")
def test_it_goes_when_there_is_nothing_to_do(mounted: liblinux.Kernel) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    until_counted(mounted, "reader_bytes", lambda: read_cold(mounted, "/mnt/a"))
    until(lambda: threads() <= before, "it goes")


def test_the_end_of_python_while_it_reads(big: Big) -> None:
    """A daemon thread reads for ever; the interpreter ends all the same."""
    script = """
import sys, threading, time
import liblinux
kernel = liblinux.Kernel()
kernel.mount(kernel.attach(sys.argv[1], readonly=True), "/mnt")
def work():
    while True:
        kernel.os.sync()
        with kernel.open("/proc/sys/vm/drop_caches", "wb", buffering=0) as file: file.write(b"3")
        with kernel.open("/mnt/a", "rb", buffering=0) as file: file.read()
threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
sys.exit(7)
"""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script, big.path], timeout=60, check=False, capture_output=True, text=True
        )
        assert done.returncode == 7, done.stderr
