"""The whole test: record a workload, then let the power fail again and again."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from liblinux.crash._filesystem import RecordedFilesystem
from liblinux.crash._formats import FORMATS, make_image
from liblinux.crash._image import ATOMIC_BYTES, CrashImage
from liblinux.crash._log import Recording
from liblinux.crash._points import CrashPoint
from liblinux.crash._recorder import Recorder
from liblinux.crash._report import Failure, Report
from liblinux.crash._schedule import crash_points
from liblinux.crash._setup import MOUNT_POINT, Setup
from liblinux.crash._trial import Check, Plan
from liblinux.crash._workers import run_points

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Workload", "crashtest", "record"]

Workload = Callable[[RecordedFilesystem], object]
Progress = Callable[[int, int, int], object]  # points done, of how many, failures


def record(
    workload: Workload, image: str | os.PathLike[str] | Buffer, setup: Setup | None = None, *, seed: int | str = 0
) -> tuple[Recording, Setup]:
    """Run a workload on a file system whose disk is recorded.

    The recording goes from before mounting to after unmounting; so the power may
    fail there too. Returns it, and `setup` with the type of file system that was
    found. With the same image and `seed` it is the same again.

    Raises what the workload raises, and the errors of attaching and mounting.
    """
    setup = setup or Setup()
    recorder = Recorder(image, setup.sector_size)
    with setup.boot(seed) as kernel:
        disk = kernel.attach(recorder, sector_size=setup.sector_size)
        type = setup.mount(kernel, disk, setup.options)
        workload(RecordedFilesystem(kernel, MOUNT_POINT, recorder))
    return recorder.recording(), replace(setup, type=type)


def crashtest(
    workload: Workload,
    check: Check,
    *,
    filesystem: str | None = None,
    image: str | os.PathLike[str] | Buffer | None = None,
    points: int | Iterable[CrashPoint | str] = 1000,
    seed: int | str = 0,
    workers: int | None = None,
    options: str = "",
    check_options: str | None = None,
    partition: int | None = None,
    sector_size: int = 512,
    atomic: int = ATOMIC_BYTES,
    fsck: bool = False,
    time_limit: float = 10.0,
    memory: int | str = "64M",
    version: str | None = None,
    keep_failures: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Crash a file system many times and see whether it kept its promises.

    `workload(fs)` is run once, on a :class:`RecordedFilesystem`, and says with
    `fs.promise(name, value)` what must survive from then on. Then the power fails
    at `points` points, chosen by `seed`; each time the image is mounted, which
    replays its journal, and `check(fs, promises)` is called with the promises that
    held. It fails by raising AssertionError or OSError.

    The file system is an empty one of type `filesystem` ("ext4", "xfs", "btrfs",
    "f2fs"), or that of `image` (a path or bytes), which is not changed. `points` may
    also be given one by one, as a failure names them. `workers` is the number of
    processes, by default one for each processor. `options` are those of mount(8),
    `check_options` those after the crash (by default the same). `atomic` is the
    number of bytes that the disk writes together or not at all, see :class:`CrashImage`.
    With `fsck` the file system's own checker must find nothing after recovery.
    `time_limit` in seconds for each point. `keep_failures` is a directory for the images
    of points that failed. `progress(done, total, failed)` is called after each point.

    The workers are forked, so no other thread should be running, and neither function
    needs to be importable.

    Raises ValueError for arguments that make no sense, and what the workload raises.
    Everything that goes wrong after a crash is in the :class:`Report`.
    """
    if (filesystem is None) == (image is None):
        raise ValueError("give either filesystem=, for an empty one, or image=")
    if time_limit <= 0 or (workers is not None and workers < 1):
        raise ValueError(f"time_limit ({time_limit} s) and workers ({workers}) must be more than nothing")
    setup = Setup(
        filesystem,
        options,
        options if check_options is None else check_options,
        partition,
        sector_size,
        memory,
        version,
    )
    with tempfile.TemporaryDirectory(prefix="liblinux-crash-") as directory:
        source = make_image(filesystem, directory) if filesystem is not None else image
        assert source is not None
        recording, setup = record(workload, source, setup, seed=seed)
    if fsck and setup.type not in FORMATS:
        raise ValueError(f"no checker is known for {setup.type!r}; fsck=True works with {', '.join(FORMATS)}")
    plan = Plan(recording, check, setup, seed, time_limit, atomic, fsck)
    chosen = _choose_points(plan, points)
    report = _replay(plan, chosen, workers or os.cpu_count() or 1, progress)
    if keep_failures is not None and report.failures:
        report = replace(report, failures=_keep(plan, report.failures, Path(keep_failures)))
    return report


def _choose_points(plan: Plan, points: int | Iterable[CrashPoint | str]) -> list[CrashPoint]:
    recording = plan.recording
    if isinstance(points, int):
        if points < 1:
            raise ValueError(f"at least one crash point is needed, not {points}")
        return crash_points(recording, points, plan.seed, plan.atomic)
    chosen = sorted(CrashPoint.parse(point) if isinstance(point, str) else point for point in points)
    for point in chosen:
        if not 0 <= point.position < recording.positions:
            raise ValueError(
                f"crash point {point} is beyond this recording, whose last position is {recording.positions - 1}; "
                "is it from another workload, seed or version?"
            )
    return chosen


def _replay(plan: Plan, points: Sequence[CrashPoint], workers: int, progress: Progress | None) -> Report:
    failures: list[Failure] = []
    images: set[int] = set()
    kernels = 0
    begin = time.perf_counter()
    for done, result in enumerate(run_points(plan, points, workers), 1):
        images.add(result.image)
        kernels += result.booted
        if result.failure is not None:
            failures.append(result.failure)
        if progress is not None:
            progress(done, len(points), len(failures))
    seconds = time.perf_counter() - begin
    failures.sort(key=lambda failure: failure.point)
    return Report(
        seed=plan.seed,
        release=_release(plan.setup),
        filesystem=plan.setup.type or "",
        requests=len(plan.recording.entries),
        points=len(points),
        distinct=len(images),
        seconds=seconds,
        kernels=kernels,
        failures=failures,
    )


def _release(setup: Setup) -> str:
    with setup.boot(0) as kernel:
        return kernel.release


def _keep(plan: Plan, failures: Sequence[Failure], directory: Path) -> list[Failure]:
    directory.mkdir(parents=True, exist_ok=True)
    image = CrashImage(plan.recording, plan.atomic)
    kept = []
    for failure in failures:
        path = directory / f"{str(failure.point).replace(':', '-')}.img"
        image.seek(failure.point)
        image.save(path)
        path.with_suffix(".txt").write_text(f"{failure}\n{failure.trace}")
        kept.append(replace(failure, image=path))
    return kept
