"""The dumbbell, as `liblinux simulate` runs it, beside ns-3; and what a packet costs in networks of all sizes."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import OURS, Row, Skipped, at_most, medians
from subjects import Bench

_HERE = Path(__file__).resolve().parent
_NS3 = "ns-3 of Debian"
_MODULES = ("applications", "core", "internet", "network", "point-to-point")
_SECONDS = 400
# Pairs of hosts, the seconds to reach, and what others have published for as much.
_SIZES = (
    (2, 0.5, {"DCE": "about 7 s (published)", "ns-3": "about 3.2 s (published)"}),
    (100, 3.0, {"DCE": "about 25 s (published)", "ns-3": "about 19.5 s (published)"}),
)
_HOSTS = (4, 16, 64, 256, 1024, 4096)
_FEW_HOSTS = (4, 64)
_MOST_COMPARED = 1024
_FACTOR = 1.5


def measure(bench: Bench) -> list[Row]:
    """Three figures of issue "Deterministic time"."""
    return [*(_dumbbell(bench, *size) for size in _SIZES), _forwarding(bench)]


# ---- the dumbbell ----------------------------------------------------------------


def _dumbbell(bench: Bench, pairs: int, limit: float, published: dict[str, str]) -> Row:
    players = {OURS: lambda: _ours(pairs), _NS3: lambda: _theirs(pairs)}
    figures, skipped = medians(players, 1 if bench.quick else bench.rounds)
    return Row(
        "dumbbell",
        f"{pairs} + {pairs} hosts, {_SECONDS} simulated seconds, 2 Mbit/s and 100 ms between them",
        "s",
        f"{limit:g} s",
        figures,
        at_most(figures, limit),
        published,
        skipped,
        note="a CUBIC flow for each pair; from the file to the results, without imports (ns-3: loading of libraries)",
    )


def _ours(pairs: int) -> float:
    return _in_process("dumbbell", str(pairs))[0]


def _theirs(pairs: int) -> float:
    output = subprocess.run([_program(), str(pairs), str(_SECONDS)], capture_output=True, text=True, check=True)
    return float(output.stdout.split()[0])


@functools.cache
def _program() -> Path:
    """The ns-3 program, compiled once."""
    program = Path(tempfile.mkdtemp(prefix="liblinux-bench-")) / "dumbbell"
    atexit.register(shutil.rmtree, program.parent)
    libraries = [f"-lns3-{module}" for module in _MODULES]
    command = ["g++", "-O2", "-std=c++17", str(_HERE / "dumbbell.cc"), "-o", str(program), *libraries]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    if compiled.returncode:
        raise Skipped("no ns-3: apt-get install libns3-dev")
    return program


# ---- packets of networks of all sizes -----------------------------------------------


def _forwarding(bench: Bench) -> Row:
    sizes = _FEW_HOSTS if bench.quick else _HOSTS
    players = {_name(hosts): functools.partial(_cost, hosts) for hosts in sizes}
    figures, skipped = medians(players, 1 if bench.quick else min(bench.rounds, 3))
    compared = [figures[_name(hosts)] for hosts in sizes if hosts <= _MOST_COMPARED and _name(hosts) in figures]
    ratio = max(compared) / compared[0] if compared else 0.0
    costs = ", ".join(f"{who} {figure:.2f}" for who, figure in figures.items())
    return Row(
        "dumbbell",
        "what a frame costs on a hop: the dearest from 4 to 1,024 nodes beside that of 4",
        "",
        f"{_FACTOR:g} times",
        {OURS: ratio},
        at_most({OURS: ratio}, _FACTOR) if len(compared) == len(_HOSTS) - 1 else None,
        {},
        skipped,
        note=f"us for a frame: {costs}; chains of two hosts and two routers, TCP in 16 of them",
    )


def _name(hosts: int) -> str:
    return f"{hosts:,} nodes"


def _cost(hosts: int) -> float:
    """Microseconds for a frame on one hop, without what it takes to set the network up."""
    seconds, frames = _in_process("forwarding", str(hosts))
    return seconds / frames * 1e6


# ---- in a process of its own -----------------------------------------------------------


def _in_process(job: str, argument: str) -> list[float]:
    output = subprocess.run(
        [sys.executable, str(_HERE / "dumbbell_run.py"), job, argument], capture_output=True, text=True, check=False
    )
    if output.returncode:
        raise RuntimeError(output.stderr.strip() or f"{job} {argument} ended with {output.returncode}")
    found: list[float] = json.loads(output.stdout)
    return found
