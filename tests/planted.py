"""Break a function of one kernel, so that it fails where a test wants it to.

The kernel's text is a private mapping of the image: what is written there is
seen by that kernel alone. Any function will do, in any kernel, with no option of
the build.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable

import liblinux
from liblinux._library import find_image
from liblinux._symbols import symbols_of

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

# What a function does instead of its work.
NULL_READ = bytes.fromhex("31c0 488b00".replace(" ", ""))  # rax = 0; rax = *rax
NULL_WRITE = bytes.fromhex("31c0 488900".replace(" ", ""))  # rax = 0; *rax = rax
NULL_CALL = bytes.fromhex("31c0 ffd0".replace(" ", ""))  # rax = 0; call rax
WILD_READ = bytes.fromhex("48b8efbeaddeefbeadde 488b00".replace(" ", ""))  # not canonical
WILD_JUMP = bytes.fromhex("48b8efbeaddeefbeadde ffe0".replace(" ", ""))
DIVISION = bytes.fromhex("31c9 31d2 31c0 f7f1".replace(" ", ""))  # 0 / 0
INVALID = bytes.fromhex("0f0b")  # ud2
PRIVILEGED = bytes.fromhex("f4")  # hlt
TEXT_WRITE = bytes.fromhex("488d05f9ffffff 488900".replace(" ", ""))  # rax = here; *rax = rax
OVERFLOW = bytes.fromhex("50 ebfd".replace(" ", ""))  # push rax, for ever


def address_of(kernel: liblinux.Kernel, function: str, version: str | None = None) -> int:
    """The address of a function of that kernel."""
    symbols = symbols_of(find_image(version))
    return kernel._native.text_base - symbols.offset_of("_stext") + symbols.offset_of(function)


def plant(kernel: liblinux.Kernel, function: str, code: bytes, version: str | None = None) -> Callable[[], None]:
    """Make a function of the kernel begin with `code`; what is returned undoes it."""
    address = address_of(kernel, function, version)
    before = ctypes.string_at(address, len(code))
    _write(address, code)
    return lambda: _write(address, before)


def _write(address: int, code: bytes) -> None:
    start = address // PAGE * PAGE
    length = address + len(code) - start
    _protect(start, length, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    ctypes.memmove(address, code, len(code))
    _protect(start, length, mmap.PROT_READ | mmap.PROT_EXEC)


def _protect(start: int, length: int, protection: int) -> None:
    if _libc.mprotect(start, length, protection):
        raise OSError(ctypes.get_errno(), "mprotect of the kernel's text")
