"""System calls of scripts: what they are given for `...`, and what they must have written.

A call is prepared first, which turns expressions into the kernel's arguments,
then made, perhaps by another thread, and then verified. The numbers that a
script gives to descriptors are its own: the first socket is 3 there, whatever
the kernel calls it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import liblinux
from liblinux.packetdrill._constants import errno_name, suggestion
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._script import Anything, Expression, Number, SystemCall
from liblinux.packetdrill._values import Values, describe

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from liblinux._kernel import Kernel
    from liblinux.packetdrill._config import Config
    from liblinux.packetdrill._flow import Flows
    from liblinux.packetdrill._machine import Machine

__all__ = ["Context", "Prepared", "Result", "address_of", "prepare", "preparer"]


@dataclass
class Prepared:
    """A call that is ready to be made; `verify` looks at what it wrote, given its result."""

    name: str
    arguments: tuple[Any, ...]
    verify: Callable[[int], None] | None = None
    opens: bool = False  # its result is a descriptor
    closes: int | None = None  # the script's number of a descriptor that it ends
    done: Callable[[int], None] | None = None  # what the runner must know when it has succeeded
    keep: list[object] = field(default_factory=list)  # memory that the arguments point to

    def make(self, machine: Machine) -> Result:
        """Make it, on the calling thread. Raises liblinux.Deadlock."""
        try:
            return Result(machine.kernel.syscall(self.name, *self.arguments), 0, machine.now)
        except liblinux.Deadlock:
            raise
        except OSError as error:
            return Result(-1, error.errno or 0, machine.now)


@dataclass(frozen=True)
class Result:
    """What a call returned, its errno, and when in nanoseconds of the kernel's clock."""

    value: int
    errno: int
    time: int

    def __str__(self) -> str:
        if self.errno:
            return f"-1 {errno_name(self.errno)} ({os.strerror(self.errno)})"
        return str(self.value)


@dataclass
class Context:
    """What preparing a call depends on."""

    kernel: Kernel
    config: Config
    values: Values
    flows: Flows
    descriptors: dict[int, int] = field(default_factory=dict)  # the script's to the kernel's
    families: dict[int, int] = field(default_factory=dict)  # of sockets, by the kernel's number
    observed: int | None = None  # the socket that %{ }% looks at
    real_start: int = 0  # time of day at the start of the script, in nanoseconds

    def descriptor(self, expression: Expression) -> int:
        """The kernel's number of a descriptor; -1, which is none, for one that the script has not opened."""
        return self.descriptors.get(self.values.integer(expression), -1)

    def expect(self, what: str, expected: Expression, seen: int) -> None:
        """Compare a number. Raises Failed."""
        if isinstance(expected, Anything):
            return
        wanted = self.values.integer(expected)
        if wanted != seen:
            raise Failed(f"{what}: expected {describe(expected)} ({wanted:#x}), got {seen} ({seen:#x})")


def address_of(buffer: Buffer) -> int:
    """Where writable memory is, for structures that point to it; 0 for none."""
    view = memoryview(buffer).cast("B")
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if view.nbytes else 0


_Preparer = Callable[[Context, tuple[Expression, ...]], Prepared]
_PREPARERS: dict[str, tuple[_Preparer, int, int]] = {}


def preparer(name: str, least: int, most: int | None = None) -> Callable[[_Preparer], _Preparer]:
    """Register a function that prepares the call `name`, which takes so many arguments."""

    def register(function: _Preparer) -> _Preparer:
        _PREPARERS[name] = (function, least, least if most is None else most)
        return function

    return register


def prepare(context: Context, call: SystemCall) -> Prepared:
    """Turn a call of the script into one of the kernel. Raises ScriptError for what cannot be one."""
    from liblinux.packetdrill import _calls_files, _calls_messages, _calls_sockets, _calls_waiting  # noqa: F401, PLC0415

    if call.name not in _PREPARERS:
        known = ", ".join(sorted(_PREPARERS))
        raise ScriptError(f"unknown system call {call.name}(); there are {known}")
    function, least, most = _PREPARERS[call.name]
    count = len(call.arguments)
    if not least <= count <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ScriptError(f"{call.name}() takes {wanted} arguments, not {count}")
    return function(context, call.arguments)


def verify(context: Context, call: SystemCall, prepared: Prepared, result: Result) -> None:
    """Compare the result with the expected one, and remember what it opened. Raises Failed."""
    _verify_result(context, call, result)
    if result.errno:
        return
    if prepared.opens and isinstance(call.result, Number):
        context.descriptors[call.result.value] = result.value
    if prepared.closes is not None:
        context.descriptors.pop(prepared.closes, None)
    if prepared.done is not None:
        prepared.done(result.value)
    if prepared.verify is not None:
        prepared.verify(result.value)


def _verify_result(context: Context, call: SystemCall, result: Result) -> None:
    if isinstance(call.result, Anything):
        return
    wanted = context.values.integer(call.result)
    if call.error is not None:
        number = getattr(errno, call.error, None)
        if number is None:
            raise ScriptError(f"unknown error {call.error}{suggestion(call.error)}")
        expected = f"{wanted} {call.error} ({os.strerror(number)})"
        matches = result.value == wanted and result.errno == number
    else:
        expected = describe(call.result)
        opened = call.name in _OPENING and wanted >= 0
        matches = result.value >= 0 if opened else (result.value == wanted and not (result.errno and wanted >= 0))
    if not matches:
        raise Failed(f"{call.name}() returned {result}, expected {expected}")


# Their results are descriptors, whose numbers are the script's own.
_OPENING = frozenset({"socket", "accept", "accept4", "open", "dup", "epoll_create", "epoll_create1", "eventfd"})
