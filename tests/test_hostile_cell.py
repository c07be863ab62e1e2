"""Isolated kernels whose process was taken over: it lies, and this process is not harmed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cells import cells
from conftest import MIB, run
from liblinux import _native
from liblinux._errors import Deadlock, KernelDied, KernelPanic
from liblinux._library import find_image
from liblinux._os import Os
from liblinux.copying import CopyFailed, extract_tree

PAGE = 4096
# What this cell is asked through `os`; a real one has them in its image.
_NUMBERS = {"getcwd": 79, "llistxattr": 195, "readlinkat": 267}
HERE = Path(__file__).resolve().parent
JAIL = HERE.parent / "kernel" / "jail"
# The numbers are those of `enum lie` in hostile_cell.c.
LIES = {
    "more than asked": 1,
    "pieces too long": 2,
    "pieces of nothing": 3,
    "pieces without end": 4,
    "records of nothing": 5,
    "names without end": 6,
    "paths elsewhere": 7,
    "answers without end": 8,
    "disks of others": 9,
    "anything": 10,
    "memory of others": 11,
    "no pages": 12,
    "pages in words": 13,
    "pages of noise": 14,
    "paths that lead out": 15,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], _native.Kernel]:
    """A kernel in a process that lies in one way."""
    directory = tmp_path_factory.mktemp("hostile")

    def make(lie: str) -> _native.Kernel:
        program = directory / lie.replace(" ", "-")
        if not program.exists():
            flags = ("-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-iquote{JAIL}", f"-iquote{JAIL.parent}/host")
            sources = (JAIL / "channel.c", HERE / "host" / "hostile_cell.c")
            run("cc", *flags, f"-DLIE={LIES[lie]}", *sources, "-o", program)
        return _native.Kernel(
            find_image(), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"", jail=str(program)
        )

    return make


def test_a_longer_read_than_asked_for(hostile: Callable[[str], _native.Kernel]) -> None:
    kernel = hostile("more than asked")
    with pytest.raises(KernelDied, match="more than was asked"):
        kernel.init.read(3, 100)
    kernel.close()
    kernel = hostile("more than asked")
    with pytest.raises(KernelDied, match="has not read what it says"):
        kernel.init.read(3, 4 * MIB)
    kernel.close()
    kernel = hostile("more than asked")
    with pytest.raises(KernelDied, match="has written more"):
        kernel.init.write(3, bytes(4 * MIB))
    kernel.close()


@pytest.mark.parametrize("lie", ["pieces too long", "pieces of nothing", "pieces without end"])
def test_pieces_that_cannot_be(hostile: Callable[[str], _native.Kernel], lie: str) -> None:
    kernel = hostile(lie)
    with pytest.raises(KernelDied, match="has not read what it says"):
        kernel.init.read(3, 4 * MIB)
    kernel.close()


@pytest.mark.parametrize("lie", ["records of nothing", "names without end"])
def test_a_directory_that_is_none(hostile: Callable[[str], _native.Kernel], lie: str) -> None:
    kernel = hostile(lie)
    with pytest.raises(KernelPanic, match="no list of names"):
        kernel.init.listdir("/")
    kernel.close()


def test_a_tree_that_is_none(hostile: Callable[[str], _native.Kernel]) -> None:
    kernel = hostile("paths elsewhere")
    with pytest.raises(KernelPanic, match="no tree"):
        kernel.init.walk("/")
    kernel.close()


def test_an_answer_larger_than_memory(hostile: Callable[[str], _native.Kernel]) -> None:
    for ask in ("listdir", "walk"):
        kernel = hostile("answers without end")
        with pytest.raises(KernelDied, match="longer than any"):
            getattr(kernel.init, ask)("/")
        kernel.close()


def test_disks_that_it_may_not_have(hostile: Callable[[str], _native.Kernel]) -> None:
    """The one that it has is read-only, and has one MiB; it would leave if one request were served."""
    kernel = hostile("disks of others")
    memory = bytearray(b"x" * MIB)
    kernel.attach_buffer(memory, 512, readonly=True, overlay=False)
    assert kernel.init.getpid() == 0
    assert memory == b"x" * MIB
    kernel.close()


def test_memory_that_is_not_its_own(hostile: Callable[[str], _native.Kernel]) -> None:
    """Shown or hidden outside of the window, from outside of the file, or to be executed."""
    kernel = hostile("memory of others")
    count = kernel.init.call(1000)
    kernel.close()
    assert count == 17
    for which in range(count):
        kernel = hostile("memory of others")
        with pytest.raises(KernelDied, match="memory that is not its own"):
            kernel.init.call(which)
        kernel.close()


@pytest.mark.parametrize(
    ("lie", "why"), [("no pages", "could not be had"), ("pages in words", "has not shown the page")], ids=str
)
def test_pages_that_do_not_come(hostile: Callable[[str], _native.Kernel], lie: str, why: str) -> None:
    """The access ends, with an empty page; this process goes on."""
    kernel = hostile(lie)
    view = memoryview(_native.map_view(kernel.init, kernel.init.syscall(9), 4 * PAGE, False))
    assert view[0] == 0
    assert kernel.dead is not None
    assert why in kernel.dead
    view[PAGE] = 7
    assert (view[PAGE], view[3 * PAGE]) == (7, 0)
    with pytest.raises(KernelDied, match=why):
        kernel.init.getpid()
    view.release()
    kernel.close()


def test_pages_that_change_while_they_are_read(hostile: Callable[[str], _native.Kernel]) -> None:
    kernel = hostile("pages of noise")
    view = memoryview(_native.map_view(kernel.init, kernel.init.syscall(9), 16 * PAGE, False))
    for page in range(16):
        view[page * PAGE] = page
        assert len(bytes(view[page * PAGE : (page + 1) * PAGE])) == PAGE
    assert kernel.dead is None
    view.release()
    kernel.close()


def test_a_tree_that_leads_out(hostile: Callable[[str], _native.Kernel], tmp_path: Path) -> None:
    """Names with "..", absolute ones, and links with something in them: none is followed."""
    (tmp_path / "outside").mkdir()
    kernel = hostile("paths that lead out")
    system = Os(kernel.init, _NUMBERS, kernel)
    with pytest.raises(CopyFailed) as caught:
        extract_tree(system, "/", tmp_path / "out")
    kernel.close()
    assert (tmp_path / "out/sub/fine").stat().st_size == 7
    assert os.readlink(tmp_path / "out/link") == "../outside"
    assert sorted(os.listdir(tmp_path / "out")) == ["link", "sub"]
    assert sorted(os.listdir(tmp_path / "out/sub")) == ["fine", "link"]
    assert os.listdir(tmp_path / "outside") == []
    assert sorted(os.listdir(tmp_path)) == ["out", "out.manifest.jsonl", "outside"]
    assert len(caught.value.report.errors) >= 10


def questions(kernel: _native.Kernel) -> tuple[Callable[[], object], ...]:
    return (
        lambda: kernel.init.read(3, 5000),
        lambda: kernel.init.pread(3, 5000, 7),
        lambda: kernel.init.listdir("/"),
        lambda: [list(part) for part in kernel.init.walk("/")],
        lambda: kernel.init.stat("/"),
        lambda: kernel.init.syscall(0, 1, bytearray(100), 100),
        kernel.init.spawn,
        kernel.statistics,
        kernel.now,
        kernel.snapshot,
        lambda: kernel.inject(1, (0, 0, 0, 0, 0, 1), 1, 5),
        kernel.injected,
    )


def test_anything(hostile: Callable[[str], _native.Kernel]) -> None:
    """Noise in every answer, the same each time."""
    kernel = hostile("anything")
    for _ in range(300):
        for ask in questions(kernel):
            # KernelPanic and KernelDied for answers that are none; errors of the kernel's for the others.
            with contextlib.suppress(OSError, KernelPanic, Deadlock, OverflowError, MemoryError):
                ask()
        if kernel.dead:
            kernel.close()
            kernel = hostile("anything")
    kernel.close()
    assert not cells()
