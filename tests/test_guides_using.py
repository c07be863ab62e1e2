"""The guide to kernels, run as those of test_guides_building.py are."""

from __future__ import annotations

from pathlib import Path

from test_guides_building import run_guide


def test_use_a_kernel(tmp_path: Path) -> None:
    output = run_guide("use-a-kernel.md", tmp_path)
    assert "bytes differ from the image" in output
    assert "Permission denied" in output
    assert "\n1000 0\n" in output
    assert "served inside the kernel" in output
    assert "changed" in (tmp_path / "work" / "disk.img").read_bytes().decode("latin-1")  # through the mapping
