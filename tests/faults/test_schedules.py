"""Schedules of faults as values: printed, kept as JSON, drawn, bound to a network, and what is wrong with them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from full_disk import full_disk
from liblinux import Network
from liblinux.network.faults import (
    Call,
    ClockRate,
    ClockStep,
    Draw,
    Drop,
    Heal,
    Intercept,
    Kill,
    LinkDown,
    LinkSet,
    LinkUp,
    Partition,
    Pause,
    Restart,
    Resume,
    Schedule,
)

_DROP_ALL = "1,6 0 0 262144"
EVERYTHING = Schedule(
    Heal(at=2.5),
    Partition(at=1, hosts=("a",)),
    LinkDown(at=3, link=("a", "s")),
    LinkUp(at=4, link=("a", "s")),
    LinkSet(at=5, link=("s", "b"), loss=0.0, delay=(0.01, 0.02)),
    Drop(at=6, link=("a", "s"), program=_DROP_ALL, toward="a", seconds=1.0),
    Intercept(at=7, link=("a", "s"), function="test_schedules:let_pass", seconds=0.5),
    Kill(at=8, host="a", how="power"),
    Restart(at=9, host="a"),
    Pause(at=10, host="b", silent=True),
    Resume(at=11, host="b"),
    ClockStep(at=12, host="a", seconds=-5.0),
    ClockRate(at=13, host="a", rate=1.5),
    Call(at=14, function="test_schedules:note"),
)
noted: list[float] = []


def let_pass(frame: bytes) -> bytes:
    """Do nothing to a frame."""
    return frame


def note(net: Network) -> None:
    """Something of one's own."""
    noted.append(net.kernel.now() / 1e9)


def network(**options: Any) -> Network:
    net = Network(clock="virtual", seed=1, **options)
    switch = net.switch("s")
    for name in "ab":
        net.link(net.host(name), switch)
    return net


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text("before")
    with pytest.raises(OSError, match="too large"), full_disk(100):
        EVERYTHING.save(path)
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def test_a_schedule_is_a_value(tmp_path: Path) -> None:
    text = json.dumps(EVERYTHING.as_json())
    # Pairs are lists in JSON, and are as good.
    assert json.dumps(Schedule.from_json(json.loads(text)).as_json()) == text
    EVERYTHING.save(tmp_path / "all.json")
    loaded = Schedule.load(tmp_path / "all.json")
    assert str(loaded).splitlines()[0] == "  1.000000 s  partition a"
    assert "  8.000000 s  kill a" in str(loaded).splitlines()
    assert [fault.at for fault in loaded] == sorted(fault.at for fault in EVERYTHING)
    assert Schedule(Heal(at=1)) == Schedule(Heal(at=1)) != Schedule(Heal(at=2))


def test_everything_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    hashes = set()
    for _ in range(2):
        with network() as net, net.capture(tmp_path / "x.pcapng"):
            net.play(Schedule.from_json(EVERYTHING.as_json()))
            reached: list[int] = []

            async def main(net: Network = net, reached: list[int] = reached) -> None:
                for second in range(16):
                    await asyncio.sleep(second + 0.7 - asyncio.get_running_loop().time())
                    reached.append(net.ping("a", "b", timeout=0.2).received)
                assert net._faults.detours == {}

            net.run(main())
            # Cut by the partition, the cable, the filter, the death, and the silent pause of b.
            assert [second for second, received in enumerate(reached) if not received] == [1, 3, 6, 8, 10]
        hashes.add(hashlib.sha256((tmp_path / "x.pcapng").read_bytes()).hexdigest())
    assert len(hashes) == 1, "the same faults, the same bytes"
    assert len(noted) == 2 and noted[0] == noted[1] == pytest.approx(14, abs=1e-3)


def test_schedules_are_drawn_from_a_seed() -> None:
    kinds = ("partition", "kill", "pause", "clock", "link", "slow")
    drawn = []
    for seed in (1, 1, 2):
        with network() as net:
            drawn.append(Draw(seed, kinds, most=20, until=50).bind(net))
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(0 <= fault.at <= 50.1 for one in drawn for fault in one)
    with network() as net:
        only = net.play(Draw(3, ("kill",), most=20), hosts=["b"])
        assert {fault.host for fault in only if isinstance(fault, Kill | Restart)} == {"b"}
        net.run(asyncio.sleep(30))
        assert net.hosts["b"].alive


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "a schedule is"),
        ({"faults": [], "more": 1}, "a schedule is"),
        ({"faults": [1]}, "fault 1 is no object"),
        ({"faults": [{"at": 1, "do": "frogs"}]}, "fault 1: there is no 'frogs' to do; there are partition"),
        ({"faults": [{"at": 1, "do": "heal"}, {"do": "heal"}]}, "fault 2: heal needs 'at'"),
        ({"faults": [{"at": 1, "do": "heal", "host": "a"}]}, "fault 1: heal has no 'host'"),
        ({"faults": [{"at": -1, "do": "heal"}]}, "is no time"),
        ({"faults": [{"at": 1, "do": "partition", "hosts": "a"}]}, "list of names"),
        ({"faults": [{"at": 1, "do": "link_up", "link": ["a"]}]}, "two ends"),
    ],
)
def test_what_is_no_schedule(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule.from_json(value)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Kill(at=1, host="x"), KeyError, "no host 'x'"),
        (Kill(at=1, host="a", how="softly"), ValueError, "killed by one of"),
        (Partition(at=1, hosts=("a", "x")), KeyError, "no host 'x'"),
        (Partition(at=1, hosts=("a", "a")), ValueError, "twice"),
        (LinkDown(at=1, link=("a", "b")), KeyError, "no link 0 between a and b: there are 0; links are a - s, b - s"),
        (LinkSet(at=1, link=("a", "s"), loss=2), ValueError, "chance"),
        (Drop(at=1, link=("a", "s"), program="frogs"), ValueError, "bytecode"),
        (Intercept(at=1, link=("a", "s"), function="frogs"), ValueError, "module:name"),
        (Call(at=1, function="os:frogs"), ValueError, "no function"),
        (ClockRate(at=1, host="a", rate=0), ValueError, "forward"),
    ],
)
def test_faults_that_do_not_fit(fault: Any, kind: type[Exception], said: str) -> None:
    with network() as net, pytest.raises(kind, match=said):
        net.play(Schedule(Heal(at=0.5), fault))


def test_times_in_the_past() -> None:
    async def main(net: Network) -> None:
        await asyncio.sleep(5)
        net.play(Schedule(Heal(at=6)))
        net.play(Schedule(Heal(at=4)))

    with network() as net, pytest.raises(ValueError, match=r"4 s is in the past: the network's clock is at 5\.0"):
        net.run(main(net))


def test_a_schedule_beside_threads() -> None:
    with network() as net:
        net.play(Schedule(Partition(at=1, hosts=("a",)), Heal(at=5)))
        seen: list[bool] = []

        def look() -> None:
            for _ in range(4):
                time.sleep(2)
                seen.append(bool(net.ping("a", "b", timeout=0.01).received))

        net.hosts["a"].run_blocking(look)
        # The third may still wait for an answer to the question for an address.
        assert seen[:2] == [False, False] and seen[3]
