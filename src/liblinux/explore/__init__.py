"""Exploring: one test under thousands of seeds and schedules of faults, until it fails; then the smallest schedule.

explore()              what the command does                       _explore.py
  run_seeds()          on the processors of this machine           _pool.py
  run_on_cluster()     on a Dask cluster                           _cluster.py
    Worker             a process that tries seed after seed        _worker.py
      Trials           the test itself, a function or of pytest    _trial.py, _pytest.py
  shrink()             fewer faults, at rounder times              _shrink.py
Plan, Outcome, Report  what is tried, what came out                _plan.py, _report.py
"""

from __future__ import annotations

from liblinux.explore._explore import explore
from liblinux.explore._plan import Plan, Untestable
from liblinux.explore._report import Failure, Report

__all__ = ["Failure", "Plan", "Report", "Untestable", "explore"]
