"""Weak references that one thread goes through while others make and lose objects."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

import liblinux
from liblinux._living import Living
from until import until


class Thing:
    """Something."""


def test_who_goes_through_may_add_and_forget() -> None:
    """In the midst of it, as another thread does: a WeakSet raises RuntimeError."""
    living: Living[Thing] = Living()
    things = [Thing() for _ in range(3)]
    for thing in things:
        living.add(thing)
    seen = []
    for thing in living:
        seen.append(thing)
        things.append(Thing())
        living.add(things[-1])
        living.discard(things[0])
    assert seen == things[:3]
    assert list(living) == things[1:]
    assert things[0] not in living and things[1] in living and len(living) == 5


def test_nothing_is_kept() -> None:
    living: Living[Thing] = Living()
    things = [Thing() for _ in range(3)]
    for thing in things:
        living.add(thing)
    del thing, things[1]
    gc.collect()
    assert list(living) == things and len(living) == 2


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_snapshots_while_another_thread_opens_files(kernel: liblinux.Kernel, restless: None) -> None:
    """It is refused while the other one is inside, and nothing else goes wrong."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with kernel.open("/tmp/file", "wb", buffering=0) as file:
                file.write(b"3")

    def is_taken() -> bool:
        for _ in range(1000):
            try:
                taken.append(kernel.snapshot())
            except BlockingIOError:
                continue
        return len(taken) >= 10

    taken: list[liblinux.Snapshot] = []
    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(is_taken, "ten snapshots are taken")
    finally:
        stop.set()
        thread.join()
    kernel.restore(taken[-1])
    assert kernel.os.getpid() == 1


@pytest.mark.parametrize("where", ["_actor.syscaller", "_kernel.KernelLog"])
def test_a_kernel_that_is_interrupted_while_it_is_made(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said about it when it is collected, for nobody ever had it."""

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"liblinux.{where}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        liblinux.Kernel()
    gc.collect()
