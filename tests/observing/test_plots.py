"""Diagrams by matplotlib, and confidence intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from observed import observed_run

from liblinux.observing import Recording, plots, read_capture

if TYPE_CHECKING:
    from pathlib import Path


def test_confidence() -> None:
    # From a table of Student's distribution: t(0.975, 4) = 2.776.
    mean, half = plots.confidence([1, 2, 3, 4, 5])
    assert mean == 3 and half == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert plots.confidence([7]) == (7, 0)
    assert plots.confidence([1, math.nan, 1]) == (1, 0)
    assert all(math.isnan(value) for value in plots.confidence([math.nan]))


def repeated(*levels: float) -> list[Recording]:
    runs = []
    for level in levels:
        run = Recording()
        run.add("load", "a", "1", [0, 1, 2], [level, 2 * level, 3 * level])
        runs.append(run)
    return runs


def test_band() -> None:
    ax = plots.plot(repeated(1, 2, 3), "load", "a")
    (line,) = ax.get_lines()
    drawn: Any = line.get_ydata()
    assert list(drawn) == [2, 4, 6]
    (band,) = ax.collections
    low, high = band.get_paths()[0].get_extents().intervaly
    # t(0.975, 2) = 4.303, of a standard deviation of 3 at the end.
    assert high == pytest.approx(6 + 4.303 * 3 / math.sqrt(3), rel=1e-3) and low < 0


@pytest.fixture
def run() -> tuple[Recording, Path]:
    return observed_run()


def test_one_run(run: tuple[Recording, Path], tmp_path: Path) -> None:
    recording = run[0]
    ax = plots.plot(recording, "cwnd")
    assert [line.get_label() for line in ax.get_lines()] == recording.names("cwnd")
    assert ax.get_ylabel() == "cwnd (segments)"
    rate = plots.plot(recording, "sent_bytes", "r -> b", rate=True, ax=ax)
    assert rate is ax
    for figure, name in (
        (plots.overview(recording), "overview.png"),
        (plots.topology(recording).get_figure(root=True), "topology.svg"),
        (plots.sequence(read_capture(run[1]).flows[0]).get_figure(root=True), "sequence.png"),
    ):
        assert figure is not None
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.overview(Recording())
    with pytest.raises(ValueError, match="no recording"):
        plots.plot([], "cwnd")
    with pytest.raises(KeyError, match="cwnd"):
        plots.plot(Recording(), "cwnd")
