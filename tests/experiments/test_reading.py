"""Files of experiments: what is wrong with them, each at its line, and what they mean."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from liblinux import experiments
from liblinux.experiments import ExperimentError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "examples" / "experiments").glob("*.toml"))

RIGHT = """
duration = "10s"

[nodes]
hosts = ["s{1..2}", "d{1..2}"]
routers = ["left", "right"]

[[link]]
between = ["s{1..2}", "left"]

[[link]]
name = "bottleneck"
between = ["left", "right"]
rate = ["2Mbit", 1e6]
discipline = "codel"

[[link]]
between = ["right", "d{1..2}"]

[[flow]]
name = "bulk"
kind = "tcp"
from = "s{1..2}"
to = "d{1..2}"
"""


def problems(text: str, name: str = "x.toml") -> list[tuple[int, str]]:
    with pytest.raises(ExperimentError) as raised:
        experiments.loads(text, name)
    return [(problem.line, problem.message) for problem in raised.value.problems]


def replaced(before: str, after: str) -> list[tuple[int, str]]:
    """What is wrong with the right file when one thing is changed."""
    assert before in RIGHT
    return problems(RIGHT.replace(before, after, 1))


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ('duration = "10s"', 'durration = "10s"', 2, "no 'durration'; did you mean 'duration'?"),
        ('duration = "10s"', 'duration = "10 parsecs"', 2, "'10 parsecs' is not a time; write it as '20ms'"),
        ('duration = "10s"', "duration = 0", 2, "no time at all"),
        ('duration = "10s"', 'duration = "10s"\nkernel = "5.4"', 3, "5.4"),
        ("rate = [", "raet = [", 14, "[[link]] number 2 has no 'raet'; did you mean 'rate'?"),
        ('rate = ["2Mbit", 1e6]', 'rate = "2Mbits"', 14, "'2Mbits' is not a rate; write it as '10Mbit'"),
        ('rate = ["2Mbit", 1e6]', 'rate = "20Tbit"', 14, "impossible"),
        ('rate = ["2Mbit", 1e6]', 'rate = "0Mbit"', 14, "can carry nothing"),
        ('rate = ["2Mbit", 1e6]', "rate = [1, 2, 3]", 14, "two values, one for each direction"),
        ('discipline = "codel"', "loss = 1.5", 15, "not from 0 to 1"),
        ('discipline = "codel"', 'discipline = {kind = "codel", min = 1}', 15, "codel has no option 'min'"),
        ('discipline = "codel"', 'discipline = {kind = "red", min = 9, max = 8}', 15, "not below its max"),
        ('"s{1..2}", "left"]', '"s{1..3}", "left"]', 9, "there is no node 's3'"),
        ('"s{1..2}", "left"]', '"s{2..1}", "left"]', 9, "from a number to a larger one"),
        ('"s{1..2}", "left"]', '"left", "left"]', 9, "a link joins two hosts"),
        ('kind = "tcp"', 'kind = "tpc"', 22, "no flows of kind 'tpc'; did you mean 'tcp'?"),
        ('kind = "tcp"', "", 20, "needs a 'kind'"),
        ('kind = "tcp"', 'knid = "tcp"', 20, "; it has 'knid'"),
        ('kind = "tcp"', 'kind = "udp"', 20, "needs 'rate'"),
        ('kind = "tcp"', 'kind = "tcp"\ncongestion = "cubik"', 23, "did you mean 'cubic'?"),
        ('kind = "tcp"', 'kind = "tcp"\nstart = "10s"', 23, "nothing would run"),
        ('kind = "tcp"', 'kind = "tcp"\nstop = "11s"', 23, "after the experiment's 10 s"),
        ('to = "d{1..2}"', 'to = "e1"', 24, "there is no host 'e1'"),
        ('to = "d{1..2}"', 'to = "d{1..3}"', 24, "there is no host 'd3'"),
        ('between = ["right", "d{1..2}"]', 'between = ["right", "d1"]', 24, "no links lead from 's2' to 'd2'"),
        ("[[flow]]", '[[event]]\nat = 20\nlink = "botleneck"\nstate = "down"\n\n[[flow]]', 21, "is over"),
        (
            "[[flow]]",
            '[[event]]\nat = 2\nlink = "botleneck"\nstate = "down"\n\n[[flow]]',
            22,
            "did you mean 'bottleneck'",
        ),
        ("[[flow]]", '[[event]]\nat = 2\nlink = "bottleneck"\n\n[[flow]]', 20, "changes nothing"),
        ("[[flow]]", '[sysctl]\n"net.ipv4.tcp_ecnn" = 1\n\n[[flow]]', 21, "no setting 'net.ipv4.tcp_ecnn'"),
        ("[[flow]]", '[sweep]\n"link.bottleneck.queue" = [1, 0]\n\n[[flow]]', 21, "queue = 0: queue: input should be"),
        ("[[flow]]", '[sweep]\n"link.bottlneck.queue" = [1]\n\n[[flow]]', 21, "did you mean 'bottleneck'?"),
        ("[[flow]]", '[[plot]]\nshow = "rtt"\nover = "queue"\n\n[[flow]]', 22, "nothing that varies"),
        ("[nodes]", "[nodes", 4, "this is not TOML"),
    ],
)
def test_what_is_wrong(before: str, after: str, line: int, message: str) -> None:
    found = replaced(before, after)
    assert any(at == line and message in text for at, text in found), found


def test_all_at_once_and_nothing_has_run() -> None:
    found = problems(
        RIGHT.replace("bulk", "b").replace("codel", "coddel").replace('"10s"', "-1").replace("1e6", "true")
    )
    assert [line for line, _ in found] == [2, 14, 15]


def test_yaml() -> None:
    text = """
