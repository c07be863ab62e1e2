"""The examples of the guide to testing services."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_guides_building import run_guide

TEST = "test_orders.py::test_every_order_is_booked_once"


@pytest.mark.timeout(300)  # sixty tests under other seeds, and nine starts of Python
def test_a_service_with_pytest(tmp_path: Path) -> None:
    output = run_guide("test-a-service-with-pytest.md", tmp_path)
    ((failed, passed),) = re.findall(r"^(\d+) failed, (\d+) passed", output, re.MULTILINE)
    assert int(failed) + int(passed) == 20
    assert f"again: pytest '{TEST}[seed" in output
    assert re.findall(r"^(\d+) passed", output, re.MULTILINE) == ["20", "20", "3"]
    assert len(re.findall(r"^ +\d+\.\d{6}  from port \d+: b'1\\n'$", output, re.MULTILINE)) > 10, "an order came twice"
