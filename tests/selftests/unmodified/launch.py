"""The first program in the namespaces: installs the filter, gives its listener away, becomes the program.

launch.py SOCKET [FILE=PATH ...] -- PROGRAM [ARGUMENT ...]

SOCKET: a descriptor that the listener is sent over; FILE is seen at PATH in there.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from unmodified.filter import program

_NR_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = 317, 1, 1 << 3
_PR_SET_NO_NEW_PRIVS = 38
_MS_BIND = 4096


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install() -> int:
    """Install the filter for this process and its children; returns the listener's descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = program()
    memory = ctypes.create_string_buffer(code, len(code))
    wanted = _Program(len(code) // 8, ctypes.addressof(memory))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(_NR_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(wanted))
    if listener < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot install a seccomp filter with a listener: {os.strerror(error)}")
    return listener


def show(file: str, path: str) -> None:
    """Have a file at another path, in this namespace of mounts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(file.encode(), path.encode(), None, _MS_BIND, None):
        error = ctypes.get_errno()
        raise OSError(error, f"cannot mount {file} at {path}: {os.strerror(error)}")


def main() -> None:
    """Only what the filter leaves alone may be called between the filter and the message."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    end = sys.argv.index("--")
    for shown in sys.argv[2:end]:
        show(*shown.split("=", 1))
    listener = install()
    socket.send_fds(channel, [b"listener"], [listener])
    channel.close()
    os.close(listener)
    os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])  # noqa: S606 - what it is for


if __name__ == "__main__":
    main()
