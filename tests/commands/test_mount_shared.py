"""`liblinux mount --rw` used by several programs at once: each finds what it has made, and the image has it all."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import fuse_mounts
import liblinux
from conftest import MIB, Images, e2fsck

pytestmark = pytest.mark.skipif(
    bool(fuse_mounts.why_not()), reason="no mounts here; tests/commands/test_mount_refused.py runs"
)

PROGRAMS = 4
# Makes, changes, renames, links and removes files of its own in a directory of all, and compares them with what it
# remembers of them; says at the end what there must be.
PROGRAM = """
import json, os, random, sys
top, seed = sys.argv[1], sys.argv[2]
chance, known, held = random.Random(seed), {}, {}
for turn in range(400):
    name = f"{seed}-{chance.randrange(12)}"
    path, other = f"{top}/{name}", f"{seed}-{chance.randrange(12)}"
    what = chance.choice(["write", "write", "append", "read", "rename", "link", "unlink", "hold", "list"])
    if what == "write":
        with open(path, "w" if name in known else "x") as file:
            file.write(f"{turn} " * chance.randrange(5000))
            known.setdefault(name, [None])[0] = None
        known[name][0] = open(path).read()
    elif what == "hold" and name in known and name not in held:
        held[name] = open(path), known[name]
    elif what == "list":
        assert {found for found in os.listdir(top) if found.startswith(seed + "-")} == set(known), known.keys()
    elif name not in known:
        assert not os.path.lexists(path)
    elif what == "append":
        with open(path, "a") as file:
            file.write("more")
        known[name][0] += "more"
    elif what == "read":
        assert open(path).read() == known[name][0]
    elif what == "rename" and other != name:
        os.rename(path, f"{top}/{other}")
        if known.get(other) is not known[name]:
            known[other] = known.pop(name)
    elif what == "link" and other not in known:
        os.link(path, f"{top}/{other}")
        known[other] = known[name]
    elif what == "unlink":
        os.unlink(path)
        del known[name]
for file, content in held.values():
    assert file.read() == content[0]
print(json.dumps({name: content[0] for name, content in known.items()}))
"""


def test_programs_that_change_a_directory_together(images: Images) -> None:
    image = images.ext4(size=32 * MIB)
    with fuse_mounts.mounted(image, "--rw") as top:
        wanted = _together(top / "sub", [str(number) for number in range(PROGRAMS)])
    e2fsck(image)
    with liblinux.open_image(image) as inside:
        for name, content in wanted.items():
            assert inside.cat(f"/sub/{name}").decode() == content
        assert set(wanted) | {"data.bin"} == set(inside.os.listdir("/sub"))


def _together(directory: Path, seeds: list[str]) -> dict[str, str]:
    import json

    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(directory), seed],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in seeds
    ]  # fmt: skip
    wanted: dict[str, str] = {}
    for program in programs:
        said, wrong = program.communicate()
        assert program.returncode == 0, wrong
        wanted |= json.loads(said)
    return wanted


def test_readers_of_one_file(images: Images) -> None:
    source = images.directory / "source"
    source.mkdir()
    content = random.Random(4).randbytes(8 * MIB + 5)
    (source / "file").write_bytes(content)
    image = images.directory / "image.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", source, image, "32M"], check=True)
    with fuse_mounts.mounted(image) as top:
        readers = [subprocess.Popen(["cmp", source / "file", top / "file"]) for _ in range(PROGRAMS)]
        assert [reader.wait() for reader in readers] == [0] * PROGRAMS
