"""Makes what tests/test_lvm.py starts from: the first megabyte of four physical volumes, written by lvm2 itself.

    sudo python3 tests/lvm/make.py

lvm2 works on block devices only, and makes most types of volumes only where the
host's kernel has the device mapper. So this needs root and loop devices, once; the
result is checked in: `heads.xz`, and `segments.json`, which is what `lvs` says of it;
and `server.xz`, the first megabyte of one that is as an installer makes it.
`vgcfgrestore` takes the text below and checks it as it checks its own backups.
"""

from __future__ import annotations

import json
import lzma
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD_BYTES = 1 << 20
PHYSICAL_BYTES = 64 << 20
PHYSICAL = 4
CONFIG = """
devices { use_devicesfile=0 filter=[%s, "r|.*|"] }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
backup { backup=0 archive=0 }
global { activation=0 use_lvmpolld=0 }
"""


def identifier(name: str) -> str:
    """An LVM UUID; always the same for the same name."""
    text = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
    parts = (6, 4, 4, 4, 4, 4, 6)
    return "-".join(text[sum(parts[:n]) : sum(parts[: n + 1])] for n in range(len(parts)))


def volume(name: str, segments: list[str], *, visible: bool = True) -> str:
    """The text of a logical volume."""
    shown = ', "VISIBLE"' if visible else ""
    body = "\n".join(f"segment{number} {{\n{text}\n}}" for number, text in enumerate(segments, 1))
    return (
        f'{name} {{ id = "{identifier(name)}"\nstatus = ["READ", "WRITE"{shown}]\nflags = []\n'
        f"segment_count = {len(segments)}\n{body}\n}}"
    )


def segment(count: int, kind: str, settings: str, start: int = 0) -> str:
    """The text of a segment."""
    return f'start_extent = {start}\nextent_count = {count}\ntype = "{kind}"\n{settings}'


def linear(count: int, place: str, start: int = 0) -> str:
    """A segment on one physical volume; `place` as "pv0", 12."""
    return segment(count, "striped", f"stripe_count = 1\nstripes = [{place}]", start)


def parts(name: str, kind: str, places: list[tuple[str, int]], count: int) -> list[str]:
    """The hidden parts of a RAID: metadata of one extent, and data behind it."""
    texts = []
    for number, (physical, extent) in enumerate(places):
        texts.append(volume(f"{name}_rmeta_{number}", [linear(1, f'"{physical}", {extent}')], visible=False))
        texts.append(volume(f"{name}_rimage_{number}", [linear(count, f'"{physical}", {extent + 1}')], visible=False))
    return texts


def raid(name: str, kind: str, size: int, places: list[tuple[str, int]], count: int, extra: str = "") -> list[str]:
    """A RAID of the device mapper and its parts."""
    names = ", ".join(f'"{name}_rmeta_{n}", "{name}_rimage_{n}"' for n in range(len(places)))
    settings = f"device_count = {len(places)}\nregion_size = 4096\nraids = [{names}]\n{extra}"
    return [volume(name, [segment(size, kind, settings)]), *parts(name, kind, places, count)]


