"""`liblinux stat`: everything that a file has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import Command, Images, run
from looking import ALICE_READS, LABEL, MOMENT, NET_RAW, liblinux, rich_image


def described(command: Command, *arguments: object) -> dict[str, Any]:
    (found,) = json.loads(command("stat", "--json", *arguments).stdout)
    assert isinstance(found, dict)
    return found


def test_stat(images: Images, command: Command) -> None:
    rich = rich_image(images)
    notes = described(command, f"{rich}:/home/alice/notes")
    assert (notes["atime_ns"], notes["mtime_ns"]) == (MOMENT + 1, MOMENT)
    assert notes["btime_ns"] > MOMENT
    assert notes["extents"] == 1
    odd = described(command, f"{rich}:/odd/attributes")
    assert odd["acl"] == ["user::rw-", "user:alice:r--", "group::r--", "mask::rw-", "other::---"]
    assert odd["selinux"] == "system_u:object_r:etc_t:s0"
    assert odd["capabilities"] == "cap_net_raw=ep"
    assert odd["xattrs"]["user.comment"] == {"hex": b"as text".hex(), "text": "as text"}
    assert odd["xattrs"]["user.binary"] == {"hex": "00ff01"}
    assert bytes.fromhex(odd["xattrs"]["system.posix_acl_access"]["hex"]) == ALICE_READS
    assert bytes.fromhex(odd["xattrs"]["security.selinux"]["hex"]) == LABEL
    assert bytes.fromhex(odd["xattrs"]["security.capability"]["hex"]) == NET_RAW
    assert described(command, f"{rich}:/odd/sparse")["extents"] == 2
    assert described(command, f"{rich}:/etc/small")["flags"] == ["inline data"]
    assert described(command, f"{rich}:/dev/sda")["device"] == [8, 0]
    assert described(command, f"{rich}:/home/link")["target"] == "../etc/small"
    assert described(command, "-L", f"{rich}:/home/link")["path"] == "/etc/small"
    shown = command("stat", f"{rich}:/odd/attributes", f"{rich}:/dev/null").stdout
    for text in ("user:alice:r--", "cap_net_raw=ep", "user.comment=as text", "user.binary=0x00ff01", "device 1, 3"):
        assert text in shown


def test_flags_are_those_of_lsattr(images: Images, command: Command) -> None:
    image = images.ext4()
    run("debugfs", "-w", "-R", "set_inode_field /hello.txt flags 0x800f8", image)
    assert described(command, f"{image}:/hello.txt")["flag_letters"] == "SiadAe"


def test_a_name_that_is_not_utf8(images: Images) -> None:
    rich = rich_image(images)
    done = liblinux("stat", f"{rich}:/odd/caf\udce9")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"/odd/caf\xe9\n" in done.stdout


def test_fat_has_less_to_say(images: Images, command: Command) -> None:
    path = images.empty()
    run("mkfs.fat", path)
    assert command("touch", f"{path}:/file").exit_code == 0
    found = described(command, f"{path}:/file")
    assert found["btime_ns"] > MOMENT
    assert found["xattrs"] == {} and "acl" not in found


def test_several_and_patterns(images: Images, command: Command) -> None:
    image = images.ext4()
    result = command("stat", "--json", f"{image}:/*.txt", f"{image}:/nothing*")
    assert [entry["path"] for entry in json.loads(result.stdout)] == ["/hello.txt"]
    assert (result.exit_code, result.stderr) == (1, "liblinux: /nothing*: nothing in the image matches this pattern\n")
    assert Path(image).exists()
