"""docs/COMMANDS.md: its table is what the commands are, and exit codes and keys are those that it names."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import click
import pytest

from conftest import Command, Images
from liblinux.cli import COMMANDS, cli
from looking import rich_image

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs" / "COMMANDS.md"
CONTEXT = click.Context(cli)
ON_TARGETS = ["cat", "du", "edit", "find", "hexdump", "ls", "mkdir", "rm", "stat", "touch", "tree"]


def test_the_table_is_current() -> None:
    place = importlib.util.spec_from_file_location("commands", ROOT / "dev" / "commands.py")
    assert place is not None and place.loader is not None
    writer = importlib.util.module_from_spec(place)
    place.loader.exec_module(writer)
    text = DOCUMENT.read_text()
    assert text == writer.written(text), "run .venv/bin/python dev/commands.py"
    assert text.count("\n| `") >= len(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_and_wrong_usage(name: str, command: Command) -> None:
    shown = command(name, "--help")
    assert shown.exit_code == 0
    assert "Examples:" in shown.stdout
    assert command(name, "--no-such-option").exit_code == 2


@pytest.mark.parametrize("name", ON_TARGETS)
def test_failure(name: str, images: Images, command: Command) -> None:
    assert command(name, f"{images.directory}/none.img:/x").exit_code == 1


def test_keys(images: Images, command: Command) -> None:
    text = DOCUMENT.read_text()
    documented = set(re.findall(r"`([a-z_]+)`", text[text.index("## What `--json` prints") :]))
    rich = rich_image(images)
    keys: set[str] = set()
    for path in ("/odd/*", "/dev/*", "/home/*", "/home/alice/*"):
        for entry in json.loads(command("stat", "--json", f"{rich}:{path}").stdout):
            keys |= entry.keys()
    keys |= json.loads(command("tree", "--json", rich).stdout)[0].keys()
    keys |= json.loads(command("du", "--json", rich).stdout)[0].keys()
    keys |= json.loads(command("hexdump", "--extents", "--json", f"{rich}:/odd/sparse").stdout)[0].keys()
    assert keys - documented == set()
    assert documented - keys == {"default_acl", "hex", "text", "ls", "find", "stat", "tree", "du", "lsattr"}
