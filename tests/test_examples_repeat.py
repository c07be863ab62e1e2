"""Every example on virtual time gives the same again: under load, with another hash seed.

The examples find themselves: all of examples/, all guides, README and docs. Each
runs twice in a directory of the same name, and what is compared is what crossed
every network, the log and the last instant of every kernel (see
reliability/recorded), and what was printed. What guides must have printed is in
guides_said.py: each run of them takes seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import ENVIRONMENT
from test_guides_building import GUIDES, run_guide

pytest.register_assert_rewrite("guides_said")
from guides_said import SAID  # noqa: E402 - the line above makes its assertions speak

ROOT = Path(__file__).resolve().parent.parent
RECORDER = Path(__file__).resolve().parent / "reliability" / "recorded"
# What says so itself, and what is on virtual time by itself.
VIRTUAL = re.compile(r"clock=.virtual|\bpytest |liblinux (simulate|explore)\b")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# How long pytest and explore took, where objects lie, and what is another one on purpose.
CHANCE = re.compile(r"\bin \d+\.\d+s( \([\d:]+\))?|\bin [\d.]+ s, [\d.]+ a second|0x[0-9a-f]+|PYTHONHASHSEED=\d+")
# How an example is tried that says it is for `liblinux explore`.
EXPLORED = re.compile(r"^ +liblinux explore \S+(::\w+) (.*)$", re.MULTILINE)

Run = Callable[[Path, dict[str, str]], str]
# Those that explore, which begins as many seeds at a time as there are processors.
EXPLORING: set[str] = set()


def _python(program: str) -> Run:
    def run(directory: Path, environment: dict[str, str]) -> str:
        (directory / "work").mkdir()
        return _output([sys.executable, "-c", program], directory / "work", environment)

    return run


def _simulate(path: Path) -> Run:
    """An experiment: its results, for each of its runs."""

    def run(directory: Path, environment: dict[str, str]) -> str:
        (directory / "work").mkdir()
        command = [sys.executable, "-m", "liblinux._command", "simulate", path, "--repetitions", "1", "--quiet", "-j1"]
        # What crosses its links may be gigabytes, which captures keep in memory.
        without = {name: value for name, value in environment.items() if name != "LIBLINUX_RECORD"}
        return _output([*map(str, command), "--output", "results.csv"], directory / "work", without)

    return run


def _explore(path: Path) -> Run:
    """A test for `liblinux explore`, as its text says that it is explored."""
    wanted = EXPLORED.search(path.read_text())
    assert wanted is not None

    def run(directory: Path, environment: dict[str, str]) -> str:
        (directory / "work").mkdir()
        command = [sys.executable, "-m", "liblinux._command", "explore", f"{path}{wanted[1]}", *wanted[2].split()]
        return _output(command, directory / "work", environment, status=1)  # it finds what it shows

    return run


def _output(command: list[str], directory: Path, environment: dict[str, str], *, status: int = 0) -> str:
    done = subprocess.run(
        command, cwd=directory, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def _examples() -> dict[str, Run]:
    """All that are on virtual time, by name."""
    found: dict[str, Run] = {}
    for path in sorted((ROOT / "examples").rglob("*")):
        name = str(path.relative_to(ROOT))
        if path.suffix == ".py":
            if EXPLORED.search(path.read_text()):
                found[name] = _explore(path)
                EXPLORING.add(name)
            elif VIRTUAL.search(path.read_text()):
                found[name] = _python(path.read_text())
        elif path.suffix in (".toml", ".yaml", ".yml"):
            found[name] = _simulate(path)
        elif path.is_file() and path.suffix not in (".md", ".svg", ".png", ".pyc", ".csv"):
            raise ValueError(f"{name}: how is this example run? Say it in {__file__}")
    for path in sorted(GUIDES.glob("*.md")):
        if VIRTUAL.search(path.read_text()):
            if "\nliblinux explore " in path.read_text():
                EXPLORING.add(path.name)
            found[path.name] = lambda directory, more, name=path.name: run_guide(name, directory, more)  # type: ignore[misc]
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, block in enumerate(BLOCK.findall(path.read_text()), 1):
            if VIRTUAL.search(block):
                # An earlier block may have imported it.
                found[f"{path.name}, {number}"] = _python(f"import liblinux\n{block}")
    return found


EXAMPLES = _examples()


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Programs that are started may use one, any."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def left(name: str, directory: Path, hash_seed: str) -> dict[str, str]:
    """Run an example; hashes of all that it left."""
    record, work = directory / "recorded", directory / "work"
    for path in (record, work):
        shutil.rmtree(path, ignore_errors=True)
    record.mkdir()
    environment = {
        "PYTHONHASHSEED": hash_seed,
        "PYTEST_ADDOPTS": "",  # such as --durations, which says other things each time
        "PYTHONPATH": f"{RECORDER}:{os.environ.get('PYTHONPATH', '')}",
        "LIBLINUX_RECORD": str(record),
        "COLUMNS": "100",
    }
    with one_processor() if name in EXPLORING else contextlib.nullcontext():
        output = CHANCE.sub("", EXAMPLES[name](directory, environment))
    if name in SAID:
        SAID[name](output, work)
    files = [*record.iterdir(), *work.rglob("*.pcapng"), *work.rglob("*.csv")]
    hashes = sorted(f"{path.suffix} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return {"output": output, "files": "\n".join(hashes)}


def test_they_are_found() -> None:
    assert EXAMPLES.keys() >= SAID.keys() | {"programs-on-a-network.md"}  # which prints nothing
    assert sum(name.startswith("README.md, ") for name in EXAMPLES) >= 3


@pytest.mark.timeout(900)  # twice, and once under load
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_again(name: str, tmp_path: Path, burning: Callable[[], None]) -> None:
    first = left(name, tmp_path, "1")
    assert first["files"], "nothing was recorded: is it on virtual time?"
    burning()
    assert left(name, tmp_path, "4711") == first


def test_another_seed_would_be_seen(tmp_path: Path) -> None:
    """The comparison compares something: chance has a part in it."""
    program = """
import liblinux
with liblinux.Network(clock="virtual", seed=SEED) as net:
    net.link(net.host("a"), net.host("b"), loss=0.3)
    net.ping("a", "b", count=20)
"""
    EXAMPLES["one"], EXAMPLES["two"] = (_python(program.replace("SEED", seed)) for seed in "12")
    one, again, two = (left(name, tmp_path, "1") for name in ("one", "one", "two"))
    assert one == again != two
    assert sorted(line.split()[0] for line in one["files"].splitlines()) == [".log", ".pcapng"]
