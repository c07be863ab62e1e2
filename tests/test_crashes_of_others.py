"""A crash outside of the kernel's code is nobody's but Python's: the handlers that were there see it, unchanged."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

# Ways to crash that have nothing to do with the kernel, by the signal they end with.
CRASHES = {
    "read": ("ctypes.string_at(8)", signal.SIGSEGV, "Segmentation fault"),
    "write": ("ctypes.memset(8, 0, 1)", signal.SIGSEGV, "Segmentation fault"),
    "jump": ("ctypes.CFUNCTYPE(None)(8)()", signal.SIGSEGV, "Segmentation fault"),
    "wild": ("ctypes.string_at(0xdeadbeefdeadbeef)", signal.SIGSEGV, "Segmentation fault"),
    "division": ("run(bytes.fromhex('31c931d231c0f7f1'))", signal.SIGFPE, "Floating point exception"),
    "instruction": ("run(bytes.fromhex('0f0b'))", signal.SIGILL, "Illegal instruction"),
    "no memory": ("beyond_the_end()", signal.SIGBUS, "Bus error"),
    "the kernel's text": ("ctypes.memset(kernel._native.text_base, 0, 1)", signal.SIGSEGV, "Segmentation fault"),
    "sent": ("os.kill(os.getpid(), signal.SIGFPE)", signal.SIGFPE, "Floating point exception"),
}
PREPARE = """
    import ctypes, faulthandler, mmap, os, signal, sys, tempfile, threading, time
    import liblinux

    def run(code):
        memory = mmap.mmap(-1, 4096, prot=7)
        memory.write(code)
        ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()

    def beyond_the_end():
        with tempfile.TemporaryFile() as file:
            file.truncate(4096)
            memory = mmap.mmap(file.fileno(), 4096)
            file.truncate(0)
            memory[0]

    kernel = liblinux.Kernel()
"""
PLACES = {
    "idle": "{crash}",
    "beside a thread in the kernel": """
    reader, writer = kernel.os.pipe()
    threading.Thread(target=kernel.os.read, args=(reader, 1), daemon=True).start()
    time.sleep(0.1)
    {crash}
    """,
    "in a disk": """
    class Disk(tempfile.SpooledTemporaryFile):
        def readinto(self, buffer):
            {crash}
            return len(buffer)
    disk = Disk()
    disk.write(bytes(1 << 20))
    kernel.attach(disk)
    """,
}


def crash(place: str, statement: str, *, enabled: bool) -> subprocess.CompletedProcess[str]:
    enable = "faulthandler.enable()\n" if enabled else ""
    body = textwrap.dedent(PREPARE) + enable + textwrap.dedent(PLACES[place]).replace("{crash}", statement)
    command = [sys.executable, "-c", body]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", CRASHES)
def test_faulthandler_reports_it(kind: str, place: str) -> None:
    statement, number, text = CRASHES[kind]
    done = crash(place, statement, enabled=True)
    assert done.returncode == -number, done.stderr
    assert f"Fatal Python error: {text}" in done.stderr
    assert "most recent call first" in done.stderr


@pytest.mark.parametrize("kind", CRASHES)
def test_without_faulthandler_the_signal_ends_the_process(kind: str) -> None:
    statement, number, _ = CRASHES[kind]
    done = crash("idle", statement, enabled=False)
    assert (done.returncode, done.stderr) == (-number, "")


def test_a_handler_of_python_is_still_called() -> None:
    """A signal that is sent is not a fault: who catches it gets it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(PREPARE)
            + "signal.signal(signal.SIGILL, lambda *_: print('caught'))\n"
            + "os.kill(os.getpid(), signal.SIGILL)\nprint(kernel.os.uname().sysname)\n",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "caught\nLinux\n")
