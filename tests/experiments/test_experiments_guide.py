"""The examples of the guide to experiments."""

from __future__ import annotations

from pathlib import Path

from test_guides_building import run_guide


def test_experiments(tmp_path: Path) -> None:
    output = run_guide("experiments.md", tmp_path)
    assert "exit status 2" in output
    assert "link.bottleneck.queue,flow.bulk.congestion,seed,flow,kind" in output
    assert "packets waited" in output
    made = {path.name for path in (tmp_path / "work").iterdir()}
    assert made == {"first.toml", "wrong.toml", "results.csv", "samples.parquet", "first.svg", "short.png"}
