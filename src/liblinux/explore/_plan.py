"""What is to be tried, as it is sent to workers: everything is text and numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from liblinux._errors import LiblinuxError
from liblinux.network.faults import Draw, Schedule

__all__ = ["Outcome", "Plan", "Result", "Untestable", "commit_of", "digest_of"]

Result = Literal["passed", "failed", "died", "hang", "untestable"]


class Untestable(LiblinuxError):
    """The test cannot be tried: there is none, it takes what nobody gives, or faults do not fit its network."""


@dataclass(frozen=True)
class Plan:
    """One test and what it is tried under.

    `test` is a path and a name, "path.py::name" or the node id of a test of pytest;
    `kinds`, `most` and `until` as of :class:`liblinux.network.faults.Draw` (no
    kinds: no faults), or `schedule`, as JSON, instead; `kernel` the version, None for
    the default one; `time_limit` in seconds of wall time for each seed; `commit` and
    `digest` say which version of the test it is.
    """

    test: str
    kinds: tuple[str, ...] = ()
    most: int = 4
    until: float = 20.0
    schedule: dict[str, Any] | None = None
    kernel: str | None = None
    time_limit: float = 60.0
    commit: str | None = None
    digest: str = ""

    @property
    def path(self) -> Path:
        """The file of the test."""
        return Path(self.test.partition("::")[0])

    @property
    def name(self) -> str:
        """What in it."""
        return self.test.partition("::")[2]

    def identified(self) -> Plan:
        """The plan with the commit and the digest of its file; Untestable when there is no such file."""
        path = self.path
        if not path.is_file():
            raise Untestable(f"there is no file {path}; a test is PATH.py::NAME")
        if not self.name:
            raise Untestable(f"{self.test!r} names no test; write it as {path}::NAME")
        path = path.resolve()
        test = f"{path}::{self.name}"
        return dataclasses.replace(self, test=test, commit=commit_of(path), digest=digest_of(path))

    def check_here(self) -> None:
        """Untestable when this machine has another version of the test than who asked for it."""
        path = self.path
        if not path.is_file():
            raise Untestable(f"this worker has no file {path}; check out commit {self.commit} there")
        here = commit_of(path), digest_of(path)
        if here != (self.commit, self.digest):
            raise Untestable(
                f"this worker has another version of {path}: commit {here[0]}, digest {here[1]}; "
                f"wanted are {self.commit} and {self.digest}"
            )

    def faults(self, seed: int) -> Schedule | Draw:
        """What the test is given as its schedule."""
        if self.schedule is not None:
            return Schedule.from_json(self.schedule)
        return Draw(seed, self.kinds, self.most, self.until) if self.kinds else Schedule()

    def with_schedule(self, schedule: Schedule) -> Plan:
        """The same under these faults."""
        return dataclasses.replace(self, schedule=schedule.as_json())

    def as_json(self) -> dict[str, Any]:
        """For :meth:`from_json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """The plan that was sent."""
        return cls(**{**value, "kinds": tuple(value["kinds"])})


@dataclass(frozen=True)
class Outcome:
    """What came of one seed: `kind` is the type of the exception, `schedule` the faults that were played, as JSON."""

    seed: int
    result: Result
    kind: str = ""
    message: str = ""
    traceback: str = ""
    output: str = ""
    schedule: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether it is what is looked for."""
        return self.result in ("failed", "died", "hang")

    def is_like(self, other: Outcome) -> bool:
        """Whether both fail in the same way."""
        return (self.result, self.kind) == (other.result, other.kind)


def commit_of(path: Path) -> str | None:
    """The commit that a file's repository is at, "-dirty" with changes; None without a repository."""
    command = ["git", "-C", str(path.parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return None
    return done.stdout.strip() or None


def digest_of(path: Path) -> str:
    """Of the file itself, which may have been changed since the commit."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
