"""A process that tries seed after seed; what happens to it happens to nobody else.

It is told a plan, then ranges of seeds, over a pipe, and answers with an outcome
for each. A program of its own and no fork, so that every trial can be repeated in
a fresh one. Its parent sees to it that it ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

from liblinux.explore._plan import Outcome, Plan, Untestable

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Worker", "work"]

_PROGRAM = "import sys; from liblinux.explore._worker import work; work(int(sys.argv[1]))"
_START_SECONDS = 60.0
_LETTERS_SAID = 2000


class Worker:
    """The parent's side of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.connection, theirs = Pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - end() closes it
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                # Else the order of sets of strings would be another one in each process.
                env={"PYTHONHASHSEED": "0", **os.environ},
            )
        self.pid = self._process.pid
        self.waiting: list[int] = []
        # The first trial comes after Python has started and the test is imported.
        self.deadline = time.monotonic() + _START_SECONDS + plan.time_limit
        self._tell(plan.as_json())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def _tell(self, what: Any) -> None:
        with contextlib.suppress(ConnectionError):  # dead already: take() says so
            self.connection.send(what)

    def give(self, seeds: range, plan: Plan | None = None) -> None:
        """Let it try these seeds, until one fails; `plan` for other faults."""
        self.waiting = list(seeds)
        self.deadline = max(self.deadline, time.monotonic() + self._plan.time_limit)
        self._tell((self.waiting, None if plan is None else plan.as_json()))

    def take(self) -> Outcome:
        """The next outcome; waits for it."""
        while (outcome := self.look()) is None:
            pass
        return outcome

    def look(self) -> Outcome | None:
        """What comes next: an outcome, also when the process dies or takes too long; None when it is ready to begin."""
        seed = self.waiting[0]
        if not self.connection.poll(max(self.deadline - time.monotonic(), 0)):
            self.waiting.pop(0)
            self.end()
            return Outcome(seed, "hang", "hang", f"no end after {self._plan.time_limit:g} s of wall time")
        try:
            outcome: Outcome | None = self.connection.recv()
        except (EOFError, ConnectionError):
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read()[-_LETTERS_SAID:].decode(errors="replace")
            self.waiting.pop(0)
            self.end()
            return Outcome(seed, "died", "died", f"the process of the test ended with code {code}", output=said)
        self.deadline = time.monotonic() + self._plan.time_limit
        if outcome is not None:
            self.waiting.pop(0)
        return outcome

    @property
    def ended(self) -> bool:
        """Whether another one is needed."""
        return self.connection.closed

    def end(self) -> None:
        """End it now. Twice does nothing."""
        if not self.ended:
            self.connection.close()
            self._process.kill()
            self._process.wait()
            self._said.close()


def work(pipe: int) -> None:
    """The whole life of the process; `pipe` is a descriptor."""
    from liblinux.explore._trial import Trials  # noqa: PLC0415 - not in the parent

    faulthandler.enable()
    with Connection(pipe) as connection:
        plan = Plan.from_json(connection.recv())
        trials: Trials | None = None
        wrong = ""
        try:
            trials = Trials(plan)
        except Untestable as error:
            wrong = str(error)
        connection.send(None)
        while True:
            try:
                seeds, other = connection.recv()
            except EOFError:
                return
            for seed in seeds:
                if trials is None:
                    outcome = Outcome(seed, "untestable", "Untestable", wrong)
                else:
                    outcome = trials.run(seed, None if other is None else Plan.from_json(other))
                connection.send(outcome)
                if outcome.result != "passed":
                    break
