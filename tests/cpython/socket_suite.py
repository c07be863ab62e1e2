"""CPython's own test_socket against `kernel.socket`: run by test_socket_suite.py, in a process of its own.

    python tests/cpython/socket_suite.py [--isolated] [--shard 1/4] [PATTERN...]

The file is that of the running CPython (Debian: package libpython3.11-testsuite), not
one line changed: while it is loaded, `socket` and `select` are those of a kernel, and
`os` and `open` are the kernel's where they are about sockets. Writes one line of JSON
for every case: its name, "ok", "skipped", "failed" or "error", and the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import fnmatch
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
import types
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import test.support
import test.support.os_helper
import test.support.socket_helper

import liblinux


class Instead(types.ModuleType):
    """A module of the standard library, with the kernel's where that has it."""

    def __init__(self, kernel: liblinux.Kernel, theirs: types.ModuleType) -> None:
        super().__init__(theirs.__name__)
        self.kernel = kernel
        self.theirs = theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.theirs, name)


class KernelOs(Instead):
    """`os` with the kernel's files."""

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self.kernel.os, name)
        except AttributeError:
            return getattr(self.theirs, name)


class KernelOsHelper(Instead):
    """`test.support.os_helper` with the kernel's files."""

    def unlink(self, path: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.kernel.os.unlink(path)

    def make_bad_fd(self) -> int:
        """A descriptor that was closed."""
        fd = self.kernel.os.dup(self.kernel.os.memfd_create("bad"))
        self.kernel.os.close(fd)
        return fd


class KernelTempfile(Instead):
    """`tempfile` in the kernel's file system."""

    count = 0

    def mktemp(self, dir: str = "/tmp") -> str:
        """A name that is not taken."""
        self.count += 1
        return f"{dir}/{self.count}"

    def mkdtemp(self) -> str:
        """A new directory."""
        path = self.mktemp()
        self.kernel.os.mkdir(path)
        return path

    def mkstemp(self) -> tuple[int, str]:
        """A new file, open."""
        path = self.mktemp()
        return self.kernel.os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), path

    @contextlib.contextmanager
    def NamedTemporaryFile(self) -> Iterator[Any]:
        """An open file that is removed afterwards."""
        fd, path = self.mkstemp()
        yield types.SimpleNamespace(fileno=lambda: fd, name=path)
        self.kernel.os.close(fd)
        self.kernel.os.unlink(path)


class KernelShutil(Instead):
    """`shutil` in the kernel's file system."""

    def rmtree(self, path: str) -> None:
        """Remove a directory and the files in it."""
        for name in self.kernel.os.listdir(path):
            self.kernel.os.unlink(f"{path}/{name}")
        self.kernel.os.rmdir(path)


class KernelFcntl(Instead):
    """`fcntl` for descriptors of the kernel."""

    def fcntl(self, fd: Any, command: int, argument: int = 0) -> int:
        """As of fcntl(2)."""
        return self.kernel.syscall("fcntl", fd if isinstance(fd, int) else fd.fileno(), command, argument)

    def ioctl(self, file: Any, request: int, argument: str) -> bytes:
        """As of ioctl(2), with a string to be written to."""
        buffer = bytearray(argument.encode())
        self.kernel.syscall("ioctl", file.raw.fd, request, buffer)
        return bytes(buffer)


@contextlib.contextmanager
def instead(**modules: Any) -> Iterator[None]:
    """Let `import` find these."""
    kept = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def load(name: str, kernel: liblinux.Kernel) -> types.ModuleType:
    """A module of the standard library's tests, loaded again; what it opens is the kernel's."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.open = kernel.open  # type: ignore[attr-defined]  # it hides the built-in one
    spec.loader.exec_module(module)
    return module


def suite(kernel: liblinux.Kernel) -> types.ModuleType:
    """test_socket over sockets of the kernel."""
    replaced: dict[str, Any] = {
        "fcntl": KernelFcntl(kernel, fcntl),
        "os": KernelOs(kernel, os),
        "select": kernel.select,
        "shutil": KernelShutil(kernel, shutil),
        "socket": kernel.socket,
        "tempfile": KernelTempfile(kernel, tempfile),
    }
    with instead(**replaced):
        helper = load("test.support.socket_helper", kernel)
    theirs = (test.support.socket_helper, test.support.os_helper)
    test.support.socket_helper = helper
    test.support.os_helper = KernelOsHelper(kernel, theirs[1])
    try:
        with instead(**replaced):
            return load("test.test_socket", kernel)
    finally:
        test.support.socket_helper, test.support.os_helper = theirs


class Result(unittest.TestResult):
    """Writes down what comes of every case."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.started = time.monotonic()

    def report(self, case: unittest.TestCase, outcome: str, reason: str = "") -> None:
        name = case.id().removeprefix("test.test_socket.")
        seconds = round(time.monotonic() - self.started, 2)
        print(json.dumps({"case": name, "outcome": outcome, "reason": reason, "seconds": seconds}), flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.report(test, "ok")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.report(test, "skipped", reason)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.report(test, "error", self.errors[-1][1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.report(test, "failed", self.failures[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.report(test, "failed", str(err[1]))


def cases(tests: unittest.TestSuite | unittest.TestCase) -> Iterator[unittest.TestCase]:
    """The cases in a suite."""
    if isinstance(tests, unittest.TestCase):
        yield tests
        return
    for one in tests:
        yield from cases(one)


def main() -> None:
    """Run what the patterns say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="only every Nth class, from the Ith")
    parser.add_argument("patterns", nargs="*", default=["*"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with liblinux.Kernel(isolated=options.isolated) as kernel:
        module = suite(kernel)
        loaded = unittest.defaultTestLoader.loadTestsFromModule(module)
        first, _, every = options.shard.partition("/")
        classes = list(loaded)[int(first) - 1 :: int(every)]
        wanted = unittest.TestSuite(
            case
            for one in classes
            for case in cases(one)
            if any(fnmatch.fnmatch(case.id(), f"*{pattern}*") for pattern in options.patterns)
        )
        wanted.run(Result())


if __name__ == "__main__":
    main()
