"""Which system calls are handed over: a seccomp filter, as a program of classic BPF."""

from __future__ import annotations

import struct
from typing import Final

# Files of the kernel get numbers from here on in programs; the standard streams may be redirected to them.
FIRST_FD: Final = 512

_LOAD_NR, _LOAD_ARCH, _LOAD_ARG0, _LOAD_ARG3, _LOAD_ARG4 = 0, 4, 16, 40, 48
_AT_EMPTY_PATH, _LAST_STANDARD, _NEGATIVE = 0x1000, 2, 0x80000000
_AUDIT_ARCH_X86_64 = 0xC000003E
_ALLOW, _NOTIFY, _KILL, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
_EPERM = 1

NUMBERS: Final = {
    "read": 0, "write": 1, "open": 2, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
    "mmap": 9, "ioctl": 16, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "select": 23,
    "dup": 32, "sendfile": 40,
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47,
    "shutdown": 48, "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52, "socketpair": 53,
    "setsockopt": 54, "getsockopt": 55, "uname": 63, "fcntl": 72, "ftruncate": 77, "mkdir": 83, "rmdir": 84,
    "unlink": 87, "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116,
    "setresuid": 117, "setresgid": 119,
    "readlink": 89, "chroot": 161, "mount": 165, "umount2": 166, "getdents64": 217, "epoll_create": 213,
    "epoll_wait": 232, "epoll_ctl": 233, "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263,
    "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271, "unshare": 272, "epoll_pwait": 281,
    "accept4": 288, "epoll_create1": 291, "recvmmsg": 299, "sendmmsg": 307, "setns": 308, "bpf": 321,
    "statx": 332, "faccessat2": 439,
}  # fmt: skip

# Only with a descriptor that may be the kernel's.
_BY_DESCRIPTOR = (
    "read", "write", "fstat", "lseek", "ioctl", "pread64", "pwrite64", "readv", "writev", "connect", "accept",
    "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown", "bind", "listen", "getsockname", "getpeername",
    "setsockopt", "getsockopt", "fcntl", "ftruncate", "getdents64", "epoll_wait", "epoll_ctl", "epoll_pwait",
    "accept4", "recvmmsg", "sendmmsg", "setns", "dup", "sendfile",
)  # fmt: skip

# Nothing in here changes this machine: init_module, finit_module, delete_module, pivot_root, reboot, settimeofday,
# clock_settime, swapon, kexec_load.
_REFUSED = (175, 313, 176, 155, 169, 164, 227, 167, 246)

# This machine has one user in here, to whom all files belong: chown, fchown, lchown, fchownat.
_SAID_TO_BE_DONE = (92, 93, 94, 260)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(code: int, value: int, yes: int, no: int) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _answer_if(number: int, answer: bytes) -> list[bytes]:
    return [_jump(0x15, number, 0, 1), answer]


def _of_a_file_of_this_machine(allow: bytes) -> list[bytes]:
    """newfstatat(descriptor, "", ..., AT_EMPTY_PATH), which is fstat: programs call it for each library."""
    judged = [
        _statement(0x20, _LOAD_ARG3), _jump(0x45, _AT_EMPTY_PATH, 0, 4), _statement(0x20, _LOAD_ARG0),
        _jump(0x35, FIRST_FD, 2, 0), _jump(0x25, _LAST_STANDARD, 0, 1), allow,
    ]  # fmt: skip
    return [_jump(0x15, NUMBERS["newfstatat"], 0, len(judged) + 1), *judged, _statement(0x20, _LOAD_NR)]


def program() -> bytes:
    """The instructions, as an array of struct sock_filter."""
    notify, allow = _statement(0x06, _NOTIFY), _statement(0x06, _ALLOW)
    parts = [_statement(0x20, _LOAD_ARCH), _jump(0x15, _AUDIT_ARCH_X86_64, 1, 0), _statement(0x06, _KILL)]
    parts.append(_statement(0x20, _LOAD_NR))
    for number in _REFUSED:
        parts += _answer_if(number, _statement(0x06, _ERRNO | _EPERM))
    parts += _of_a_file_of_this_machine(allow)
    # mmap: of a file of the kernel, and that is a packet socket.
    parts += [_jump(0x15, NUMBERS["mmap"], 0, 5), _statement(0x20, _LOAD_ARG4)]
    parts += [_jump(0x35, FIRST_FD, 0, 2), _jump(0x35, _NEGATIVE, 1, 0), notify, allow]
    for number in _SAID_TO_BE_DONE:
        parts += _answer_if(number, _statement(0x06, _ERRNO))
    for name in NUMBERS.keys() - {*_BY_DESCRIPTOR, "mmap"}:
        parts += _answer_if(NUMBERS[name], notify)
    for left, name in enumerate(_BY_DESCRIPTOR):
        # Over the rest of this list and the line that allows.
        parts += _answer_if(NUMBERS[name], _statement(0x05, 2 * (len(_BY_DESCRIPTOR) - left - 1) + 1))
    parts.append(allow)
    parts.append(_statement(0x20, _LOAD_ARG0))
    parts += [_jump(0x35, FIRST_FD, 1, 0), _jump(0x25, _LAST_STANDARD, 1, 0), notify, allow]
    # At FIRST_FD and above: negative ones (AT_FDCWD) are above as well, and belong to none of these calls.
    return b"".join(parts)
