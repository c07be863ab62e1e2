"""Exploring: the lowest seed that fails, again by itself, and the smallest schedule."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liblinux.explore import Plan, Untestable, explore
from liblinux.explore._shrink import shrink
from liblinux.network.faults import (
    ClockStep,
    Fault,
    Heal,
    Kill,
    LinkSet,
    Partition,
    Pause,
    Restart,
    Resume,
    Schedule,
)
from until import LONG_SECONDS

SUBJECTS = Path(__file__).with_name("explored.py")


def plan(name: str, **options: object) -> Plan:
    return Plan(f"{SUBJECTS}::{name}", **{"time_limit": LONG_SECONDS * 10, **options})  # type: ignore[arg-type]  # the names are those of a plan


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_lowest_seed_that_fails(jobs: int) -> None:
    told: list[int] = []
    report = explore(plan("from_37"), range(1000), jobs=jobs, progress=told.append)
    assert report.failure is not None
    outcome = report.failure.outcome
    assert (outcome.seed, outcome.kind, outcome.result) == (37, "AssertionError", "failed")
    assert outcome.message == "37 is no good number" and outcome.output == "this is 37\n"
    assert "explored.py" in outcome.traceback and report.failure.reproduced
    assert 38 <= report.tried < 200 and sum(told) == report.tried
    assert "seed 37 fails" in str(report)


def test_faults_are_drawn_and_made_few() -> None:
    wanted = plan("cut_off_twice", kinds=("partition", "kill", "clock"), most=8, until=10.0)
    report = explore(wanted, range(300), jobs=2)
    failure = report.failure
    assert failure is not None and failure.reproduced and failure.outcome.message == "both were cut off"
    assert failure.smallest is not None and failure.runs > 1
    kinds = {fault.kind for fault in failure.smallest}
    assert len(failure.smallest) <= 4 < len(failure.schedule) and "clock_step" not in kinds
    # It is what is told, and can be read again.
    assert Schedule.from_json(json.loads(json.dumps(report.as_json()))["failure"]["smallest"]) == failure.smallest
    # The seed alone draws the same faults, and the smallest schedule alone fails as well.
    again = explore(plan("cut_off_twice").with_schedule(failure.smallest), range(1), jobs=1, smaller=False)
    assert again.failure is not None and again.failure.outcome.message == "both were cut off"


def test_one_that_does_not_depend_on_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORED", str(tmp_path / "explored"))
    report = explore(plan("once"), range(10), jobs=1)
    assert report.failure is not None and not report.failure.reproduced
    assert report.failure.outcome.seed == 0
    assert "did NOT fail in the same way again" in str(report)


def test_processes_that_die_and_hang() -> None:
    report = explore(plan("dies"), range(10), jobs=1)
    assert report.failure is not None and report.failure.reproduced
    assert (report.failure.outcome.seed, report.failure.outcome.result) == (3, "died")
    assert f"code -{int(signal.SIGSEGV)}" in report.failure.outcome.message
    assert "Segmentation fault" in report.failure.outcome.output
    report = explore(plan("hangs", time_limit=0.5), range(10), jobs=1)
    assert report.failure is not None
    assert (report.failure.outcome.seed, report.failure.outcome.result) == (2, "hang")


PYTEST = """
import pytest

@pytest.fixture
def threshold():
    return 4

class TestIt:
    @pytest.mark.parametrize("step", [1, 3])
    def test_seeds(self, seed, threshold, step, net, network, liblinux_seed, schedule):
        assert net.kernel.clock == "virtual" and liblinux_seed == seed
        # The plugin's own network plays as well.
        network.link(network.host("a"), network.host("b"))
        assert len(network.play(schedule)) == 2
        assert seed + step < threshold

def test_skipped():
    pytest.skip("not today")
