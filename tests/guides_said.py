"""What the examples of the guides on virtual time print and leave; test_examples_repeat.py runs these guides, twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["SAID"]

# With the hash seed in front, since there is one in the environment.
AGAIN = re.compile(r"^again: .*pytest 'test_orders\.py::test_every_order_is_booked_once\[seed\d+\]'", re.MULTILINE)


def _files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def experiments(output: str, directory: Path) -> None:
    assert "exit status 2" in output
    assert "link.bottleneck.queue,flow.bulk.congestion,seed,flow,kind" in output
    assert "packets waited" in output
    assert _files(directory) == {
        "first.toml", "wrong.toml", "results.csv", "samples.parquet", "first.svg", "short.png"
    }  # fmt: skip


def find_a_bug_by_seeds(output: str, directory: Path) -> None:
    assert "found: a does not find b" in output
    assert "[0.0, " in output
    assert "the smallest schedule that fails as well (2, " in output


def look_at_a_network(output: str, directory: Path) -> None:
    assert output.startswith("['sender1 -> receiver1:80', 'sender2 -> receiver2:80']\n60.0 packets\n5\n")
    assert "left - right: loss (0.02, 0)" in output
    assert " MB ± " in output and output.endswith("capture.html\n")
    made = {"run.html", "run.json", "run.pcapng", "run.csv", "run.svg", "queue.pdf", "cwnd.svg", "capture.html"}
    assert made <= _files(directory)


def networks(output: str, directory: Path) -> None:
    assert "5 of 5 answered" in output
    assert "a:eth0" in output and "IP / TCP" in output
    assert "all of it, after" in output


def a_service_with_pytest(output: str, directory: Path) -> None:
    ((failed, passed),) = re.findall(r"^(\d+) failed, (\d+) passed", output, re.MULTILINE)
    assert int(failed) + int(passed) == 20
    assert AGAIN.search(output)
    assert re.findall(r"^(\d+) passed", output, re.MULTILINE) == ["20", "20", "3"]
    assert len(re.findall(r"^ +\d+\.\d{6}  from port \d+: b'1\\n'$", output, re.MULTILINE)) > 10, "an order came twice"


# By guide: told what it printed and the directory that it left.
SAID: dict[str, Callable[[str, Path], None]] = {
    "experiments.md": experiments,
    "find-a-bug-by-seeds.md": find_a_bug_by_seeds,
    "look-at-a-network.md": look_at_a_network,
    "networks.md": networks,
    "test-a-service-with-pytest.md": a_service_with_pytest,
}
