"""Ctrl-C ends a command with 130, whatever it was doing."""

from __future__ import annotations

import pytest

from conftest import Command, Images
from liblinux.commands import cat


def test_interrupted(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cat, "_copy", interrupt)
    result = command("cat", f"{images.ext4()}:/hello.txt")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "liblinux: interrupted\n")
