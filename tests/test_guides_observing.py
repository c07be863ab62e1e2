"""The examples of the guide to looking at a network."""

from __future__ import annotations

import os
from pathlib import Path

from test_guides_building import GUIDES, run_guide


def test_look_at_a_network(tmp_path: Path) -> None:
    output = run_guide("look-at-a-network.md", tmp_path)
    assert output.startswith("['sender1 -> receiver1:80', 'sender2 -> receiver2:80']\n60.0 packets\n5\n")
    assert "left - right: loss (0.02, 0)" in output
    assert " MB ± " in output and output.endswith("capture.html\n")
    made = {"run.html", "run.json", "run.pcapng", "run.csv", "run.svg", "queue.pdf", "cwnd.svg", "capture.html"}
    assert made <= set(os.listdir(tmp_path / "work"))
    assert (GUIDES / "look-at-a-network.png").stat().st_size < 400_000
