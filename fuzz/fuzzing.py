"""What is fuzzed: each target takes choices, and raises when something is wrong.

Used by `fuzz/guided.py` (atheris, as long as one likes) and by `tests/test_fuzz.py`
(hypothesis, a moment in every run of the tests).
"""

from __future__ import annotations

import contextlib
import string
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import liblinux
from choices import Choices, odd_value, pick
from liblinux._dmesg import KernelLog, parse
from liblinux._errors import BuildError
from liblinux._kernel import make_seed, parse_memory
from liblinux._mount import parse_options
from liblinux._signatures import _SIGNATURES, PROBE_BYTES, identify
from liblinux.builder import kconfig
from liblinux.builder._kconfig_tree import KconfigTree, evaluate

__all__ = ["TARGETS", "Calls"]

# What a wrong argument may raise, as it does of the standard library.
REFUSED = (TypeError, ValueError, OverflowError, OSError, BufferError, AttributeError)


# ---- parsers ---------------------------------------------------------------------


def signatures(choices: Choices) -> None:
    """The content of disks."""
    head = bytearray(choices.integer(0, PROBE_BYTES))
    for _ in range(choices.integer(0, 3)):
        signature = pick(choices, _SIGNATURES)
        _put(head, signature.offset, signature.magic)
        _put(head, signature.label_offset, choices.data(signature.label_bytes))
    _put(head, choices.integer(0, PROBE_BYTES), choices.data(64))
    found = identify(bytes(head))
    assert found is None or (found.type and "\0" not in found.label)


def _put(head: bytearray, offset: int, data: bytes) -> None:
    end = min(len(head), offset + len(data))
    if offset < end:
        head[offset:end] = data[: end - offset]


class _Log:
    """As much of the native kernel as its log needs."""

    closed = False

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.log_pending = True

    def log(self) -> bytes:
        self.log_pending = False
        return self._raw


def dmesg(choices: Choices) -> None:
    """The kernel's log."""
    lines = [
        pick(choices, (b"%s", b"6,339,5140900,-;%s", b"%s;x", b" KEY=%s", b"30,%s,1,-;text", b"6,1,2,c,%s;\\x"))
        % choices.data(20)
        for _ in range(choices.integer(0, 8))
    ]
    raw = pick(choices, (b"\n", b"\n\n", b"\r\n", b"")).join(lines)
    for record in parse(raw):
        assert 0 <= record.level <= 7
        assert record.logging_level in range(10, 51)
        assert str(record)
    native: Any = _Log(raw)
    log = KernelLog(native)
    assert log.records() == parse(raw)


def mount_options(choices: Choices) -> None:
    """Options of mount(8)."""
    text = _text(choices, string.ascii_letters[:6] + ',"= \0\udcff') + pick(
        choices, ("", ",ro", ",rw,bind", ',x="a,b"')
    )
    flags, data = parse_options(text)
    assert 0 <= flags < 1 << 32
    assert parse_options(data)[1] == data  # what is left for the file system stays


def numbers(choices: Choices) -> None:
    """Sizes of memory, and seeds."""
    value = pick(choices, (_text(choices, string.digits + "KMGTiB \t-+.e_\u0663"), odd_value(choices)))
    with contextlib.suppress(TypeError, ValueError):
        assert parse_memory(value) >= 20 << 20
    with contextlib.suppress(TypeError, ValueError):
        assert len(make_seed(value)) == 64
        if value is not None:
            assert make_seed(value) == make_seed(value)


def _text(choices: Choices, alphabet: str) -> str:
    return "".join(alphabet[byte % len(alphabet)] for byte in choices.data(24))


_CONFIG_LINES = (
    "CONFIG_%s=y",
    "CONFIG_%s=m",
    "CONFIG_%s=",
    "# CONFIG_%s is not set",
    "CONFIG_A=%s",
    'CONFIG_A="%s"',
    "%s",
    "CONFIG_A=y  # since %s",
    "CONFIG_A=y # from %s",
    "CONFIG_A=y # 6.1 %s",
)
_KCONFIG_LINES = (
    "config %s",
    "menuconfig %s",
    "\tdepends on %s",
    "\tselect %s",
    "\tselect A if %s",
    "if %s",
    "endif",
    "menu %s",
    "endmenu",
    "choice",
    "endchoice",
    "\thelp",
    '\tbool "%s"',
    'source "%s"',
    '\tdefault "%s"',
    "%s",
)
_WORDS = "AB!&|()=<> \t\"'\\#.\ny16"


