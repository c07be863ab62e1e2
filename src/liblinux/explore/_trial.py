"""Trying a test with one seed: calling a function with what it asks for, by the names of its parameters.

    net        a Network with a virtual clock and the seed, empty; closed afterwards
    seed       the seed, an int
    schedule   the faults, for net.play(schedule)

A function with other parameters, a method, or parameters in brackets, is pytest's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from liblinux._errors import BuildError
from liblinux.explore._plan import Outcome, Plan, Untestable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from liblinux.network import Host, Network
    from liblinux.network.faults import Draw, Schedule

__all__ = ["Given", "Trials"]

_PARAMETERS = frozenset({"net", "seed", "schedule"})
_OUTPUT_LETTERS = 8000
_FRAMES = -20


class Given:
    """The schedule that a test is given; it keeps what has been played."""

    def __init__(self, faults: Schedule | Draw) -> None:
        self._faults = faults
        self.played: dict[str, Any] | None = None

    def __str__(self) -> str:
        return str(self._faults)

    def bind(self, net: Network, hosts: Sequence[Host] | None = None) -> Schedule:
        """As of a schedule; what does not fit the network is no failure of the test."""
        try:
            schedule = self._faults.bind(net, hosts)
        except (KeyError, ValueError) as error:
            raise Untestable(f"the faults do not fit the network of the test: {error.args[0]}") from error
        self.played = schedule.as_json()
        return schedule


class Trials:
    """The test of a plan, loaded once and tried with many seeds. Untestable when it cannot be loaded."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        if plan.kernel is not None:
            os.environ["LIBLINUX_KERNEL"] = plan.kernel
        self._function = None if "::" in plan.name or "[" in plan.name else self._load()

    def _load(self) -> Callable[..., Any] | None:
        path = self._plan.path
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise Untestable(f"{path} is no Python file: its name must end in .py")
        module = importlib.util.module_from_spec(spec)
        # It may import its neighbours, and its own functions may be named in schedules.
        sys.path.insert(0, str(path.parent))
        sys.modules[path.stem] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise Untestable(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        function = getattr(module, self._plan.name, None)
        if function is None:
            raise Untestable(f"{path} has no {self._plan.name!r}; it has {', '.join(_functions(module)) or 'no tests'}")
        # What pytest has made of a function, a fixture or a class, is for pytest.
        if not inspect.isfunction(function) or not set(inspect.signature(function).parameters) <= _PARAMETERS:
            return None
        if (self._plan.kinds or self._plan.schedule) and "schedule" not in inspect.signature(function).parameters:
            raise Untestable(
                f"{self._plan.name} plays no faults: give it a parameter 'schedule', and let it call net.play(schedule)"
            )
        if inspect.iscoroutinefunction(function) and "net" not in inspect.signature(function).parameters:
            raise Untestable(f"{self._plan.name} is a coroutine, and runs on a network: give it a parameter 'net'")
        return function

    def run(self, seed: int, plan: Plan | None = None) -> Outcome:
        """Try a seed; `plan` for other faults than those of the plan."""
        given = Given((plan or self._plan).faults(seed))
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                if self._function is None:
                    from liblinux.explore._pytest import run_by_pytest  # noqa: PLC0415 - only where it is wanted

                    failure = run_by_pytest(self._plan.test, seed, given)
                    if failure is None:
                        return Outcome(seed, "passed", schedule=given.played)
                    kind, message, trace = failure
                else:
                    self._call(self._function, seed, given)
                    return Outcome(seed, "passed", schedule=given.played)
        except (Untestable, BuildError) as error:  # no kernel of that version is no fault of the test
            return Outcome(seed, "untestable", type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            kind, message = type(error).__name__, str(error)
            trace = "".join(traceback.format_exception(error, limit=_FRAMES))
        return Outcome(seed, "failed", kind, message, trace, output.getvalue()[-_OUTPUT_LETTERS:], given.played)

    def _call(self, function: Callable[..., Any], seed: int, given: Given) -> None:
        wanted = inspect.signature(function).parameters
        arguments: dict[str, Any] = {"seed": seed, "schedule": given}
        with self._network(seed) if "net" in wanted else contextlib.nullcontext() as net:
            arguments["net"] = net
            result = function(**{name: arguments[name] for name in wanted})
            if inspect.iscoroutine(result):
                assert net is not None, "_load() saw to it"
                net.run(result)

    @contextlib.contextmanager
    def _network(self, seed: int) -> Iterator[Network]:
        from liblinux.network import Network  # noqa: PLC0415 - the test may make its own

        with Network(clock="virtual", seed=seed, version=self._plan.kernel) as net:
            yield net


def _functions(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
