"""Short runs of `tests/reliability/leaks.py`, and that it would find a leak."""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "reliability"))

import leaks

import liblinux

_SHORT = {"boots": 100, "mounts": 1000, "remounts": 1000, "panics": 60}


@pytest.mark.parametrize("name", leaks.SCENARIOS)
def test_nothing_grows(name: str, tmp_path: Path) -> None:
    scenario, _ = leaks.SCENARIOS[name]
    growth = scenario(leaks.make_image(tmp_path), _SHORT[name])
    assert not growth.excess(), growth


@pytest.fixture
def kept() -> Iterator[list[object]]:
    things: list[object] = []
    yield things
    for thing in things:
        if isinstance(thing, int):
            os.close(thing)


def _leak_memory(kept: list[object]) -> None:
    # Not of the heap, where what other tests have freed lies ready.
    memory = mmap.mmap(-1, 64 << 10, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(bytes(len(memory)))
    kept.append(memory)


def _leak_descriptor(kept: list[object]) -> None:
    if len(kept) < 100:
        kept.append(os.open(os.devnull, os.O_RDONLY))


@pytest.mark.parametrize(("leak", "name"), [(_leak_memory, "resident_kib"), (_leak_descriptor, "descriptors")])
def test_a_leak_is_found(leak: Callable[[list[object]], None], name: str, kept: list[object]) -> None:
    assert name in leaks.measure(lambda: leak(kept), 1000 if leak is _leak_memory else 60).excess()


def test_a_leak_of_threads_is_found() -> None:
    end = threading.Event()
    try:
        growth = leaks.measure(lambda: threading.Thread(target=end.wait).start(), 60)
    finally:
        end.set()
    assert "threads" in growth.excess()


def test_a_leak_in_the_kernel_is_found(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/t", type="tmpfs")
    numbers = iter(range(1_000_000))

    def turn() -> None:
        with kernel.open(f"/t/{next(numbers)}", "wb") as file:
            file.write(bytes(2000))

    assert "kernel_kib" in leaks.measure(turn, 1000, lambda: leaks._used_kib(kernel)).excess()
