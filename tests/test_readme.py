"""The Python examples of the README run, one after the other, on a real image; so does that of packetdrill."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Images, e2fsck

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = BLOCK.findall(README.read_text())
# Of links to files and headings; others are addresses.
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)")


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
    assert "3 of 3 answered" in output
    assert "ext4 on Linux " in output and "none failed" in output
    e2fsck(image)


def test_of_pytest(tmp_path: Path) -> None:
    """With the functions that it has from the example of networks: a hundred seeds are a hundred tests."""
    (network,) = (example for example in EXAMPLES if "async def shout" in example)
    (test,) = (example for example in EXAMPLES if "liblinux_seeds" in example)
    (tmp_path / "test_it.py").write_text(network.partition("\nwith liblinux.Network")[0] + test)
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0 and "100 passed" in done.stdout, done.stdout + done.stderr


def test_packetdrill_from_python() -> None:
    (example,) = BLOCK.findall((ROOT / "docs" / "PACKETDRILL.md").read_text())
    exec(compile(example, "PACKETDRILL.md", "exec"), {})  # noqa: S102 - as above


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for path, heading in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        if heading and target.suffix == ".md":
            assert heading[1:] in _headings(target.read_text()), f"{path}{heading}"


def _headings(text: str) -> set[str]:
    """What GitHub makes of them."""
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
