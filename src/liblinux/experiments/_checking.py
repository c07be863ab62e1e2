"""All experiments that a file describes, or all that is wrong with it: the schema, sweeps, names, paths, the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liblinux.experiments import _flow_checks as flow_checks
from liblinux.experiments._declare import Laid, declare
from liblinux.experiments._errors import Path, Problem
from liblinux.experiments._kernel_checks import KernelChecks
from liblinux.experiments._reading import suggest, validate, variants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from liblinux.experiments._model import Experiment
    from liblinux.experiments._source import Source

__all__ = ["check"]


def check(source: Source) -> list[tuple[dict[str, Any], Experiment]]:
    """All experiments that a file describes, with the parameters of each; ExperimentError before anything runs."""
    _, problems = validate({**source.values, "sweep": {}})
    if not problems:
        problems = list(_check_sweep(source.values))
    if problems:
        raise source.error(problems)
    found = []
    kernels = KernelChecks()
    for variant in variants(source.values):
        experiment, problems = validate(variant.values)
        if experiment is not None:
            problems = [*_check_one(experiment), *kernels.check(experiment)]
        if problems:
            raise source.error(_moved(problem, variant.parameters, source.values) for problem in problems)
        assert experiment is not None
        found.append((variant.parameters, experiment))
    return found


def _check_sweep(values: Mapping[str, Any]) -> Iterator[Problem]:
    sweep = values.get("sweep") or {}
    if not isinstance(sweep, dict):
        yield Problem(("sweep",), '[sweep] is a table of lists: "link.bottleneck.queue" = [10, 100]')
        return
    for key, listed in sweep.items():
        if not isinstance(listed, list) or not listed:
            yield Problem(("sweep", key), f"{key!r} needs a list of values, not {listed!r}")
            continue
        try:
            next(variants({**values, "sweep": {key: listed}}))
        except KeyError as error:
            yield Problem(("sweep", key), str(error.args[0]))


def _moved(problem: Problem, parameters: Mapping[str, Any], values: Mapping[str, Any]) -> Problem:
    """At the line of the sweep, where the value came from there."""
    for key, value in parameters.items():
        if problem.path and _leads_to(key, problem.path, values):
            return Problem(("sweep", key), f"with {key} = {value!r}: {problem.message}")
    return problem


def _leads_to(key: str, path: Path, values: Mapping[str, Any]) -> bool:
    parts = key.split(".")
    if parts[0] not in ("link", "flow"):
        return parts == [str(part) for part in path[: len(parts)]]
    return len(path) > 2 and parts[0] == path[0] and parts[2] == path[2] and (
        values[parts[0]][path[1]].get("name") == parts[1]
    )  # fmt: skip


def _check_one(experiment: Experiment) -> Iterator[Problem]:
    problems: list[Problem] = []
    laid = declare(experiment, experiment.seed, problems)
    try:
        if not problems:
            try:
                laid.network._wiring.assign()
            except ValueError as error:  # subnets that overlap, or are used up
                problems.append(Problem(("link",), str(error)))
        yield from problems
        yield from flow_checks.check(experiment, laid.network, whole=not problems)
        yield from _check_events(experiment, laid)
        yield from _check_plots(experiment, laid)
    finally:
        laid.network.close()


def _check_events(experiment: Experiment, laid: Laid) -> Iterator[Problem]:
    for number, event in enumerate(experiment.event):
        path: Path = ("event", number)
        if event.link not in laid.links:
            yield Problem((*path, "link"), f"no link is named {event.link!r}{suggest(event.link, laid.links)}")
        if event.at >= experiment.duration:
            yield Problem((*path, "at"), f"at {event.at:g} s the experiment of {experiment.duration:g} s is over")
        if not event.model_fields_set - {"at", "link"}:
            yield Problem(path, "this event changes nothing; give it a state, rate, delay, jitter or loss")


def _check_plots(experiment: Experiment, laid: Laid) -> Iterator[Problem]:
    names = [*(flow.name for flow in experiment.flow), *laid.links]
    for number, plot in enumerate(experiment.plot):
        path: Path = ("plot", number)
        for key, value in (("over", plot.over), ("by", plot.by)):
            known = [*experiment.sweep, *(["time", "flow"] if key == "over" else [])]
            if value is not None and value not in known:
                yield Problem((*path, key), f"{key} = {value!r} is nothing that varies{suggest(value, known)}")
        for key in plot.where:
            if key not in (*experiment.sweep, "seed"):
                yield Problem((*path, "where"), f"{key!r} is not swept{suggest(key, experiment.sweep)}")
        for name in plot.of or ():
            if name not in names:
                yield Problem((*path, "of"), f"there is no flow or link {name!r}{suggest(name, names)}")