def builder(choices: Choices) -> None:
    """Configuration fragments, .config and Kconfig files."""
    fragment = "\n".join(
        pick(choices, _CONFIG_LINES).replace("%s", _text(choices, _WORDS)) for _ in range(choices.integer(0, 6))
    )
    with contextlib.suppress(BuildError):
        settings = kconfig.parse_fragment(fragment)
        wishes = kconfig.merge([kconfig.Fragment("fuzzed", settings)], (6, 12))
        wishes.allconfig()
        wishes.make_arguments()
    config = kconfig.parse_config(fragment)
    with contextlib.suppress(ValueError, BuildError):
        evaluate(_text(choices, _WORDS), config)
    with tempfile.TemporaryDirectory() as directory:
        lines = [
            pick(choices, _KCONFIG_LINES).replace("%s", _text(choices, _WORDS)) for _ in range(choices.integer(0, 8))
        ]
        Path(directory, "Kconfig").write_text("\n".join(lines), encoding="utf-8")
        with contextlib.suppress(BuildError):
            tree = KconfigTree(Path(directory), "lib")
            for name in ("A", "B"):
                tree.unmet(name, config)
                tree.selected_by(name, config)


# ---- calls -----------------------------------------------------------------------


class Calls:
    """A kernel with a few files, and odd calls of everything that is shaped like `os`.

    The kernel is made anew after so many calls, for some of them change what the
    process may do.
    """

    _LIFE = 500
    # `call` gives the kernel's raw answers; the others are no functions.
    _LEFT_OUT = frozenset({"call", "closed", "path"})

    def __init__(self) -> None:
        self._kernel: liblinux.Kernel | None = None
        self._left = 0

    def close(self) -> None:
        """End the kernel."""
        if self._kernel is not None:
            self._kernel.close()
        self._kernel = None

    def _fresh(self) -> liblinux.Kernel:
        if self._left == 0 or self._kernel is None or self._kernel.dead:
            self.close()
            self._kernel = liblinux.Kernel("32M", clock="virtual", seed=0)
            self._kernel.os.mkdir("/tmp/directory")
            with self._kernel.open("/tmp/file", "wb") as file:
                file.write(b"content of the file")
            self._left = self._LIFE
        self._left -= 1
        return self._kernel

    def __call__(self, choices: Choices) -> None:
        """One odd call."""
        kernel = self._fresh()
        with contextlib.suppress(*REFUSED, MemoryError, StopIteration, liblinux.Deadlock):
            process = kernel.process()
            try:
                self._call(process, choices)
            finally:
                process.close()
        assert kernel.dead is None
        assert kernel.os.getpid() == 1

    def _call(self, process: liblinux.Process, choices: Choices) -> None:
        kind = choices.integer(0, 5)
        arguments = [odd_value(choices) for _ in range(choices.integer(0, 5))]
        if kind <= 2:
            names = [name for name in dir(process.os) if not name.startswith("_") and name not in self._LEFT_OUT]
            called: Callable[..., Any] = getattr(process.os, pick(choices, names))
        elif kind == 3:
            functions = process.os.path
            called = getattr(functions, pick(choices, [name for name in dir(functions) if not name.startswith("_")]))
        elif kind == 4:
            called = _any(choices, (process.open, process.mmap, process.mapping, _read_setting(process)))
        else:
            called = _any(
                choices, (process.os.read, process.os.write, process.os.pread, process.os.pwrite, process.os.readv)
            )
            fd = process.os.open("/tmp/file", 2)
            arguments = [fd, *arguments]
        answer = called(*arguments)
        if isinstance(answer, Iterator):
            for _ in range(20):
                next(answer)


def _any(choices: Choices, functions: Sequence[Any]) -> Callable[..., Any]:
    function: Callable[..., Any] = pick(choices, functions)
    return function


def _read_setting(process: liblinux.Process) -> Callable[..., Any]:
    def read(name: Any) -> Any:
        try:
            return process.sysctl[name]
        except KeyError as error:  # what a mapping says
            raise ValueError from error

    return read


def partitions(choices: Choices) -> None:
    """Partition tables of DOS and GPT: the kernel's parser, and ours of what it finds."""
    disk = bytearray(64 * 512)
    disk[510:512] = b"\x55\xaa"
    for number in range(choices.integer(0, 4)):
        entry = struct.pack(
            "<B3sB3sII", 0, b"", choices.integer(0, 255), b"", choices.integer(0, 80), choices.integer(0, 80)
        )
        disk[446 + 16 * number : 462 + 16 * number] = entry
    _put(disk, choices.integer(0, 1024), choices.data(64))
    _put(disk, 512, pick(choices, (b"", b"EFI PART\0\0\1\0\x5c\0\0\0")))
    with liblinux.Kernel("32M", clock="virtual", seed=0) as kernel:
        attached = kernel.attach(disk, readonly=True)
        for partition in attached.partitions:
            assert partition.size >= 0
            assert partition.number > 0
        with contextlib.suppress(liblinux.MountError):
            kernel.mount(attached, "/mnt")


TARGETS: Mapping[str, Callable[[Choices], None]] = {
    "signatures": signatures,
    "dmesg": dmesg,
    "mount_options": mount_options,
    "numbers": numbers,
    "builder": builder,
    "calls": Calls(),
    "partitions": partitions,
}