"""


def test_tests_of_pytest(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(PYTEST)
    wanted = Plan(f"{path}::TestIt::test_seeds[3]", kinds=("kill",), most=1, time_limit=LONG_SECONDS * 10)
    report = explore(wanted, range(20), jobs=1, smaller=False)
    assert report.failure is not None and report.failure.reproduced
    assert (report.failure.outcome.seed, report.failure.outcome.kind) == (1, "AssertionError")
    assert "seed + step < threshold" in report.failure.outcome.traceback
    with pytest.raises(Untestable, match="pytest does not run"):
        explore(Plan(f"{path}::test_skipped[1]"), range(1), jobs=1)


@pytest.mark.parametrize(
    ("test", "options", "said"),
    [
        ("nowhere.py::test", {}, "there is no file"),
        (f"{SUBJECTS}", {}, "names no test"),
        (f"{SUBJECTS}::nothing", {}, "has no 'nothing'; it has from_37"),
        (f"{SUBJECTS}::wants_a_lot", {}, "pytest does not run"),
        (f"{SUBJECTS}::passes", {"kinds": ("kill",)}, "plays no faults"),
        (f"{SUBJECTS}::cut_off_twice", {"kernel": "5.9"}, "no kernel image of version 5.9"),
        (
            f"{SUBJECTS}::cut_off_twice",
            {"schedule": Schedule(Kill(at=1, host="x")).as_json()},
            "there is no host 'x'; there are switch, a, b, c",
        ),
    ],
)
def test_what_cannot_be_tried(test: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(Untestable, match=said):
        explore(Plan(test, **options), range(5), jobs=1)  # type: ignore[arg-type]  # as above


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "liblinux._command", "explore", *words], capture_output=True, text=True, check=False
    )


def test_the_command(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = run(f"{SUBJECTS}::cut_off_twice", "--seeds", "0:300", "--faults", "partition", "--save", str(found))
    assert done.returncode == 1, done.stderr
    assert "the smallest schedule that fails as well" in done.stdout and f"--faults {found}" in done.stdout
    seed = done.stdout.split("seed ")[1].split()[0]
    done = run(f"{SUBJECTS}::cut_off_twice", "--seeds", seed, "--faults", str(found), "--json", "--no-shrink")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["failure"]["schedule"] == json.loads(found.read_text())
    assert report["failure"]["seed"] == int(seed) and report["tried"] == 1
    done = run(f"{SUBJECTS}::passes", "--seeds", "0:5", "-j", "1")
    assert (done.returncode, done.stderr) == (0, "") and "all passed" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "5:5"), "are no seeds"),
        (("--faults", "frogs"), "there are partition, kill"),
        (("--faults", "missing.json"), "missing.json"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], said: str) -> None:
    done = run(f"{SUBJECTS}::passes", *words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_on_a_cluster() -> None:
    """In a process of its own: Dask leaves threads, and tests of fork() want to be the only one."""
    tests = Path(__file__).with_name("cluster_of_dask.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr


# ---- shrinking, without running anything -----------------------------------------


def drawn() -> Schedule:
    faults: list[Fault] = [
        Partition(at=1.234, hosts=("a",)),
        Partition(at=1.567, hosts=("b",)),
        Kill(at=2.1, host="a"),
        Heal(at=3.3),
        Restart(at=4.4, host="a"),
        ClockStep(at=5.0, host="b", seconds=1.0),
        Pause(at=5.51, host="c"),
        ClockStep(at=6.0, host="b", seconds=-1.0),
        Resume(at=7.77, host="c"),
        LinkSet(at=8.0, link=("a", "b"), loss=0.5),
        LinkSet(at=9.0, link=("a", "b"), loss=0.0),
    ]
    return Schedule(*faults)


def test_a_schedule_is_shrunk_with_its_ends() -> None:
    def fails(schedule: Schedule) -> bool:
        kinds = [fault.kind for fault in schedule]
        return "kill" in kinds and kinds.count("clock_step") == 2

    smallest = shrink(drawn(), fails)
    assert [(fault.kind, fault.at) for fault in smallest] == [
        ("kill", 2), ("restart", 4), ("clock_step", 5), ("clock_step", 6)
    ]  # fmt: skip


def test_what_fails_without_faults_needs_none() -> None:
    assert shrink(drawn(), lambda schedule: True) == Schedule()
    assert shrink(drawn(), lambda schedule: len(schedule) == 11).faults[0].at == 1
