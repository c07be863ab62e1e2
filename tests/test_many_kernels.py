"""Several kernels in one process: their memory, their disks, their versions, and what is left of them."""

from __future__ import annotations

import gc
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck

MANY = 300
MEMORY = "24M"
KERNEL_LEFTOVER_BYTES = 128 << 10  # what Python and its allocator may keep of a closed one
SERIES = ("6.1", "6.12")


@dataclass(frozen=True)
class Region:
    """One line of /proc/self/smaps, with what was counted for it in bytes."""

    permissions: str
    file: str
    counts: dict[str, int]


def regions() -> Iterator[Region]:
    """The mappings of this process."""
    head: re.Match[str] | None = None
    counts: dict[str, int] = {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        match = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+\s*(.*)", line)
        if match is None:
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                counts[name] = int(value.removesuffix(" kB")) << 10
            continue
        if head is not None:
            yield Region(head[1], head[2], counts)
        head, counts = match, {}
    assert head is not None
    yield Region(head[1], head[2], counts)


def private_bytes() -> int:
    """Memory that is this process's alone."""
    gc.collect()
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(size) << 10 for size in re.findall(r"^Private_\w+: +(\d+) kB$", rollup, re.MULTILINE))


@pytest.fixture
def many() -> Iterator[ExitStack]:
    """Closes what was booted."""
    with ExitStack() as stack:
        yield stack


def test_hundreds_at_once(many: ExitStack) -> None:
    """Each has a name, a file system and a disk of its own."""
    kernels = []
    for number in range(MANY):
        kernel = many.enter_context(liblinux.Kernel(memory=MEMORY))
        disk = kernel.attach(bytearray(MIB))
        kernel.sysctl["kernel.hostname"] = f"host-{number}"
        with kernel.open("/tmp/number", "w") as file:
            file.write(str(number))
        with kernel.open(disk.path, "wb") as file:
            file.write(number.to_bytes(4, "little"))
        kernels.append(kernel)
    for number, kernel in enumerate(kernels):
        assert kernel.os.uname().nodename == f"host-{number}"
        with kernel.open("/tmp/number") as file:
            assert file.read() == str(number)
        assert bytes(kernel.disks[0]._source[:4]) == number.to_bytes(4, "little")  # type: ignore[index]  # memory


@pytest.mark.in_process("the memory of this process")
def test_closing_frees_the_memory() -> None:
    """Whatever a kernel has used, next to nothing of it stays."""
    with liblinux.Kernel(memory=MEMORY):
        pass
    before = private_bytes()
    count = 20
    kernels = [liblinux.Kernel(memory=MEMORY) for _ in range(count)]
    for kernel in kernels:
        with kernel.open("/tmp/file", "wb") as file:
            file.write(os.urandom(MIB))
    assert private_bytes() - before > count * 2 * MIB
    for kernel in kernels:
        kernel.close()
    kernels.clear()
    del kernel, file
    assert private_bytes() - before < count * KERNEL_LEFTOVER_BYTES


