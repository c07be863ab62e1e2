"""The whole test: real file systems keep their promises, and what does not is found."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, e2fsck
from liblinux import crash
from liblinux.crash import _workers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "crash"
TYPES = ["ext4", "xfs", "btrfs", "f2fs"]
Promises = Mapping[Hashable, Any]


@pytest.fixture(params=TYPES)
def type(request: pytest.FixtureRequest) -> str:
    """Each of the file systems that promise something."""
    name: str = request.param
    return name


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Loads a worked example."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def kept(fs: crash.RecordedFilesystem) -> None:
    """A workload that does what it must."""
    for name in ("one", "two", "three"):
        fs.write(name, name.encode() * 1000, fsync=True)
        fs.fsync()
        fs.promise(name)


def is_there(fs: crash.Filesystem, promises: Promises) -> None:
    """The check that belongs to it."""
    for name in promises:
        assert fs.read(str(name)) == str(name).encode() * 1000, name


def test_file_systems_keep_what_was_fsynced(type: str, example: Callable[[str], ModuleType]) -> None:
    module = example("fsynced")
    report = crash.crashtest(module.workload, module.check, filesystem=type, points=40, seed=2)
    report.raise_for_failures()
    assert report.passed and report.points == 40 and report.distinct > 30
    assert report.filesystem == type and report.requests > 200
    assert "none failed" in str(report) and "points per second" in str(report)


def test_a_file_is_the_old_or_the_new(type: str, example: Callable[[str], ModuleType]) -> None:
    module = example("replace")
    crash.crashtest(module.workload, module.check, filesystem=type, points=8, fsck=True).raise_for_failures()


@pytest.mark.parametrize(("type", "options"), [("ext4", ""), ("xfs", ""), ("btrfs", ""), ("f2fs", "noinline_data")])
def test_a_log_of_records(type: str, options: str, example: Callable[[str], ModuleType]) -> None:
    module = example("journal")
    crash.crashtest(module.workload, module.check, filesystem=type, options=options, points=30).raise_for_failures()


def test_f2fs_loses_a_small_file_that_grows() -> None:
    """A finding, and it fails when Linux has changed: see docs/RELIABILITY.md.

    The content leaves the inode. The new inode, marked as fsynced, is written after the
    block that it points to, but no flush is between them; so it may be there alone.
    """

    def workload(fs: crash.RecordedFilesystem) -> None:
        fs.write("log", b"x" * 1000, fsync=True)
        fs.fsync()
        fs.promise("log")
        with fs.open("log", "ab") as file:
            file.write(b"y" * 5000)
        fs.fsync("log")

    def check(fs: crash.Filesystem, promises: Promises) -> None:
        for name in promises:
            assert fs.read(str(name)).startswith(b"x" * 1000)

    report = crash.crashtest(workload, check, filesystem="f2fs", points=300)
    assert {failure.kind for failure in report.failures} == {"check"}
    crash.crashtest(workload, check, filesystem="f2fs", points=100, options="noinline_data").raise_for_failures()
    crash.crashtest(workload, check, filesystem="ext4", points=100).raise_for_failures()


def test_a_recording_is_the_same_again(type: str, tmp_path: Path, example: Callable[[str], ModuleType]) -> None:
    """Every byte of every request: so an image, a seed and a point are all that a failure needs."""
    module = example("fsynced")
    image = crash.make_image(type, tmp_path)
    first, second = (crash.record(module.workload, image, seed=3)[0] for _ in range(2))
    assert first.marks == second.marks
    assert first.entries == second.entries
    # mkfs of XFS and Btrfs draws numbers that cannot be given to it. They change nothing of what happens where.
    again = crash.record(module.workload, crash.make_image(type, tmp_path), seed=3)[0]
    assert [str(entry) for entry in again.entries] == [str(entry) for entry in first.entries]
    assert again.marks == first.marks


@pytest.mark.parametrize(("type", "options"), [("ext4", "noauto_da_alloc"), ("xfs", ""), ("btrfs", ""), ("f2fs", "")])
def test_a_forgotten_fsync_is_found(type: str, options: str, example: Callable[[str], ModuleType]) -> None:
    module = example("forgetful")
    report = crash.crashtest(module.workload, module.check, filesystem=type, points=40, options=options)
    assert {failure.kind for failure in report.failures} == {"check"}
    failure = report.failures[0]
    assert "settings is b'" in failure.message and failure.promises and "replace.py" in failure.trace
    with pytest.raises(AssertionError, match=r"crash point .*: check: AssertionError: settings"):
        report.raise_for_failures()


@pytest.mark.parametrize("type", ["ext4", "btrfs", "f2fs"])
def test_missing_barriers_are_found(type: str, example: Callable[[str], ModuleType]) -> None:
    """The same workload that keeps its promises, on a file system told to send no flushes. (XFS cannot be.)"""
    module = example("fsynced")
    report = crash.crashtest(module.workload, module.check, filesystem=type, points=40, options="nobarrier")
    assert len(report.failures) > 5
    assert {failure.kind for failure in report.failures} <= {"check", "mount"}


def test_a_promise_without_fsync_is_found(type: str) -> None:
    def workload(fs: crash.RecordedFilesystem) -> None:
        fs.write("one", b"one" * 1000)
        fs.promise("one")
        fs.sleep(60)

    report = crash.crashtest(workload, is_there, filesystem=type, points=20)
    assert {failure.kind for failure in report.failures} == {"check"}
    assert "FileNotFoundError" in report.failures[0].message


def test_a_torn_superblock_is_found() -> None:
    """ext4 has 1024 bytes of superblock under one checksum: on a disk that tears between 512 it can be lost."""

    def workload(fs: crash.RecordedFilesystem) -> None:
        fs.write("one", b"one" * 1000, fsync=True)

    report = crash.crashtest(workload, is_there, filesystem="ext4", points=200, atomic=512)
    assert {failure.kind for failure in report.failures} == {"mount"}
    assert any("superblock checksum" in line for line in report.failures[0].log)
    crash.crashtest(workload, is_there, filesystem="ext4", points=200).raise_for_failures()


def test_the_same_seed_finds_the_same(example: Callable[[str], ModuleType]) -> None:
    module = example("forgetful")

    def run(points: Any, seed: int = 5) -> crash.Report:
        return crash.crashtest(module.workload, module.check, filesystem="xfs", points=points, seed=seed)

    first, second = run(40), run(40)
    assert [str(failure) for failure in first.failures] == [str(failure) for failure in second.failures]
    assert first.failures and first.requests == second.requests
    alone = run([str(first.failures[-1].point)])
    assert [str(failure) for failure in alone.failures] == [str(first.failures[-1])]
    assert [failure.point for failure in run(40, seed=6).failures] != [failure.point for failure in first.failures]


def test_an_image_of_ones_own(images: Images) -> None:
    image = images.ext4()
    before = image.read_bytes()

    def workload(fs: crash.RecordedFilesystem) -> None:
        assert fs.read("hello.txt") == b"hello from the image\n"
        fs.promise("hello.txt", b"hello from the image\n")
        fs.os.rename(fs.at("hello.txt"), fs.at("renamed.txt"))
        fs.withdraw("hello.txt")
        fs.fsync()

    def check(fs: crash.Filesystem, promises: Promises) -> None:
        for name, content in promises.items():
            assert fs.read(str(name)) == content
        names = fs.os.listdir(fs.path)
        assert ("hello.txt" in names) != ("renamed.txt" in names)

    report = crash.crashtest(workload, check, image=image, points=60)
    # The promise is withdrawn too late: between the rename and that, the power may fail. Nothing was written then.
    report.raise_for_failures()
    assert image.read_bytes() == before
    crash.crashtest(workload, check, image=before, points=5).raise_for_failures()


# ---- what can go wrong at a point ---------------------------------------------


def kinds(check: Callable[[crash.Filesystem, Promises], object], **options: Any) -> set[str]:
    arguments: dict[str, Any] = {"filesystem": "ext4", "points": 4, "workers": 2, **options}
    report = crash.crashtest(kept, check, **arguments)
    assert len(report.failures) == report.points == 4
    assert all(failure.message and failure.under_way for failure in report.failures)
    return {failure.kind for failure in report.failures}


def test_a_panic_is_a_failure_and_not_the_end() -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        fs.kernel.syscall("reboot", 0xFEE1DEAD, 672274793, 0x4321FEDC, None)

    assert kinds(check) == {"panic"}


def test_a_hang_is_a_failure_and_not_the_end() -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001 - not even this may stop it
            time.sleep(60)

    assert kinds(check, time_limit=0.2) == {"hang"}


def test_what_cannot_be_interrupted_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workers, "_GRACE_SECONDS", 0.3)

    def check(fs: crash.Filesystem, promises: Promises) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(60)

    assert kinds(check, time_limit=0.2) == {"hang"}


def test_a_process_that_dies_is_a_failure_and_not_the_end() -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert kinds(check) == {"died"}


def test_a_mistake_of_the_check_is_told_as_one() -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        raise ZeroDivisionError("oh")

    assert kinds(check) == {"error"}


def test_a_check_that_leaves_files_open_is_told_so() -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        fs.os.open(fs.path, os.O_RDONLY)

    assert kinds(check) == {"check"}


def test_fsck_is_asked() -> None:
    """The checker sees what became of the image: here the check spoils the inode of lost+found, the 11th."""

    def check(fs: crash.Filesystem, promises: Promises) -> None:
        fd = fs.os.open(fs.kernel.disks[0].path, os.O_RDWR)
        superblock = fs.os.pread(fd, 1024, 1024)
        block_bytes = 1024 << superblock[24]
        descriptor = fs.os.pread(fd, 64, max(2048, block_bytes))
        table = int.from_bytes(descriptor[8:12], "little") * block_bytes
        inode_bytes = int.from_bytes(superblock[88:90], "little")
        fs.os.pwrite(fd, b"\xff" * 64, table + 10 * inode_bytes)
        fs.os.fsync(fd)
        fs.os.close(fd)

    report = crash.crashtest(kept, check, filesystem="ext4", points=2, fsck=True)
    assert {failure.kind for failure in report.failures} == {"fsck"}
    assert "e2fsck -fn ended with code" in report.failures[0].message


def test_failures_can_be_kept(tmp_path: Path) -> None:
    def check(fs: crash.Filesystem, promises: Promises) -> None:
        assert not promises, "found"

    report = crash.crashtest(kept, check, filesystem="ext4", points=20, keep_failures=tmp_path / "kept")
    assert report.failures
    for failure in report.failures:
        assert failure.image is not None
        assert "found" in failure.image.with_suffix(".txt").read_text()
        with liblinux.Kernel() as kernel:
            kernel.mount(kernel.attach(failure.image), "/mnt")
            assert kernel.os.path.exists("/mnt/one")
        e2fsck(failure.image)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either filesystem="):
        crash.crashtest(kept, is_there)
    with pytest.raises(ValueError, match="to make an image of"):
        crash.crashtest(kept, is_there, filesystem="fat")
    for wrong in ({"workers": 0}, {"time_limit": 0}):
        with pytest.raises(ValueError, match="more than nothing"):
            crash.crashtest(kept, is_there, filesystem="ext4", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        crash.crashtest(kept, is_there, filesystem="ext4", points=0)
    with pytest.raises(ValueError, match="beyond this recording"):
        crash.crashtest(kept, is_there, filesystem="ext4", points=["99999:lost:0"])
    with pytest.raises(FileNotFoundError):
        crash.crashtest(kept, is_there, image=tmp_path / "none.img")


def test_what_a_workload_raises_is_raised() -> None:
    def workload(fs: crash.RecordedFilesystem) -> None:
        fs.read("nothing")

    with pytest.raises(FileNotFoundError):
        crash.crashtest(workload, is_there, filesystem="ext4")


# ---- the parts by themselves --------------------------------------------------


def test_a_recorder_is_a_disk(kernel: liblinux.Kernel, images: Images) -> None:
    """Recorded and looked at by hand, without crashtest."""
    recorder = crash.Recorder(images.ext4())
    kernel.mount(kernel.attach(recorder), "/mnt")
    with kernel.open("/mnt/a", "w") as file:
        file.write("content")
    recorder.promise("not yet")
    kernel.os.sync()
    recorder.promise("a", ["content"])
    kernel.umount("/mnt")
    recording = recorder.recording()
    recorded = {(entry.kind, entry.stable) for entry in recording.entries}
    assert {(crash.Kind.WRITE, False), (crash.Kind.WRITE, True), (crash.Kind.FLUSH, False)} <= recorded

    promised = next(mark.position for mark in recording.marks if mark.name == "a")
    assert recording.promises(promised) == {"not yet": True, "a": ["content"]}
    assert recording.promises(promised - 1) == {"not yet": True}
    image = crash.CrashImage(recording)
    for position, expected in ((0, False), (promised, True), (len(recording.entries), True)):
        image.seek(crash.CrashPoint(position, "lost", 0))
        with liblinux.Kernel() as after:
            after.mount(after.attach(image.data, overlay=True), "/mnt")
            assert after.os.path.exists("/mnt/a") is expected


def test_discards_are_recorded(tmp_path: Path) -> None:
    def workload(fs: crash.RecordedFilesystem) -> None:
        fs.write("large", bytes(range(256)) * 4096, fsync=True)
        fs.os.unlink(fs.at("large"))
        fs.fsync()

    recording, setup = crash.record(workload, crash.make_image("ext4", tmp_path), crash.Setup(options="discard"))
    assert setup.type == "ext4"
    assert crash.Kind.DISCARD in {entry.kind for entry in recording.entries}


def test_promises_are_copies() -> None:
    recorder = crash.Recorder(bytes(MIB))
    value = [1]
    recorder.promise("list", value)
    value.append(2)
    recorder.flush()
    recording = recorder.recording()
    held = recording.promises(1)
    assert held == {"list": [1]}
    held["list"] = None
    assert recording.promises(1) == {"list": [1]}
    recorder.withdraw("list")
    assert recorder.recording().promises(1) == {}
    assert recorder.recording().promises(0) == {"list": [1]}


def test_an_image_in_use_is_refused(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.ext4()
    kernel.attach(image)
    with pytest.raises(BlockingIOError, match="being written"):
        crash.Recorder(image)
