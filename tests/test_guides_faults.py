"""The examples of the guide to faults and seeds."""

from __future__ import annotations

from pathlib import Path

from test_guides_building import run_guide


def test_find_a_bug_by_seeds(tmp_path: Path) -> None:
    output = run_guide("find-a-bug-by-seeds.md", tmp_path)
    assert "found: a does not find b" in output
    assert "[0.0, " in output
    assert "the smallest schedule that fails as well (2, " in output
