"""The full build of a kernel from its source."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from measure import OURS, Row, at_most
from programs import timed
from subjects import Bench

BUILD_SECONDS = 600.0


def measure(bench: Bench) -> list[Row]:
    """Only with --build: it takes minutes and all processors."""
    figures = {}
    if bench.build:
        with tempfile.TemporaryDirectory() as directory:
            command = Path(sys.executable).with_name("liblinux")
            figures[OURS] = timed([command, "build", "--force", "--output", directory])
    note = "" if bench.build else "not measured; run with --build"
    title = f"full kernel build on {os.cpu_count()} cores"
    return [Row("build", title, "s", f"{BUILD_SECONDS:g} s", figures, at_most(figures, BUILD_SECONDS), note=note)]
