"""`liblinux edit`: the file comes back with all that it had, in one step, or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from conftest import MIB, Command, Images, e2fsck, run
from liblinux._image_root import ImageRoot
from looking import ALICE_READS, LABEL, NET_RAW, liblinux, rich_image, write


def attributes(image: ImageRoot, path: str) -> dict[str, bytes]:
    return {name: image.os.getxattr(path, name) for name in image.os.listxattr(path)}


def test_everything_is_kept(images: Images, command: Command) -> None:
    rich = rich_image(images)
    with ImageRoot(rich, writable=True) as image:
        path = "/odd/attributes"
        write(image, path, b"old content\n")
        image.os.chown(path, 70000, 80000)
        image.os.chmod(path, 0o6771)
        image.os.setxattr(path, "system.posix_acl_access", ALICE_READS)
        image.os.setxattr(path, "security.capability", NET_RAW)
        before, values = image.os.stat(path), attributes(image, path)
        assert values["security.selinux"] == LABEL
    run("debugfs", "-w", "-R", "set_inode_field /odd/attributes flags 0x800c0", rich)
    result = command("edit", "--editor", "sed -i s/old/new/", f"{rich}:/odd/attributes")
    assert (result.exit_code, result.output) == (0, "")
    with ImageRoot(rich) as image:
        after = image.os.stat(path)
        assert image.os.read(image.os.open(path, os.O_RDONLY), 100) == b"new content\n"
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, 70000, 80000)
        assert after.st_ino != before.st_ino
        assert attributes(image, path) == values
        assert not [name for name in image.os.listdir("/odd") if "liblinux" in name]
    assert '"dA' in command("stat", "--json", f"{rich}:{path}").stdout
    e2fsck(rich)


def test_nothing_changed_nothing_written(images: Images, command: Command) -> None:
    image = images.ext4()
    before = image.read_bytes()
    result = command("edit", "--editor", "true", f"{image}:/hello.txt")
    assert (result.exit_code, result.stderr) == (0, "liblinux: nothing was changed\n")
    assert image.read_bytes() == before


def test_an_editor_that_fails(images: Images, command: Command) -> None:
    image = images.ext4()
    before = image.read_bytes()
    result = command("edit", "--editor", "false", f"{image}:/hello.txt")
    assert result.exit_code == 1 and "nothing was written" in result.stderr
    assert image.read_bytes() == before


def test_by_the_environment_and_through_a_link(images: Images) -> None:
    rich = rich_image(images)
    editor = {**os.environ, "EDITOR": "sed -i s/alice/carol/"}
    editor.pop("VISUAL", None)
    with ImageRoot(rich, writable=True) as image:
        image.os.symlink("../etc/passwd", "/home/names")
    done = liblinux("edit", f"{rich}:/home/names", environment=editor)
    assert (done.returncode, done.stderr) == (0, b"")
    with ImageRoot(rich) as image:
        assert image.os.readlink("/home/names") == "../etc/passwd"
        assert b"carol:x:1000" in image.os.read(image.os.open("/etc/passwd", os.O_RDONLY), 1000)


def test_changed_meanwhile(images: Images, command: Command, tmp_path: Path) -> None:
    image = images.ext4()
    script = tmp_path / "editor"
    script.write_text(
        f"#!/bin/sh\necho mine >> $1\necho theirs > {tmp_path}/theirs\n"
        f"debugfs -w -R 'set_inode_field /hello.txt mtime 1' {image} 2>/dev/null\n"
    )
    script.chmod(0o755)
    result = command("edit", "--editor", script, f"{image}:/hello.txt")
    assert result.exit_code == 1
    kept = re.search(r"kept in (.*)\n", result.stderr)
    assert kept is not None and "changed while it was edited" in result.stderr
    assert Path(kept[1]).read_text() == "hello from the image\nmine\n"
    Path(kept[1]).unlink()
    assert command("cat", f"{image}:/hello.txt").stdout == "hello from the image\n"


def test_hard_links(images: Images, command: Command) -> None:
    rich = rich_image(images)
    refused = command("edit", "--editor", "sed -i s/small/large/", f"{rich}:/etc/small")
    assert refused.exit_code == 1 and "2 names" in refused.stderr and "--break-links" in refused.stderr
    assert command("edit", "--break-links", "--editor", "sed -i s/small/large/", f"{rich}:/etc/small").exit_code == 0
    assert command("cat", f"{rich}:/etc/small").stdout == "large enough for an inode\n"
    assert command("cat", f"{rich}:/etc/small.too").stdout == "small enough for an inode\n"


@pytest.mark.parametrize(
    ("path", "said"), [("/dev", "Is a directory"), ("/dev/pipe", "no regular file"), ("/x", "No such")]
)
def test_what_cannot_be_edited(path: str, said: str, images: Images, command: Command) -> None:
    result = command("edit", "--editor", "true", f"{rich_image(images)}:{path}")
    assert result.exit_code == 1 and said in result.stderr


def test_a_full_image(images: Images, command: Command, tmp_path: Path) -> None:
    image = images.ext4(size=8 * MIB)
    script = tmp_path / "editor"
    script.write_text("#!/bin/sh\nhead -c 20M /dev/urandom > $1\n")
    script.chmod(0o755)
    result = command("edit", "--editor", script, f"{image}:/hello.txt")
    assert result.exit_code == 1
    said = re.search(r"No space left on device: 20M are needed, (\d+)M are missing; .* are free", result.stderr)
    assert said is not None and 12 <= int(said[1]) <= 16
    Path(re.findall(r"kept in (.*)\n", result.stderr)[0]).unlink()
    assert command("cat", f"{image}:/hello.txt").stdout == "hello from the image\n"
    assert command("ls", image).stdout.split() == ["hello.txt", "lost+found", "sub"]
    e2fsck(image)