duration: 10s
nodes:
  hosts: [a, b]
link:
  - between: [a, b]
    rate: 10Mbit
flow:
  - {name: ping, kind: ping, from: a, to: b}
"""
    assert len(experiments.loads(text, "x.yaml").jobs) == 1
    assert problems(text.replace("10Mbit", "much"), "x.yaml") == [
        (7, "rate: 'much' is not a rate; write it as '10Mbit'")
    ]
    assert problems(text.replace("to: b", "to: c"), "x.yaml")[0][0] == 9
    assert problems(text + "  x", "x.yaml")[0][1].startswith("this is not YAML")


def test_values_and_names() -> None:
    experiment = experiments.loads(RIGHT).experiment
    assert experiment.link[1].rate == (2_000_000, 1_000_000)
    assert experiment.duration == 10
    assert experiment.link[1].discipline is not None and experiment.link[1].discipline.kind == "codel"


def test_sweep_is_a_product_and_changes_take_its_place() -> None:
    text = RIGHT + '\n[sweep]\n"link.bottleneck.queue" = [10, 20]\nduration = ["1s", "2s", "3s"]\n'
    loaded = experiments.loads(text, changes={"repetitions": 2})
    assert len(loaded.variants) == 6 and len(loaded.jobs) == 12
    assert [job.seed for job in loaded.jobs[:4]] == [1, 2, 1, 2]
    assert [parameters["duration"] for parameters, _ in loaded.variants] == ["1s", "2s", "3s"] * 2
    assert [job.experiment.link[1].queue for job in experiments.loads(text, changes={"duration": "1s"}).jobs] == [
        10,
        20,
    ]
    with pytest.raises(ExperimentError, match="no link is named 'nothing'"):
        experiments.loads(text, changes={"link.nothing.queue": 1})


def test_schema_is_published_and_true() -> None:
    schema = experiments.schema()
    assert json.loads((ROOT / "docs" / "experiment.schema.json").read_text()) == schema
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in SHIPPED:
        validator.validate(tomllib.loads(path.read_text()))
    assert not validator.is_valid(tomllib.loads(RIGHT.replace("duration", "durration")))
    assert not validator.is_valid(tomllib.loads(RIGHT.replace('kind = "tcp"', 'kind = "tpc"')))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_right(path: Path) -> None:
    assert experiments.load(path).jobs
    assert (ROOT / "docs" / "experiments" / f"{path.stem}.png").stat().st_size > 10_000
