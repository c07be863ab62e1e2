"""Fuzzing with damaged images: what the campaign finds, says and survives."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import liblinux
from conftest import Images, run
from liblinux import cli
from liblinux.imagefuzz import Campaign, Change, Outcome, Tally, Target, _worker, apply
from liblinux.imagefuzz._checksums import crc32c, units
from liblinux.imagefuzz._mutation import Mutator
from until import LONG_SECONDS


@pytest.fixture
def target(images: Images) -> Target:
    return Target.of(images.ext4(size=8 << 20))


def test_most_of_what_is_damaged_is_refused_or_passes(target: Target) -> None:
    tally = Tally()
    for outcome in Campaign(target).run(range(40)):
        tally.add(outcome)
    assert tally.tried == 40
    assert tally.results["refused"] > 0
    assert tally.results["passed"] > 0
    assert tally.mounted == tally.results["passed"]
    assert not tally.findings


def test_a_seed_gives_the_same_outcome_again(target: Target) -> None:
    campaign = Campaign(target)
    first, second = ([_lasting(outcome) for outcome in campaign.run(range(12))] for _ in range(2))
    assert first == second
    assert [outcome.seed for outcome in first] == list(range(12))


def _lasting(outcome: Outcome) -> Outcome:
    outcome.seconds = 0.0
    return outcome


def test_several_workers_try_every_seed_once(target: Target) -> None:
    assert sorted(outcome.seed for outcome in Campaign(target, jobs=3).run(range(20))) == list(range(20))


def test_the_image_is_not_changed(target: Target) -> None:
    before = Path(target.image).read_bytes()
    assert len(list(Campaign(target).run(range(5)))) == 5
    assert Path(target.image).read_bytes() == before


def test_areas_are_where_the_file_system_is(target: Target) -> None:
    areas = Campaign(target).areas
    assert 0 in areas.mount  # the super block is at 1024
    assert areas.listing and areas.content
    assert not set(areas.mount) & set(areas.listing)
    blocks = {block * 4096 for block in (*areas.mount, *areas.listing, *areas.content)}
    with target.buffer() as buffer:
        data = buffer.find(bytes(range(256)) * 16)
    assert data & ~4095 in blocks  # of sub/data.bin


def test_changes_are_undone(target: Target) -> None:
    campaign = Campaign(target)
    with target.buffer() as buffer:
        before = bytes(buffer)
        mutator = Mutator(buffer, campaign.areas, target.type)
        for seed in range(50):
            undo = apply(buffer, mutator.changes(seed))
            apply(buffer, undo)
        assert bytes(buffer) == before


def test_checksums_are_put_right(target: Target) -> None:
    campaign = Campaign(target)
    right = wrong = 0
    with target.buffer() as buffer:
        mutator = Mutator(buffer, campaign.areas, target.type)
        (unit,) = units("ext4", buffer, 1024)
        assert unit.is_sealed(buffer)
        for seed in range(300):
            undo = apply(buffer, mutator.changes(seed))
            if undo and any(1024 <= change.offset < 2048 for change in undo):
                right += unit.is_sealed(buffer)
                wrong += not unit.is_sealed(buffer)
            apply(buffer, undo)
    assert right > 2 * wrong > 0


def test_crc32c() -> None:
    assert crc32c(b"123456789") ^ 0xFFFFFFFF == 0xE3069283  # the check value of its catalogue entry


def test_apply_gives_what_undoes_it() -> None:
    buffer = bytearray(b"0123456789")
    undo = apply(buffer, [Change(2, b"xx"), Change(3, b"yyy")])
    assert buffer == b"01xyyy6789"
    apply(buffer, undo)
    assert buffer == b"0123456789"


class _Bad(_worker.Worker):
    """A worker to which something happens at seed 3."""

    bad_signal = signal.SIGKILL

    def start(self, seed: int) -> None:
        if seed == 3:
            assert self._process.pid is not None
            os.kill(self._process.pid, self.bad_signal)
        super().start(seed)


class _Stopped(_Bad):
    bad_signal = signal.SIGSTOP


def test_the_death_of_a_worker_is_an_outcome(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblinux.imagefuzz._campaign.Worker", _Bad)
    outcomes = {outcome.seed: outcome for outcome in Campaign(target).run(range(6))}
    assert sorted(outcomes) == list(range(6))
    assert outcomes[3].result == "death"
    assert "exit status -9" in outcomes[3].detail
    assert outcomes[3].reproduced is True  # it was killed again
    assert {outcomes[seed].result for seed in (0, 1, 2, 4, 5)} <= {"refused", "passed"}


def test_a_worker_that_hangs_is_ended(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblinux.imagefuzz._campaign.Worker", _Stopped)
    campaign = Campaign(target, timeout_seconds=1.0)
    start = time.monotonic()
    outcomes = {outcome.seed: outcome for outcome in campaign.run(range(5), confirm=False)}
    assert sorted(outcomes) == list(range(5))
    assert outcomes[3].result == "hang"
    assert time.monotonic() - start < LONG_SECONDS


def test_a_panic_is_an_outcome(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without our option the image decides: this one wants a panic at the first error.
    path = Path(target.image)
    run("tune2fs", "-e", "panic", path)
    wild = Target.of(path, options="")
    campaign = Campaign(wild)
    panics = [outcome for outcome in campaign.run(range(25), confirm=False) if outcome.result == "panic"]
    assert panics
    assert all("panic" in outcome.detail for outcome in panics)
    (again,) = campaign.run([panics[0].seed])
    assert again.reproduced is True


def test_what_cannot_be_mounted_is_no_target(images: Images) -> None:
    with pytest.raises(ValueError, match=r"no file system that is known.*--no-partition-table"):
        Target.of(images.empty())
    with pytest.raises(liblinux.MountError):
        Campaign(Target.of(images.empty(), type="ext4"))


def test_command(target: Target, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.cli, ["imagefuzz", target.image, "-n", "8", "--json"])
    assert result.exit_code == 0, result.output
    total = json.loads(result.stdout.splitlines()[-1])
    assert total["tried"] == 8
    assert total["refused"] + total["passed"] == 8
    result = CliRunner().invoke(cli.cli, ["imagefuzz", target.image, "-n", "3"])
    assert result.exit_code == 0, result.output
    assert "tried" in result.output


def test_command_with_findings(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblinux.imagefuzz._campaign.Worker", _Bad)
    found = tmp_path / "found"
    result = CliRunner().invoke(cli.cli, ["imagefuzz", target.image, "-s", "2", "-n", "2", "--save", str(found)])
    assert result.exit_code == 1
    (kept,) = found.iterdir()
    assert kept.name.endswith("-3-death.img")
    assert kept.stat().st_size == Path(target.image).stat().st_size
    assert kept.read_bytes() != Path(target.image).read_bytes()


def test_command_on_no_image(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    result = CliRunner().invoke(cli.cli, ["imagefuzz", str(tmp_path / "zeros")])
    assert result.exit_code == 2
    assert "no file system that is known" in result.output
