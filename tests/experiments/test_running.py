"""Runs of experiments: what comes out of them, the same every time, on one processor or several."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from full_disk import full_disk
from liblinux import experiments
from liblinux.cli import cli
from liblinux.experiments import Loaded, Moment
from liblinux.experiments._confidence import interval

EVERYTHING = """
title = "Everything"
duration = "4s"
repetitions = 2

[nodes]
hosts = ["a", "b"]
routers = ["r"]

[[link]]
name = "first"
between = ["a", "r"]
rate = "20Mbit"
delay = "5ms"

[[link]]
name = "second"
between = ["r", "b"]
rate = "10Mbit"

[[flow]]
name = "some"
kind = "tcp"
from = "a"
to = "b"
bytes = "500kB"
congestion = "reno"
count = 2
spread = "1s"

[[flow]]
name = "cbr"
kind = "udp"
from = "b"
to = "a"
rate = "80kbit"
size = 1000

[[flow]]
name = "ping"
kind = "ping"
from = "a"
to = "b"
interval = "500ms"

[[flow]]
name = "ask"
kind = "request"
from = "a"
to = "b"
response = "20kB"
period = "1s"

[[event]]
at = "2.2s"
link = "second"
state = "down"

[[event]]
at = "2.4s"
link = "second"
state = "up"
delay = "20ms"

[sweep]
"link.second.queue" = [50, 100]

[[plot]]
show = "throughput"
unit = "Mbit/s"

[[plot]]
show = "throughput"
over = "link.second.queue"

[[plot]]
show = "delay"
kind = "cdf"
of = "ping"
unit = "ms"

