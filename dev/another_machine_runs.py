"""What another_machine.py runs on both machines: prints, as JSON, what each run printed and hashes of what it left.

    .venv/bin/python dev/another_machine_runs.py [NAME...]

Runs are examples, and programs of tests that print hashes. Of all of them it is
kept what crossed their networks and their kernels' logs and clocks (see
tests/reliability/recorded).
"""

from __future__ import annotations

import ctypes  # noqa: F401 - what the first program of the other machine imports is to be found, too
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDER = ROOT / "tests" / "reliability" / "recorded"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# An image that is made by mke2fs and by Linux, tasks that write to it, a snapshot that is put back, and what is in the
# image in the end: its journal, its tree of hashes and its allocation depend on clocks and chance.
DISK = """
import hashlib, pathlib, random, threading
import liblinux
from liblinux import Kernel
pathlib.Path("tree").mkdir()
liblinux.make_image("tree", "disk.img", "ext4", size="32M", owner=(0, 0), epoch=1700000000)
print("made", hashlib.sha256(pathlib.Path("disk.img").read_bytes()).hexdigest())
image = bytearray(pathlib.Path("disk.img").read_bytes())
chance = random.Random(1)
with Kernel(clock="virtual", seed=1) as kernel:
    kernel.mount(kernel.attach(image), "/mnt")
    tasks = [kernel.process() for _ in range(4)]
    for number in range(2000):
        task = chance.choice(tasks)
        path = f"/mnt/{chance.randrange(300)}"
        if chance.random() < 0.2:
            try:
                task.os.unlink(path)
            except FileNotFoundError:
                pass
        else:
            with task.open(path, "ab") as file:
                file.write(chance.randbytes(chance.randrange(5000)))
                if chance.random() < 0.1:
                    file.flush()
                    task.os.fsync(file.raw.fd)
    kernel.umount("/mnt")
    print("written", hashlib.sha256(image).hexdigest(), kernel.now())
with Kernel(clock="virtual", seed=2) as kernel:
    kernel.mount(kernel.attach(image, overlay=True), "/mnt")
    state = kernel.snapshot()
    for _ in range(3):
        print("restored", len(kernel.os.listdir("/mnt")), kernel.now(), kernel.os.getrandom(8).hex())
        kernel.os.unlink("/mnt/" + kernel.os.listdir("/mnt")[0])
        kernel.restore(state)
"""

# Of encrypted connections the bytes are OpenSSL's; what the programs saw is the seed's.
TLS = """
import logging, sys
sys.path.insert(0, TESTS)
from service_programs import PROGRAMS
from liblinux import Network
with Network(clock="virtual", seed=1) as net:
    net.link(net.host("client"), net.host("server"), rate="10Mbit", delay="10ms")
    print(*(line.partition(" ")[2] for line in net.run(PROGRAMS["tls_streams"](net))), sep="\\n")  # without times
""".replace("TESTS", repr(str(ROOT / "tests" / "services")))


def _script(name: str, *arguments: str) -> list[str]:
    return [str(ROOT / name), *arguments]


def _blocks() -> dict[str, list[str]]:
    """The examples of README that are on virtual time and say all that they need."""
    blocks = [block for block in BLOCK.findall((ROOT / "README.md").read_text()) if 'clock="virtual"' in block]
    return {
        f"README.md, {number}": ["-c", f"import liblinux\n{block}"]
        for number, block in enumerate(blocks, 1)
        if "disk.img" not in block and "plots" not in block
    }


SIMULATE = ("-m", "liblinux._command", "simulate", "--quiet", "-j1", "--repetitions", "1")
SERVICES = ("streams", "datagrams", "http", "fastapi", "starlette", "websocket", "redis", "threads")
# By name: the arguments of Python, and whether what it left is compared, beside what it printed.
RUNS: dict[str, tuple[list[str], bool]] = {
    "disk": (["-c", DISK], True),
    "tls": (["-c", TLS], False),
    "networks": (_script("tests/network/repeat_scenarios.py", "1", "kernels", "conntrack", "links"), True),
    "services": (_script("tests/services/service_run.py", "1", *SERVICES), True),
    "dumbbell": ([*SIMULATE, *_script("examples/experiments/dumbbell.toml", "--duration", "20s", "-o", "r.csv")], True),
    **{
        f"examples/networks/{path.name}": ([str(path)], True)
        for path in sorted((ROOT / "examples/networks").glob("*.py"))
        if 'clock="virtual"' in path.read_text()
    },
    **{name: (command, True) for name, command in _blocks().items()},
}  # fmt: skip


def run(name: str) -> dict[str, object]:
    """What a run printed, the hashes of what it left, its exit status, and the seconds that it took."""
    arguments, compared = RUNS[name]
    with tempfile.TemporaryDirectory() as directory:
        work, record = Path(directory) / "work", Path(directory) / "recorded"
        work.mkdir()
        record.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(RECORDER),
            "LIBLINUX_RECORD": str(record),
            "COLUMNS": "100",
        }
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - began
        files = [*record.iterdir(), *(path for path in work.rglob("*") if path.is_file())] if compared else []
        hashes = sorted(f"{path.suffix} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    problem = done.stderr[-2000:] if done.returncode else ""
    return {"printed": done.stdout, "left": hashes, "status": done.returncode, "problem": problem, "seconds": seconds}


def main() -> None:
    """One JSON object a line, so that what is there is there when something goes wrong later."""
    for name in sys.argv[1:] or RUNS:
        print(json.dumps({"name": name, **run(name)}), flush=True)


if __name__ == "__main__":
    main()
