"""What has come of a script, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Failure", "Outcome"]

Status = Literal["passed", "failed", "error"]

# How many of the last things that happened are shown with a failure.
_TAIL = 12


@dataclass(frozen=True)
class Failure:
    """Where a run went another way, in which line (from 1) and column, and when, in microseconds of the script."""

    message: str
    line: int = 0
    column: int = 0
    text: str = ""
    time_us: float | None = None


@dataclass
class Outcome:
    """One run of a script in one mode on one kernel."""

    script: str
    mode: str
    release: str = ""
    status: Status = "passed"
    failure: Failure | None = None
    warnings: list[Failure] = field(default_factory=list)
    exchange: list[str] = field(default_factory=list)  # what happened, a line each
    output: str = ""  # of print() in the script's code
    duration_us: float = 0.0  # of the kernel's clock

    @property
    def passed(self) -> bool:
        """Whether all was as the script expects."""
        return self.status == "passed"

    def report(self) -> str:
        """The failure with what led to it, or one line."""
        head = f"{self.script}: {self.mode} on Linux {self.release}" if self.release else f"{self.script}: {self.mode}"
        if self.failure is None:
            return f"{head}: passed"
        failure = self.failure
        place = f"{self.script}:{failure.line}:{failure.column}" if failure.line else self.script
        when = f" at {failure.time_us / 1e6:.6f} s" if failure.time_us is not None else ""
        lines = [f"{place}: {self.mode}: {'failed' if self.status == 'failed' else 'error'}{when}"]
        if failure.text:
            lines.append(f"    {failure.text}")
        lines += [f"  {line}" for line in failure.message.splitlines()]
        if self.exchange and self.status == "failed":
            lines += ["  what happened before:", *(f"    {line}" for line in self.exchange[-_TAIL:])]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "script": self.script,
            "mode": self.mode,
            "release": self.release,
            "status": self.status,
            "failure": _as_dict(self.failure),
            "warnings": [_as_dict(warning) for warning in self.warnings],
            "exchange": self.exchange,
            "output": self.output,
            "duration_us": self.duration_us,
        }


def _as_dict(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "message": failure.message,
        "line": failure.line,
        "column": failure.column,
        "text": failure.text,
        "time_us": failure.time_us,
    }
