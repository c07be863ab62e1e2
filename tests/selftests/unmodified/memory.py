"""The memory of a program, by process_vm_readv(2) and process_vm_writev(2)."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE_BYTES = 4096
_MOST_PATH_BYTES = 4096


# Two of struct iovec: of ours and of theirs.
_RANGES = struct.Struct("<QQQQ")
_IOVEC_BYTES = 16


def _transfer(function: Callable[..., int], pid: int, local: bytearray, address: int) -> int:
    length = len(local)
    here = ctypes.addressof(ctypes.c_char.from_buffer(local))
    ranges = ctypes.create_string_buffer(_RANGES.pack(here, length, address, length), _RANGES.size)
    at = ctypes.addressof(ranges)
    return function(pid, at, 1, at + _IOVEC_BYTES, 1, 0)


for _one in (_LIBC.process_vm_readv, _LIBC.process_vm_writev):
    _one.restype = ctypes.c_ssize_t
    _one.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    )  # fmt: skip


def read(pid: int, address: int, length: int) -> bytearray:
    """Bytes of a program; OSError with EFAULT where it has no memory."""
    local = bytearray(length)
    if length and _transfer(_LIBC.process_vm_readv, pid, local, address) != length:
        raise OSError(errno.EFAULT, "bad address")
    return local


def write(pid: int, address: int, data: bytes | bytearray) -> None:
    """Put bytes into a program; OSError with EFAULT where it has no memory."""
    if data and _transfer(_LIBC.process_vm_writev, pid, bytearray(data), address) != len(data):
        raise OSError(errno.EFAULT, "bad address")


def read_string(pid: int, address: int) -> bytes:
    """A string up to its zero byte, page by page: the next page may not be there."""
    found = bytearray()
    while len(found) < _MOST_PATH_BYTES:
        part = read(pid, address, min(256, _PAGE_BYTES - address % _PAGE_BYTES))
        end = part.find(0)
        if end >= 0:
            return bytes(found + part[:end])
        found += part
        address += len(part)
    raise OSError(errno.ENAMETOOLONG, "path too long")
