"""What came out of a crash test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from liblinux.crash._points import CrashPoint

__all__ = ["KINDS", "Failure", "Report"]

# What a failure can be.
KINDS = {
    "check": "the check raised AssertionError or OSError: something promised is not there",
    "mount": "the image could not be mounted",
    "fsck": "the file system's checker found something wrong after recovery",
    "panic": "the kernel died",
    "warning": "the kernel found a bug of its own (WARN_ON) and went on",
    "hang": "the time limit was reached",
    "died": "the worker process died",
    "error": "the check raised something else: probably its own mistake",
}
_SHOWN = 5


@dataclass(frozen=True)
class Failure:
    """One crash point that went wrong.

    `kind` is one of :data:`KINDS`; `message` the exception, `trace` the traceback
    of the check; `promises` those that held; `log` the end of the kernel's log;
    `under_way` what the disk was doing; `image` where the image was kept.
    """

    point: CrashPoint
    kind: str
    message: str
    trace: str = ""
    promises: Sequence[str] = ()
    log: Sequence[str] = ()
    under_way: str = ""
    image: Path | None = None

    def __str__(self) -> str:
        lines = [f"crash point {self.point}: {self.kind}: {self.message}", f"  {self.under_way}"]
        lines += [f"  promised: {promise}" for promise in self.promises[-_SHOWN:]]
        if len(self.promises) > _SHOWN:
            lines.append(f"  and {len(self.promises) - _SHOWN} promises before these")
        lines += [f"  kernel: {line}" for line in self.log]
        if self.image:
            lines.append(f"  image: {self.image}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The result of :func:`crashtest`.

    `requests` that the workload made of the disk, `points` that were tried and how
    many `distinct` choices of what survived were among them; `seconds` for trying
    them, `kernels` that were booted for it; the `failures`, by position.
    """

    seed: int | str
    release: str
    filesystem: str
    requests: int
    points: int
    distinct: int
    seconds: float
    kernels: int
    failures: Sequence[Failure] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether everything promised was there after every crash."""
        return not self.failures

    @property
    def points_per_second(self) -> float:
        """How many crash points were tried in a second."""
        return self.points / self.seconds if self.seconds else 0.0

    def raise_for_failures(self) -> None:
        """AssertionError with the first failures, if there are any: for tests."""
        if self.failures:
            raise AssertionError("\n".join([str(self), *map(str, self.failures[:_SHOWN])]))

    def as_json(self) -> dict[str, object]:
        """All of it in types that JSON has."""
        plain = asdict(self)
        plain["passed"] = self.passed
        plain["points_per_second"] = round(self.points_per_second, 1)
        for failure, written in zip(self.failures, plain["failures"], strict=True):
            written["point"] = str(failure.point)
            written["image"] = str(failure.image) if failure.image else None
        return plain

    def __str__(self) -> str:
        result = f"{len(self.failures)} FAILED" if self.failures else "none failed"
        return (
            f"{self.filesystem} on Linux {self.release}, seed {self.seed}: {self.requests} requests recorded, "
            f"{self.points} crash points ({self.distinct} distinct), {result}; "
            f"{self.seconds:.1f} s, {self.points_per_second:.0f} points per second"
        )
