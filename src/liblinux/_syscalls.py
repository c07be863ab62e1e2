"""Raw system calls by name or number, and those that a library task must not make."""

from __future__ import annotations

import errno

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

    from liblinux import _native

__all__ = ["syscaller"]

# They would need the program, the stack or the thread that a task of the host's
# process does not have; each has its counterpart in Python.
_REFUSED = {
    "clone": "kernel.process() makes a process, a Python thread is a task already",
    "clone3": "kernel.process() makes a process, a Python thread is a task already",
    "fork": "kernel.process() makes a process, os.fork() copies the whole kernel",
    "vfork": "kernel.process() makes a process",
    "execve": "a library task has no program to replace; kernel.process() makes a process",
    "execveat": "a library task has no program to replace; kernel.process() makes a process",
    "exit": "a task ends with its Python thread, a process of kernel.process() with close()",
    "exit_group": "a process of kernel.process() ends with close(), the kernel with kernel.close()",
    "rt_sigreturn": "no signal frame is on the stack of a library task",
}


def syscaller(native: _native.Process, numbers: Mapping[str, int]) -> Callable[..., int]:
    """The `syscall` function of a process."""
    refused = {numbers[name]: name for name in _REFUSED if name in numbers}
    call = native.syscall

    def syscall(name: str | int, *args: int | str | Buffer | None) -> int:
        """Make a system call by name or x86-64 number; returns its result.

        Arguments are integers, buffers (their address is passed), str (passed
        as a C string) and None (a null pointer). OSError with the kernel's
        errno on failure; ValueError for a name that this kernel does not have;
        PermissionError for calls that would replace or end the host's thread.
        """
        number = numbers.get(name) if isinstance(name, str) else name
        if number is None and name is not None:
            raise ValueError(_unknown(name, numbers))
        if not isinstance(number, int):
            raise TypeError(f"a system call is named by str or int, not {type(number).__name__}")
        if number in refused:
            called = refused[number]
            raise PermissionError(
                errno.EPERM, f"the system call {called!r} is refused to library tasks: {_REFUSED[called]}"
            )
        return call(number, *args)

    return syscall


def _unknown(name: object, numbers: Mapping[str, int]) -> str:
    import difflib  # noqa: PLC0415 - slow to import, and only needed here

    close = difflib.get_close_matches(str(name), numbers, n=3)
    advice = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"this kernel has no system call {name!r}{advice}"
