"""Other programs: finding them, running them, and file systems mounted by the host."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import Skipped

__all__ = ["child_environment", "compiled", "fuse_mount", "loop_mount", "module", "program", "run", "timed", "unmount"]

# Where Debian keeps the programs of root.
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name: str) -> str:
    """The path of a program, or Skipped."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise Skipped(f"{name} is not installed (python3 dev/prepare.py --bench-programs)")
    return found


def module(name: str) -> None:
    """Skipped when a Python module is not installed."""
    if importlib.util.find_spec(name) is None:
        raise Skipped(f"{name} is not installed (pip install liblinux[bench])")


def child_environment() -> dict[str, str]:
    """The environment of measured processes: users have bytecode caches, so they have."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PATH": _PATH}


def run(command: Sequence[str | Path]) -> str:
    """Run a program; its output. A failure is no figure: the error says what it printed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=child_environment(), check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def timed(command: Sequence[str | Path]) -> float:
    """Wall seconds of a whole process; its output goes nowhere."""
    arguments = [str(part) for part in command]
    environment = child_environment()
    started = time.perf_counter()
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        code = process.wait()
        ended = time.perf_counter()
    if code:
        raise RuntimeError(f"{' '.join(arguments)} failed ({code})")
    return ended - started


def python(*arguments: str | Path) -> list[str]:
    """The command line of a fresh interpreter like this one."""
    return [sys.executable, *(str(argument) for argument in arguments)]


@contextlib.contextmanager
def loop_mount(image: Path, target: Path, *, readonly: bool = True) -> Iterator[Path]:
    """The host mounts an image; what it remembers of the content is gone afterwards."""
    if os.geteuid():
        raise Skipped("a loop mount needs root")
    target.mkdir(exist_ok=True)
    try:
        run([program("mount"), "-o", "loop,ro" if readonly else "loop", image, target])
    except RuntimeError as error:
        raise Skipped(f"no loop mounts here: {error}") from None
    try:
        yield target
    finally:
        run([program("umount"), target])


@contextlib.contextmanager
def fuse_mount(image: Path, target: Path, *, readonly: bool = True) -> Iterator[Path]:
    """fuse2fs mounts an image; comes back when its process has ended and written everything."""
    if not os.access("/dev/fuse", os.W_OK):
        raise Skipped("/dev/fuse cannot be opened")
    target.mkdir(exist_ok=True)
    command = [program("fuse2fs"), "-f", *(["-o", "ro"] if readonly else []), str(image), str(target)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=child_environment())
    try:
        while not os.path.ismount(target):
            if process.poll() is not None:
                raise Skipped("fuse2fs cannot mount here")
            time.sleep(0.0005)
        yield target
    finally:
        if os.path.ismount(target):
            unmount(target)
        process.wait()


def unmount(target: Path) -> None:
    """Take a FUSE mount away."""
    run([*([program("umount")] if os.geteuid() == 0 else [program("fusermount"), "-u"]), target])


@functools.cache
def compiled(source: Path, directory: Path) -> Path:
    """A C program, compiled now."""
    target = directory / source.stem
    run([program("gcc"), "-O2", "-Wall", "-pthread", "-o", target, source])
    return target