def volumes() -> list[str]:
    """All logical volumes; an extent is a megabyte."""
    stripes = "stripe_size = 128"
    on = [f"pv{number}" for number in range(PHYSICAL)]
    return [
        volume("linear", [linear(8, '"pv0", 0'), linear(4, '"pv1", 0', start=8)]),
        volume(
            "striped",
            [segment(12, "striped", f'stripe_count = 3\n{stripes}\nstripes = ["pv0", 8, "pv1", 4, "pv2", 0]')],
        ),
        volume("raid0", [segment(8, "raid0", f'stripe_count = 2\n{stripes}\nraid0_lvs = ["raid0_rimage_0", '
                                 '"raid0_rimage_1"]')]),
        volume("raid0_rimage_0", [linear(4, '"pv0", 12')], visible=False),
        volume("raid0_rimage_1", [linear(4, '"pv1", 8')], visible=False),
        *raid("raid1", "raid1", 8, [("pv0", 16), ("pv1", 12)], 8),
        *raid("raid5", "raid5", 8, list(zip(on, (25, 21, 4), strict=False)), 4, stripes),
        *raid("raid10", "raid10", 8, list(zip(on, (30, 26, 9, 0), strict=True)), 4, stripes),
        *raid("raid6", "raid6", 6, [("pv0", 35), ("pv1", 31), ("pv2", 14), ("pv3", 5), ("pv3", 8)], 2, stripes),
        volume("mirror", [segment(8, "mirror", 'mirror_count = 2\nregion_size = 1024\n'
                                  'mirrors = ["mirror_mimage_0", 0, "mirror_mimage_1", 0]')]),
        volume("mirror_mimage_0", [linear(8, '"pv2", 17')], visible=False),
        volume("mirror_mimage_1", [linear(8, '"pv3", 11')], visible=False),
        volume("pool", [segment(16, "thin-pool", 'metadata = "pool_tmeta"\npool = "pool_tdata"\ntransaction_id = 1\n'
                                'chunk_size = 128\ndiscards = "passdown"\nzero_new_blocks = 1')]),
        volume("pool_tdata", [linear(16, '"pv2", 25')], visible=False),
        volume("pool_tmeta", [linear(4, '"pv3", 19')], visible=False),
        volume("thin", [segment(20, "thin", 'thin_pool = "pool"\ntransaction_id = 0\ndevice_id = 1')]),
        volume("base", [linear(10, '"pv3", 23')]),
        volume("snap", [linear(4, '"pv3", 33')]),
        volume("snapshot0", [segment(10, "snapshot", 'chunk_size = 8\norigin = "base"\ncow_store = "snap"')]),
    ]  # fmt: skip


def run(*command: str) -> str:
    """Run a program; its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True, close_fds=True).stdout


def main() -> None:
    """Make both groups."""
    keep("heads.xz", PHYSICAL, make)
    keep("server.xz", 1, make_server)


def keep(name: str, count: int, made: Callable[[list[str], Path], object]) -> None:
    """Let `made` work on new physical volumes, and keep their heads."""
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / f"pv{number}" for number in range(count)]
        for file in files:
            with file.open("wb") as opened:
                opened.truncate(PHYSICAL_BYTES)
        loops = [run("losetup", "--find", "--show", str(file)).strip() for file in files]
        try:
            made(loops, Path(directory))
        finally:
            run("losetup", "--detach", *loops)
        (HERE / name).write_bytes(lzma.compress(b"".join(file.read_bytes()[:HEAD_BYTES] for file in files)))


def configuration(loops: list[str]) -> tuple[str, str]:
    """Arguments of all programs of lvm2: nothing of the host is looked at."""
    return "--config", " ".join((CONFIG % ", ".join(f'"a|{loop}$|"' for loop in loops)).split())


def make_server(loops: list[str], directory: Path) -> None:
    """A group of two plain volumes."""
    lvm = configuration(loops)
    run("pvcreate", *lvm, *loops)
    run("vgcreate", *lvm, "--physicalextentsize", "1M", "server", *loops)
    for name, size in (("root", "32M"), ("home", "16M")):
        run("lvcreate", *lvm, "-an", "-Zn", "-Wn", "-y", "-n", name, "-L", size, "server")


def make(loops: list[str], directory: Path) -> None:
    """Let lvm2 write everything."""
    lvm = configuration(loops)
    run("pvcreate", *lvm, *loops)
    run("vgcreate", *lvm, "--physicalextentsize", "1M", "vg-one", *loops)
    backup = directory / "backup"
    run("vgcfgbackup", *lvm, "--file", str(backup), "vg-one")
    text = backup.read_text()
    end = text.rindex("}")
    backup.write_text(text[:end] + "logical_volumes {\n" + "\n".join(volumes()) + "\n}\n}\n")
    run("vgcfgrestore", *lvm, "--force", "--yes", "--file", str(backup), "vg-one")
    fields = "lv_name,lv_uuid,segtype,seg_start_pe,seg_size_pe,seg_pe_ranges,lv_size"
    report = json.loads(
        run("lvs", *lvm, "--all", "--segments", "--reportformat", "json", "--units", "b", "-o", fields, "vg-one")
    )
    listed = json.dumps(report["report"][0]["seg"], indent=1)
    for number, loop in enumerate(loops):
        listed = listed.replace(loop, f"pv{number}")
    (HERE / "segments.json").write_text(listed + "\n")


if __name__ == "__main__":
    main()
