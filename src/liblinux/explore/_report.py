"""What exploring found, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liblinux.explore._plan import Outcome, Plan
from liblinux.network.faults import Schedule

__all__ = ["Failure", "Report"]


@dataclass(frozen=True)
class Failure:
    """A seed that fails.

    `outcome` of its first run; `reproduced`, whether it failed in the same way once
    more, in a process of its own; `smallest`, the schedule that is left of the
    faults when all that can be is taken away (None: there were none, it was not
    asked for, or it does not fail again), after `runs` runs.
    """

    outcome: Outcome
    reproduced: bool
    smallest: Schedule | None = None
    runs: int = 0

    @property
    def schedule(self) -> Schedule:
        """The faults of its first run."""
        return Schedule() if self.outcome.schedule is None else Schedule.from_json(self.outcome.schedule)

    def as_json(self) -> dict[str, Any]:
        """For :meth:`Report.as_json`."""
        outcome = self.outcome
        return {
            "seed": outcome.seed,
            "result": outcome.result,
            "kind": outcome.kind,
            "message": outcome.message,
            "traceback": outcome.traceback,
            "output": outcome.output,
            "schedule": self.schedule.as_json(),
            "reproduced": self.reproduced,
            "smallest": None if self.smallest is None else self.smallest.as_json(),
            "runs_to_shrink": self.runs,
        }


@dataclass(frozen=True)
class Report:
    """What was tried: `seeds`, of which `tried` were; in `seconds`; `failure` is that of the lowest that fails.

    `workers` of a cluster that tried some of them, by their addresses; `repeated`, how many units of work were
    given to another one because their worker was lost.
    """

    plan: Plan
    seeds: range
    tried: int
    seconds: float
    failure: Failure | None = None
    workers: tuple[str, ...] = ()
    repeated: int = 0

    def as_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "test": self.plan.test,
            "commit": self.plan.commit,
            "kernel": self.plan.kernel,
            "faults": list(self.plan.kinds) if self.plan.schedule is None else self.plan.schedule,
            "first_seed": self.seeds.start,
            "last_seed": self.seeds.stop - 1,
            "tried": self.tried,
            "seconds": round(self.seconds, 3),
            "workers": list(self.workers),
            "repeated_units": self.repeated,
            "failure": None if self.failure is None else self.failure.as_json(),
        }

    def __str__(self) -> str:
        rate = self.tried / self.seconds if self.seconds else 0.0
        head = f"{self.tried} of {len(self.seeds)} seeds in {self.seconds:.1f} s, {rate:.0f} a second"
        if self.workers:
            head += f", on {len(self.workers)} workers"
        if self.repeated:
            head += f"; {self.repeated} units of work again, for their workers were lost"
        if self.failure is None:
            return f"{head}: all passed"
        return "\n".join([head, "", *_lines(self.failure)])


def _lines(failure: Failure) -> list[str]:
    outcome = failure.outcome
    lines = [f"seed {outcome.seed} fails: {outcome.kind}: {outcome.message}".rstrip(": ")]
    if outcome.traceback:
        lines += ["", outcome.traceback.rstrip()]
    if outcome.output:
        lines += ["", "it said:", outcome.output.rstrip()]
    if len(failure.schedule):
        lines += ["", f"its faults ({len(failure.schedule)}):", str(failure.schedule)]
    if not failure.reproduced:
        lines += [
            "",
            f"seed {outcome.seed} did NOT fail in the same way again: the test does not depend on its seed alone.",
            "It may use the machine's clock, files, sockets or chance, or what an earlier seed left in a module;",
            "Network(strict=True) finds some of that.",
        ]
    if failure.smallest is not None:
        smallest = failure.smallest
        lines += ["", f"the smallest schedule that fails as well ({len(smallest)}, after {failure.runs} runs):"]
        lines.append(str(smallest))
    return lines
