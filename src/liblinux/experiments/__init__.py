"""Experiments as files: a network, what runs on it, what happens to it; swept, repeated, drawn.

    liblinux simulate    liblinux/commands/simulate.py
      pictures           _drawing.py      panels, with confidence intervals: _confidence.py
      tables             _results.py      CSV and Parquet
      all runs           _campaign.py     every combination with every seed, on all cores
      one run            _once.py         the network, the flows, the events, the samples
        flows            _streams.py, _datagrams.py, _requests.py, on the selector of _loop.py
        the network      _declare.py, _setting_up.py, _disciplines.py
      what is wrong      _checking.py     before anything runs, each at its line
      the schema         _model.py        pydantic; published as docs/experiment.schema.json
      the text           _source.py       TOML or YAML, and the lines that values are in

From Python:

    from liblinux import experiments

    experiment = experiments.load("bufferbloat.toml")
    outcomes = experiments.run(experiment)
    for row in experiments.rows(outcomes):
        print(row["flow"], row["throughput"])
    experiments.draw(experiment, outcomes, "bufferbloat.svg")
"""

from __future__ import annotations

from liblinux.experiments._campaign import Moment
from liblinux.experiments._errors import ExperimentError, Problem
from liblinux.experiments._face import Loaded, draw, load, loads, run, schema
from liblinux.experiments._once import Outcome
from liblinux.experiments._results import rows, write_results, write_samples

__all__ = [
    "ExperimentError",
    "Loaded",
    "Moment",
    "Outcome",
    "Problem",
    "draw",
    "load",
    "loads",
    "rows",
    "run",
    "schema",
    "write_results",
    "write_samples",
]
