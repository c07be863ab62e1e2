"""The examples of the guide to networks."""

from __future__ import annotations

from pathlib import Path

from test_guides_building import run_guide


def test_networks(tmp_path: Path) -> None:
    output = run_guide("networks.md", tmp_path)
    assert "5 of 5 answered" in output
    assert "a:eth0" in output and "IP / TCP" in output
    assert "all of it, after" in output