[[plot]]
show = "throughput"
over = "flow"
kind = "bar"
"""


@pytest.fixture(scope="module")
def everything() -> tuple[Loaded, list[experiments.Outcome]]:
    loaded = experiments.loads(EVERYTHING)
    return loaded, experiments.run(loaded, workers=2)


def row(outcome: experiments.Outcome, name: str) -> dict[str, Any]:
    return next(flow for flow in outcome.flows if flow["flow"] == name)


def test_flows(everything: tuple[Loaded, list[experiments.Outcome]]) -> None:
    first = everything[1][0]
    for name in ("some-1", "some-2"):
        some = row(first, name)
        assert some["bytes"] == 500_000 and some["complete"] == 1 and some["seconds"] < 3
    cbr = row(first, "cbr")
    assert cbr["sent"] == 40 and 0.8 < cbr["arrived"] / 40 < 1
    assert 0.005 < cbr["delay_p50"] < 0.03
    ping = row(first, "ping")
    # 10 ms there and back at first, 50 ms after the change.
    assert ping["sent"] == 8 and ping["delay_max"] > 0.05
    assert len(first.recording["delay", "ping"]) == ping["arrived"]
    assert row(first, "ask")["answers"] in (3, 4)
    assert first.frames > 1000 and 0 < first.setup < first.seconds


def test_the_same_again_in_this_process(
    everything: tuple[Loaded, list[experiments.Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, outcomes = everything
    monkeypatch.setattr("liblinux.experiments._once._TELL_S", 0)  # as often as can be
    moments: list[Moment] = []
    again = experiments.run(loaded, workers=1, progress=moments.append)
    for one, other in zip(outcomes, again, strict=True):
        assert (one.parameters, one.seed, one.flows) == (other.parameters, other.seed, other.flows)
        assert repr(one.recording.series) == repr(other.recording.series)  # NaN is equal to nothing
        assert one.frames == other.frames
    assert [moment.number for moment in moments if moment.done] == [0, 1, 2, 3]
    # Of the run that goes on it tells the frames so far.
    first = [moment.frames for moment in moments if moment.number == 0]
    assert len(first) > 10 and first == sorted(first)
    assert 0 < first[len(first) // 2] < first[-1] == outcomes[0].frames
    assert [one.seed for one in outcomes] == [1, 2, 1, 2]
    assert outcomes[0].flows != outcomes[1].flows


def test_tables(everything: tuple[Loaded, list[experiments.Outcome]], tmp_path: Path) -> None:
    _, outcomes = everything
    experiments.write_results(tmp_path / "results.csv", outcomes)
    with (tmp_path / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 * 5
    assert list(table[0])[:4] == ["link.second.queue", "seed", "flow", "kind"]
    assert float(table[0]["throughput"]) == row(outcomes[0], "some-1")["throughput"]
    assert table[2]["retransmits"] == ""

    pandas = pytest.importorskip("pandas")
    experiments.write_results(tmp_path / "results.parquet", outcomes)
    experiments.write_samples(tmp_path / "samples.parquet", outcomes)
    results = pandas.read_parquet(tmp_path / "results.parquet")
    assert len(results) == 20 and results["seed"].tolist()[:1] == [1]
    samples = pandas.read_parquet(tmp_path / "samples.parquet")
    assert {"throughput", "cwnd", "queue", "delay"} <= set(samples["kind"])
    assert set(samples[samples["kind"] == "queue"]["name"]) == {"first", "first (back)", "second", "second (back)"}


@pytest.mark.parametrize("name", ["results.csv", "picture.svg"])
def test_a_full_disk_keeps_what_was_there(
    name: str, everything: tuple[Loaded, list[experiments.Outcome]], tmp_path: Path
) -> None:
    path = tmp_path / name

    def write() -> None:
        if name.endswith(".csv"):
            experiments.write_results(path, everything[1])
        else:
            experiments.draw(*everything, path)

    write()  # matplotlib keeps its list of fonts the first time
    before = path.read_bytes()
    with pytest.raises(OSError, match="too large"), full_disk(100):
        write()
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_pictures(everything: tuple[Loaded, list[experiments.Outcome]], tmp_path: Path) -> None:
    for number in range(2):
        experiments.draw(*everything, tmp_path / f"{number}.svg")
    text = (tmp_path / "0.svg").read_text()
    assert text == (tmp_path / "1.svg").read_text()
    # Texts are drawn as outlines, with what they say beside them.
    for words in ("Everything", "throughput [Mbit/s]", "second down", "link.second.queue", "share of the samples"):
        assert f"<!-- {words} -->" in text, re.findall("<!-- (.*) -->", text)
    experiments.draw(*everything, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_confidence() -> None:
    # Student's t of three values, as in any table: 4.303 * s / sqrt(3).
    mean, half = interval([1, 2, 3])
    assert mean == 2 and half == pytest.approx(4.303 / math.sqrt(3))
    assert math.isnan(interval([5])[1])
    mean, half = interval([float(number % 2) for number in range(1000)])
    assert mean == 0.5 and half == pytest.approx(1.96 * 0.5 / math.sqrt(1000), rel=1e-2)


def test_command(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(EVERYTHING)
    command = ["simulate", str(file), "--jobs", "1", "--duration", "3s", "--repetitions", "1"]
    outputs = [
        "--output",
        str(tmp_path / "r.csv"),
        "--plot",
        str(tmp_path / "p.png"),
        "--samples",
        str(tmp_path / "s.csv"),
    ]
    result = CliRunner().invoke(cli, [*command, "--set", "link.second.queue=70", "--json", *outputs])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(one["flow"], one["link.second.queue"]) for one in found][:2] == [("some-1", 70), ("some-2", 70)]
    assert "1 runs: 3 of 3 s of virtual time" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"x.toml", "r.csv", "p.png", "s.csv"}

    result = CliRunner().invoke(cli, ["simulate", str(file), "--check"])
    assert result.exit_code == 0 and "4 runs, 2 variants: nothing is wrong" in result.stdout
    file.write_text(EVERYTHING.replace("first", "frist", 1).replace("reno", "remo"))
    result = CliRunner().invoke(cli, ["simulate", str(file)])
    assert result.exit_code == 2
    assert f"{file}:27: the kernel has no congestion control 'remo'; did you mean 'reno'?" in result.stderr


def test_a_lost_connection_is_made_again() -> None:
    text = """
    duration = "400s"
    nodes.hosts = ["a", "b"]
    record.sockets = false
    record.interval = "10s"
    link = [{ between = ["a", "b"], name = "cable", rate = "1Mbit", delay = "10ms" }]
    flow = [{ name = "tcp", kind = "tcp", from = "a", to = "b" }]
    event = [{ at = 20, link = "cable", loss = 1 }, { at = 200, link = "cable", loss = 0 }]
    sysctl = { "net.ipv4.tcp_retries2" = 5 }
    """
    (outcome,) = experiments.run(experiments.loads(text), workers=1)
    (tcp,) = outcome.flows
    assert tcp["failures"] >= 1
    series = outcome.recording["throughput", "tcp"]
    assert max(value for time, value in series if 50 < time < 190) == 0
    assert all(value > 0.9e6 for time, value in series if 250 < time < 400)
