"""Ctrl-C ends a command with 130, whatever it was doing."""

from __future__ import annotations

import click
import pytest

from conftest import Command, Images, e2fsck
from liblinux._image_root import ImageRoot
from liblinux._os import Os
from liblinux.commands import cat
from looking import write


def test_interrupted(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cat, "_copy", interrupt)
    result = command("cat", f"{images.ext4()}:/hello.txt")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "\nliblinux: interrupted\n")


def test_interrupted_before_the_command(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its arguments are looked at, which imports it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, "make_context", interrupt)
    result = command("cat", f"{images.ext4()}:/hello.txt")
    assert (result.exit_code, result.stderr) == (130, "\nliblinux: interrupted\n")


def test_interrupted_after_the_command(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its work is done, and only what it used is put away."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Context, "close", interrupt)
    monkeypatch.setattr(click.Context, "__exit__", interrupt)
    result = command("cat", f"{images.ext4()}:/hello.txt")
    assert (result.exit_code, result.stderr) == (130, "\nliblinux: interrupted\n")


def test_the_end_of_input_is_no_interrupt(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr(click.Group, "make_context", end)
    result = command("cat", "disk.img:/")
    assert (result.exit_code, result.stderr) == (1, "\nAborted!\n")


def test_an_interrupted_change_leaves_a_clean_image(
    images: Images, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = images.ext4()
    with ImageRoot(path, writable=True) as image:
        for number in range(10):
            write(image, f"/sub/file-{number}", b"content")
    removed: list[str] = []
    unlink = Os.unlink

    def interrupted(self: Os, path: str) -> None:
        if len(removed) == 5:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(self, path)

    monkeypatch.setattr(Os, "unlink", interrupted)
    result = command("rm", "-r", f"{path}:/sub")
    assert (result.exit_code, result.stderr) == (130, "\nliblinux: interrupted\n")
    e2fsck(path)
    left = command("find", f"{path}:/sub", "-type", "f").stdout.split()
    assert len(left) == 6 and not set(left) & set(removed)
