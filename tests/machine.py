"""Network namespaces of this machine, for what a network's links lead to: made, entered, left again; for root."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

__all__ = ["AS_ROOT", "inside", "ip", "namespace", "program_in"]

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, TAP devices and packet sockets are for root")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> None:
    """The machine's ip(8)."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Among all processes: ip(8) prepares its directory when it finds that nobody has, and two at once fail."""
    directory = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


@contextlib.contextmanager
def namespace() -> Iterator[str]:
    """A new one, without a route to anywhere. Its name is nobody else's, and short enough for an interface as well.

    Nor was it: a namespace's devices go some time after its name does, and a session that was killed leaves its own.
    """
    name = f"ll{secrets.token_hex(6)}"
    with _one_at_a_time():
        ip("netns", "add", name)
    try:
        yield name
    finally:
        ip("netns", "del", name)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread is in there: the sockets that it opens, and the threads that it begins."""
    own, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/run/netns/{name}"))
    try:
        _enter(there)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)
        os.close(there)


def _enter(descriptor: int) -> None:
    """setns(2); Python has it since 3.12."""
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"a network namespace cannot be entered: {os.strerror(error)}")


def program_in(name: str, program: str, *arguments: str) -> list[str]:
    """The command by which a program of Python runs in there."""
    return ["ip", "netns", "exec", name, sys.executable, "-c", program, *arguments]
