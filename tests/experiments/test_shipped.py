"""The shipped experiments, shortened: each shows what it is about."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from liblinux import experiments
from liblinux.experiments import Outcome

SHIPPED = Path(__file__).resolve().parents[2] / "examples" / "experiments"


def run(name: str, **changes: Any) -> list[Outcome]:
    """One seed of each variant, in this process."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    loaded = experiments.load(SHIPPED / f"{name}.toml", {"repetitions": 1, **dotted})
    return experiments.run(loaded, workers=1)


def flow(outcome: Outcome, name: str) -> dict[str, Any]:
    (found,) = [row for row in outcome.flows if row["flow"] == name]
    return found


def between(outcome: Outcome, kind: str, name: str, start: float, stop: float) -> float:
    """The mean of a series in a stretch of time."""
    values = [value for time, value in outcome.recording[kind, name] if start < time <= stop]
    return math.fsum(values) / len(values)


def test_dumbbell_shares_and_fills_the_queue() -> None:
    (outcome,) = run("dumbbell", duration="40s")
    shares = [row["throughput"] for row in outcome.flows]
    assert 1.7e6 < sum(shares) < 2e6
    assert min(shares) > 0.2 * max(shares)
    assert max(outcome.recording["queue", "bottleneck"].values) >= 99
    assert max(outcome.recording["queue_drops", "bottleneck"].values) > 0
    assert max(outcome.recording["cwnd", "tcp-1"].values) > 20


def test_bbr_wins_at_short_queues_and_cubic_at_long_ones() -> None:
    short, long = run("cubic-bbr", duration="20s", link__bottleneck__queue=[17, 267])
    assert flow(short, "BBR")["throughput"] > 2.5 * flow(short, "CUBIC")["throughput"]
    assert flow(long, "CUBIC")["throughput"] > 1.5 * flow(long, "BBR")["throughput"]
    for outcome in (short, long):
        assert 16e6 < sum(row["throughput"] for row in outcome.flows) < 20e6


def test_fq_codel_keeps_the_delay_of_others_low() -> None:
    fifo, fair = run("bufferbloat", duration="16s", flow__upload__stop="15s")
    assert [outcome.parameters["link.uplink.discipline"] for outcome in (fifo, fair)] == ["pfifo", "fq_codel"]
    # 30 ms are the path's own.
    assert flow(fair, "ping")["delay_p95"] < 0.05
    assert flow(fifo, "ping")["delay_p95"] - 0.03 > 2 * (flow(fair, "ping")["delay_p95"] - 0.03)
    assert flow(fifo, "ping")["delay_p95"] > 0.3
    assert flow(fair, "upload")["throughput"] > 0.85 * 10e6


def test_multipath_goes_on_over_the_other_path() -> None:
    (outcome,) = run("mptcp-failover", duration="28s")
    assert between(outcome, "carried", "WLAN", 3, 10) > 18e6
    assert between(outcome, "carried", "mobile", 3, 10) > 7e6
    assert between(outcome, "throughput", "transfer", 3, 10) > 24e6
    assert between(outcome, "carried", "WLAN", 13, 20) < 1e6
    assert between(outcome, "throughput", "transfer", 13, 20) > 8e6
    assert between(outcome, "throughput", "transfer", 26, 28) > 24e6


def test_dctcp_waits_less_at_incast() -> None:
    cubic, dctcp = run("incast-dctcp", flow__answers__count=1)
    worst = {
        outcome.parameters["flow.answers.congestion"]: max(row["delay_p99"] for row in outcome.flows)
        for outcome in (cubic, dctcp)
    }
    assert worst["dctcp"] < 0.5 * worst["cubic"], worst
    assert all(row["answers"] == 30 for row in dctcp.flows)


def test_sctp_takes_the_other_path_the_sooner_the_fewer_retries() -> None:
    one, five = run("sctp-multihoming", duration="26s", flow__messages__retries=[1, 5])
    assert between(one, "carried", "first", 3, 10) > 9e6
    assert between(one, "carried", "second", 3, 10) < 1e5
    assert between(one, "carried", "second", 20, 24) > 4.5e6
    assert between(one, "carried", "first", 12, 24) < 1e5
    assert between(one, "throughput", "messages", 13, 15) > 1.5e6
    assert between(five, "throughput", "messages", 13, 15) < 0.5e6
    assert between(five, "throughput", "messages", 20, 24) > 4.5e6