@pytest.mark.in_process("the memory of this process")
def test_one_after_the_other_leaves_nothing() -> None:
    """No descriptor, no thread and no mapping is left of a kernel that was closed."""

    def used() -> tuple[int, int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count(), sum(1 for _ in regions())

    def boot() -> None:
        with liblinux.Kernel(memory=MEMORY) as kernel:
            kernel.mount(None, "/scratch", type="tmpfs")

    for _ in range(3):
        boot()
    before = used()
    for _ in range(50):
        boot()
    after = used()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 25  # Python's own memory comes and goes


@pytest.mark.in_process("the memory of this process")
def test_text_is_shared(many: ExitStack) -> None:
    """The text of all kernels of a version is one file, mapped; no page of it is anybody's own."""
    image = os.fspath(next(reversed(list(liblinux.images().values()))))
    for _ in range(5):
        many.enter_context(liblinux.Kernel(memory=MEMORY, version=image))
    text = [region for region in regions() if region.file == image and "x" in region.permissions]
    assert len(text) >= 5
    for region in text:
        assert region.permissions == "r-xp"
        assert region.counts["Rss"] > 0
        assert region.counts["Anonymous"] == 0
        assert region.counts["Private_Clean"] == region.counts["Private_Dirty"] == 0
    assert not [region for region in regions() if "w" in region.permissions and "x" in region.permissions]


def test_one_disk_after_the_other(images: Images) -> None:
    """An image goes from kernel to kernel; each sees what the one before has written."""
    image = images.ext4()
    for number in range(5):
        with liblinux.Kernel(memory=MEMORY) as kernel:
            kernel.mount(kernel.attach(image), "/mnt")
            assert sorted(name for name in kernel.os.listdir("/mnt") if name.isdigit()) == [*map(str, range(number))]
            kernel.os.mkdir(f"/mnt/{number}")
    e2fsck(image)


def test_a_panic_of_one_is_nothing_to_the_others(many: ExitStack) -> None:
    first, second = (many.enter_context(liblinux.Kernel(memory=MEMORY)) for _ in range(2))
    first.sysctl["vm.overcommit_memory"] = 1
    first.sysctl["vm.panic_on_oom"] = 2
    first.mount(None, "/big", type="tmpfs", options="size=1g")
    file = first.open("/big/file", "wb", 0)
    with pytest.raises(liblinux.KernelPanic, match="Out of memory"):
        for _ in range(100):
            file.write(bytes(MIB))
    assert first.dead
    assert second.os.getpid() == 1
    assert second.dead is None


def test_threads_in_kernels_of_their_own() -> None:
    """Kernels share no lock: a thread that waits inside one is in nobody's way."""
    done: list[int] = []
    waiting = liblinux.Kernel(memory=MEMORY)
    reader, writer = waiting.os.pipe()
    waiter = threading.Thread(target=waiting.os.read, args=(reader, 1))
    waiter.start()

    def work(number: int) -> None:
        with liblinux.Kernel(memory=MEMORY) as kernel:
            for _ in range(200):
                with kernel.open("/tmp/file", "wb") as file:
                    file.write(bytes([number]) * 5000)
                with kernel.open("/tmp/file", "rb") as file:
                    assert file.read() == bytes([number]) * 5000
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(8))
    assert waiter.is_alive()
    waiting.os.write(writer, b"x")
    waiter.join()
    waiting.close()


def test_objects_of_one_are_no_use_to_another(many: ExitStack) -> None:
    first, second = (many.enter_context(liblinux.Kernel(memory=MEMORY)) for _ in range(2))
    disk = first.attach(bytearray(MIB))
    with pytest.raises(ValueError, match="kernel"):
        second.mount(disk, "/mnt")


def test_two_versions_side_by_side(images: Images, many: ExitStack) -> None:
    """6.1 and 6.12 at once, and an image that goes back and forth between them."""
    present = {series for series in SERIES for release in liblinux.images() if release.startswith(series + ".")}
    missing = set(SERIES) - present
    # `make test` says which versions it has built; those must be there.
    promised = set(os.environ.get("LIBLINUX_BUILT", "").split())
    assert not missing & promised, "a version that was built is not installed"
    if missing:
        pytest.skip(f"Linux {', '.join(missing)} is not built: make build KERNEL=both")
    old, new = (many.enter_context(liblinux.Kernel(version=series)) for series in SERIES)
    assert old.release.startswith("6.1.")
    assert new.release.startswith("6.12.")
    assert old.os.uname().release == old.release
    assert new.os.uname().release == new.release
    image = images.ext4()
    for number in range(4):
        kernel = (old, new)[number % 2]
        with kernel.attach(image) as disk, kernel.mount(disk, "/mnt"):
            for earlier in range(number):
                with kernel.open(f"/mnt/{earlier}") as file:
                    assert file.read() == f"written by {(old, new)[earlier % 2].release}"
            with kernel.open(f"/mnt/{number}", "w") as file:
                file.write(f"written by {kernel.release}")
            view = kernel.mmap(None, 8192)
            view[5000] = number
            view.release()
    e2fsck(image)
