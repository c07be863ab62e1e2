"""The Python examples of the README run, one after the other, on a real image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import Images, e2fsck

README = Path(__file__).resolve().parent.parent / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_examples(images: Images, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLES) == README.read_text().count("```python")
    monkeypatch.chdir(images.directory)
    image = images.ext4("disk.img")
    etc = images.directory / "content" / "etc"
    etc.mkdir()
    (etc / "hostname").write_text("penguin\n")
    image = images.ext4("disk.img")

    scope: dict[str, object] = {"__name__": "readme"}
    for number, example in enumerate(EXAMPLES, 1):
        # What a reader would paste.
        exec(compile(example, f"README.md, example {number}", "exec"), scope)  # noqa: S102
    output = capsys.readouterr().out
    assert "penguin" in output
    assert "Permission denied" in output
    assert "bytes differ from the image" in output
    assert "1000 0" in output
    assert "served inside the kernel" in output
    e2fsck(image)
