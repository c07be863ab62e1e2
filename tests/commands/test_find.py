"""`liblinux find` beside find(1), `du` beside du(1), on a tree that is on the host and in an image."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Command, Images, run
from looking import NOT_UTF8, liblinux, rich_image

HOUR = 3600


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A directory, and an image with the same in it; times of whole seconds, as mke2fs copies them."""
    top = tmp_path_factory.mktemp("find")
    source = top / "source"
    (source / "etc" / "deep" / "er").mkdir(parents=True)
    (source / "empty").mkdir()
    now = int(time.time())
    for at, (name, size, mode) in enumerate(
        [
            ("a.conf", 0, 0o644),
            ("B.CONF", 513, 0o600),
            ("c.txt", 4096, 0o4755),
            ("big", 1 << 20, 0o640),
            (".dot", 5, 0o444),
        ]
    ):
        for directory in ("etc", "etc/deep/er"):
            path = source / directory / name
            path.write_bytes(b"x" * size)
            path.chmod(mode)
            os.utime(path, (now, now - at * 20 * HOUR - HOUR))
    (source / "etc" / "link").symlink_to("a.conf")
    os.link(source / "etc" / "big", source / "etc" / "deep" / "big.again")
    os.mkfifo(source / "etc" / "fifo")
    image = top / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    run("mkfs.ext4", "-q", "-F", "-d", source, image)
    return source, image


@pytest.mark.parametrize(
    "conditions",
    [
        [],
        ["-name", "*.conf"],
        ["-iname", "*.conf"],
        ["-path", "*deep*"],
        ["-type", "f"],
        ["-type", "l,p"],
        ["-type", "d", "-empty"],
        ["-empty"],
        ["-type", "f", "-size", "0"],
        ["-type", "f", "-size", "1"],
        ["-type", "f", "-size", "+1k"],
        ["-type", "f", "-size", "-2k"],
        ["-size", "513c"],
        ["-size", "1M"],
        ["-type", "f", "-mtime", "0"],
        ["-mtime", "+1", "-type", "f"],
        ["-mtime", "-3", "-type", "f"],
        ["-type", "f", "-mmin", "-90"],
        ["-type", "f", "-newer", "etc/c.txt"],
        ["-perm", "644"],
        ["-perm", "-4000"],
        ["-perm", "/022"],
        ["-perm", "u=rw,g=r"],
        ["-type", "f", "-links", "+1"],
        ["-maxdepth", "1"],
        ["-maxdepth", "0"],
        ["-mindepth", "2", "-maxdepth", "3", "-name", "a*"],
        ["-user", str(os.getuid()), "-type", "f"],
        ["-user", "4711"],
    ],
)
def test_find_as_find(tree: tuple[Path, Path], conditions: list[str], command: Command) -> None:
    source, image = tree
    host = subprocess.run(["find", ".", *conditions, "-print0"], cwd=source, capture_output=True, check=True)
    expected = {name.decode().removeprefix(".").removeprefix("/") for name in host.stdout.split(b"\0") if name}
    ours = command("find", image, *conditions, "--print0")
    assert ours.exit_code == 0
    found = {name.removeprefix("/") for name in ours.stdout.split("\0")[:-1]}
    assert {name for name in found if name != "lost+found"} == expected


def test_regex_json_and_targets(tree: tuple[Path, Path], command: Command) -> None:
    _, image = tree
    found = json.loads(command("find", image, "--regex", r"/etc/[a-c]\..*", "--json").stdout)
    assert sorted(entry["path"] for entry in found) == ["/etc/a.conf", "/etc/c.txt"]
    targets = command("find", f"{image}:/etc", "-name", ".dot", "-H").stdout.split()
    assert f"{image}:/etc/.dot" in targets
    assert command("cat", *targets).stdout == "xxxxx" * len(targets)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["--size", "1Q"], "--size 1Q"),
        (["--size", "k"], "--size"),
        (["--type", "q"], "'q' is none of"),
        (["--regex", "("], "--regex"),
        (["--user", "nobody-here"], "/etc/passwd knows no user"),
        (["--perm", "9"], "is no mode"),
        (["--newermt", "yesterday"], "is no date"),
    ],
)
def test_wrong_conditions(tree: tuple[Path, Path], conditions: list[str], said: str, command: Command) -> None:
    result = command("find", tree[1], *conditions)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_names_of_the_image(images: Images) -> None:
    rich = rich_image(images)
    assert liblinux("find", rich, "-user", "alice", "-print0").stdout == b"/home/alice/notes\0"
    assert NOT_UTF8 + b"\0" in liblinux("find", f"{rich}:/odd", "-print0").stdout
    assert liblinux("find", f"{rich}:/odd", "-name", "caf?").stdout == NOT_UTF8 + b"\n"


def sums(text: str) -> dict[str, int]:
    return {path: int(size) for size, path in (line.split("\t") for line in text.splitlines())}


def test_du_as_du(tree: tuple[Path, Path], command: Command, tmp_path: Path) -> None:
    source, image = tree
    apparent = sums(command("du", "-ab", f"{image}:/etc").stdout)
    host = sums(run("du", "-ab", source / "etc"))
    files = {path.removeprefix(str(source)): size for path, size in host.items() if os.path.isfile(path)}
    # One of the two names of a file counts, and which one is met first is the host's choice.
    linked = {"/etc/big", "/etc/deep/big.again"}
    assert {path: size for path, size in apparent.items() if path in files and path not in linked} == {
        path: size for path, size in files.items() if path not in linked
    }
    assert sum(size for path, size in apparent.items() if path in linked) == 1 << 20
    blocks = sum(int(run("debugfs", "-R", f"stat {path}", image).split("Blockcount: ")[1].split()[0]) for path in (
        "/etc", "/etc/deep", "/etc/deep/er", "/etc/big", "/etc/B.CONF", "/etc/c.txt", "/etc/.dot", "/etc/deep/er/big",
        "/etc/deep/er/B.CONF", "/etc/deep/er/c.txt", "/etc/deep/er/.dot",
    ))  # fmt: skip
    assert command("du", "-s", f"{image}:/etc").stdout == f"{blocks // 2}\t/etc\n"


def test_du_shapes(tree: tuple[Path, Path], command: Command) -> None:
    _, image = tree
    assert [line.split("\t")[1] for line in command("du", "-d", "1", f"{image}:/etc").stdout.splitlines()] == [
        "/etc/deep",
        "/etc",
    ]
    rows = json.loads(command("du", "--json", "-s", f"{image}:/etc", f"{image}:/empty").stdout)
    assert [row["path"] for row in rows] == ["/etc", "/empty"]
    total = command("du", "-sc", f"{image}:/etc", f"{image}:/empty").stdout.splitlines()[-1]
    assert total == f"{sum(row['size'] for row in rows) // 1024}\ttotal"
    assert command("du", "-sh", f"{image}:/etc/c.txt").stdout == "4.0K\t/etc/c.txt\n"
