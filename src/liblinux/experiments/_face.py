"""The functions that programs and the command call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from liblinux.experiments._campaign import Job, Moment, jobs_of, run_all
from liblinux.experiments._checking import check
from liblinux.experiments._errors import ExperimentError, Problem
from liblinux.experiments._model import Experiment
from liblinux.experiments._reading import put
from liblinux.experiments._source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from liblinux.experiments._once import Outcome

__all__ = ["Loaded", "draw", "load", "loads", "run", "schema"]

_SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


class Loaded:
    """An experiment that was read and found right: `title`, `jobs` (all runs), `variants` (with their parameters)."""

    def __init__(self, name: str, variants: list[tuple[dict[str, Any], Experiment]]) -> None:
        self.name = name
        self.variants = variants
        self.jobs: list[Job] = jobs_of(variants)

    def __repr__(self) -> str:
        return f"<liblinux.experiments.Loaded {self.name}: {len(self.jobs)} runs>"

    @property
    def title(self) -> str:
        """What it is called; the name of the file when it says nothing."""
        return self.variants[0][1].title or Path(self.name).stem

    @property
    def experiment(self) -> Experiment:
        """The first of the variants: all have the same plots."""
        return self.variants[0][1]


def load(path: str | Path, changes: Mapping[str, Any] | None = None) -> Loaded:
    """Read an experiment from a file, TOML or, by its name, YAML.

    `changes` are other values for keys as in [sweep]: {"link.bottleneck.queue": 10}; of one that is swept it is the
    only value, or a list of all. Raises ExperimentError with all that is wrong, each at its line; OSError when there
    is no file.
    """
    return loads(Path(path).read_text(encoding="utf-8"), str(path), changes)


def loads(text: str, name: str = "<experiment>", changes: Mapping[str, Any] | None = None) -> Loaded:
    """The same of a text; `name` is for messages, and tells YAML by its end."""
    source = Source(text, name)
    for key, value in (changes or {}).items():
        sweep = source.values.get("sweep")
        if isinstance(sweep, dict) and key in sweep:
            sweep[key] = value if isinstance(value, list) else [value]
            continue
        try:
            put(source.values, key, value)
        except KeyError as error:
            raise ExperimentError(name, [Problem((), str(error.args[0]))]) from None
    return Loaded(name, check(source))


def run(
    experiment: Loaded,
    *,
    workers: int | None = None,
    samples: bool = True,
    progress: Callable[[Moment], None] | None = None,
) -> list[Outcome]:
    """Do all runs, in so many processes (None: one for each processor); returns what came of each, in their order.

    The processes are forked from this one: with other threads in it take workers=1.
    Without `samples` the series are not kept, which saves memory in large sweeps; then nothing can be drawn over time.
    """
    return run_all(experiment.jobs, workers=workers, samples=samples, progress=progress)


def draw(experiment: Loaded, outcomes: Sequence[Outcome], path: str | Path) -> None:
    """Draw the [[plot]]s of the file, as panels of a picture: SVG, PNG or PDF by the name. Needs matplotlib.

    Lines are means over the seeds, bands and bars the 95 % confidence intervals of them (Student's t).
    """
    from liblinux.experiments._drawing import draw_all  # noqa: PLC0415 - slow, and an extra

    draw_all(experiment.title, experiment.experiment, outcomes, path)


def schema() -> dict[str, Any]:
    """The JSON schema of experiments, for editors."""
    made = Experiment.model_json_schema(by_alias=True)
    return {"$schema": _SCHEMA_ID, **made, "title": "A network experiment for liblinux simulate"}
