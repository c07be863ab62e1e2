"""`liblinux ls` and `tree`."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from conftest import Command, Images
from looking import LARGE_ID, MOMENT, liblinux, rich_image


@pytest.fixture(scope="module")
def rich() -> object:
    with TemporaryDirectory() as directory:
        yield rich_image(Images(Path(directory)))


def lines(text: str) -> dict[str, list[str]]:
    """The columns of `ls -l` by name."""
    rows = [line.split() for line in text.splitlines() if len(line.split()) > 6]
    return {row[row.index("->") - 1 if "->" in row else -1]: row for row in rows}


def test_names_are_sorted_and_hidden(rich: Path, command: Command) -> None:
    assert command("ls", rich).stdout.split() == ["dev", "etc", "home", "lost+found", "odd"]
    assert command("ls", f"{rich}:/home/alice").stdout == "notes\n"
    assert command("ls", "-a", f"{rich}:/home/alice").stdout == ".\n..\n.hidden\nnotes\n"
    assert command("ls", "-r", f"{rich}:/etc").stdout.split() == ["small.too", "small", "passwd", "group"]


def test_long(rich: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    rows = lines(command("ls", "-lR", "--full-time", rich).stdout)
    assert rows["notes"][:5] == ["-rw-r--r--", "1", "alice", "alice", "16384"]
    assert rows["notes"][5:8] == ["2023-11-14", "22:13:20.123456789", "+0000"]
    assert rows["large-owner"][2:4] == [str(LARGE_ID), str(LARGE_ID + 1)]
    assert rows["setuid"][0] == "-rwsr-sr-x"
    assert rows["attributes"][0] == "-rw-rw----+"
    assert rows["null"][:6] == ["crw-rw-rw-", "1", "root", "root", "1,", "3"]
    assert rows["pipe"][0] == "prw-------"
    assert rows["link"][-2:] == ["->", "../etc/small"]
    assert lines(command("ls", "-ln", f"{rich}:/home/alice").stdout)["notes"][2:4] == ["1000", "1000"]


def test_recursive_is_the_same_as_directory_by_directory(rich: Path, command: Command) -> None:
    whole = command("ls", "-iaR", rich).stdout.rstrip("\n").split("\n\n")
    assert len(whole) == 7
    for part in whole:
        path, _, listing = part.partition(":\n")
        assert listing == command("ls", "-ia", f"{rich}:{path}").stdout.rstrip("\n")


def test_sorting(rich: Path, command: Command) -> None:
    assert command("ls", "-S", f"{rich}:/etc").stdout.split()[0] == "passwd"
    assert command("ls", "-rt", f"{rich}:/home/alice").stdout.split() == ["notes"]
    assert command("ls", "-art", f"{rich}:/home/alice").stdout.split()[0] == "notes"  # the oldest by far


def test_json(rich: Path, command: Command) -> None:
    (found,) = json.loads(command("ls", "--json", f"{rich}:/home/alice").stdout)
    assert found["path"] == "/home/alice/notes"
    assert (found["mtime_ns"], found["mtime"]) == (MOMENT, "2023-11-14T22:13:20.123456789Z")
    assert (found["user"], found["uid"], found["mode"], found["size"]) == ("alice", 1000, "0644", 16384)
    null = next(
        entry for entry in json.loads(command("ls", "--json", f"{rich}:/dev").stdout) if "null" in entry["path"]
    )
    assert (null["type"], null["device"]) == ("character device", [1, 3])


def test_files_links_and_directories(rich: Path, command: Command) -> None:
    assert command("ls", f"{rich}:/home/link").stdout == "/home/link\n"
    assert command("ls", "-d", f"{rich}:/etc").stdout == "/etc\n"
    both = command("ls", f"{rich}:/etc/group", f"{rich}:/home/alice")
    assert both.stdout == "/etc/group\n\n/home/alice:\nnotes\n"


def test_one_missing_of_two(rich: Path, command: Command) -> None:
    result = command("ls", f"{rich}:/nothing", f"{rich}:/home/alice")
    assert (result.exit_code, result.stderr) == (1, "liblinux: /nothing: No such file or directory\n")
    assert "notes" in result.stdout


def test_labels(rich: Path, command: Command) -> None:
    assert "system_u:object_r:etc_t:s0" in command("ls", "-lZ", f"{rich}:/odd").stdout


def test_names_are_bytes(rich: Path) -> None:
    assert b"caf\xe9\n" in liblinux("ls", f"{rich}:/odd").stdout
    found = json.loads(liblinux("ls", "--json", f"{rich}:/odd").stdout)
    (entry,) = [entry for entry in found if "path_hex" in entry]
    assert bytes.fromhex(entry["path_hex"]) == b"/odd/caf\xe9"
    assert entry["path"].encode("utf-8", "surrogateescape") == b"/odd/caf\xe9"


def test_tree(rich: Path, command: Command) -> None:
    drawn = command("tree", f"{rich}:/home").stdout
    assert drawn == "/home\n├── alice\n│   └── notes\n└── link -> ../etc/small\n\n1 directory, 2 files\n"
    assert ".hidden" in command("tree", "-a", f"{rich}:/home").stdout
    assert command("tree", "-L", "1", "-d", rich).stdout.splitlines()[-1] == "5 directories"
    (top,) = json.loads(command("tree", "--json", f"{rich}:/home").stdout)
    assert [entry["path"] for entry in top["content"]] == ["/home/alice", "/home/link"]
    assert [entry["path"] for entry in top["content"][0]["content"]] == ["/home/alice/notes"]
