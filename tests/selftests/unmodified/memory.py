"""The memory of a program, by process_vm_readv(2) and process_vm_writev(2)."""

from __future__ import annotations

import ctypes
import errno

_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE_BYTES = 4096
_MOST_PATH_BYTES = 4096


class _Range(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _transfer(function: str, pid: int, local: bytearray, address: int) -> int:
    here = (ctypes.c_char * len(local)).from_buffer(local)
    ours, theirs = _Range(ctypes.addressof(here), len(local)), _Range(address, len(local))
    done: int = getattr(_LIBC, function)(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return done


for _name in ("process_vm_readv", "process_vm_writev"):
    getattr(_LIBC, _name).restype = ctypes.c_ssize_t
    getattr(_LIBC, _name).argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    )  # fmt: skip


def read(pid: int, address: int, length: int) -> bytearray:
    """Bytes of a program; OSError with EFAULT where it has no memory."""
    local = bytearray(length)
    if length and _transfer("process_vm_readv", pid, local, address) != length:
        raise OSError(errno.EFAULT, "bad address")
    return local


def write(pid: int, address: int, data: bytes | bytearray) -> None:
    """Put bytes into a program; OSError with EFAULT where it has no memory."""
    if data and _transfer("process_vm_writev", pid, bytearray(data), address) != len(data):
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
