"""Makes exceptions of what a kernel reports when it cannot go on; called by the extension.

A report is (kind, ip, address, base, tasks, more tasks, log), a task in it (call,
pid, uninterruptible, name, trace): the structures of `kernel/host/boundary.h`.
Addresses are those of the host; `base` is where the image was.
"""

from __future__ import annotations

from itertools import dropwhile

from liblinux._dmesg import parse
from liblinux._errors import Deadlock, KernelPanic, Waiter
from liblinux._symbols import symbols_of
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from liblinux._dmesg import Record
    from liblinux._symbols import Frame, Symbols

    _Task = tuple[int, int, bool, bytes, tuple[int, ...]]
    _Report = tuple[int, int, int, int, tuple[_Task, ...], int, bytes]

__all__ = ["deadlock", "panic", "symbolise"]

# Services of the port (LL_CALL_* of the boundary): they have negative numbers.
_SERVICES = {
    -1000: "(boot)",
    -1001: "(spawn)",
    -1002: "(attach)",
    -1003: "(detach)",
    -1004: "(page fault)",
    -1005: "(interrupt)",
    -1006: "(resize)",
    -1007: "(guard)",
}
_NO_CALL = -1
# What BUG() says to panic(); what it has to say is in the log.
_BUG, _BUG_RECORD = "BUG!", "BUG: failure at "
# How the functions between a wait and the change of tasks are called.
_SLEEPING = ("__switch_to", "__schedule", "schedule", "io_schedule")
# Between a call of panic() and the report of it.
_REPORTING = frozenset(("panic", "vpanic", "__panic"))


def panic(text: str, image: str, numbers: Mapping[str, int] | None, report: _Report) -> KernelPanic:
    """The exception for a kernel that died saying `text`."""
    _, ip, _, base, tasks, _, raw = report
    symbols = symbols_of(image)
    log = [_readable(record, symbols) for record in _whole_records(raw)]
    if text.endswith(_BUG):
        text = _bug(log) or text
    if not tasks:
        return KernelPanic(text, log=log)
    call, pid, _, name, trace = tasks[0]
    frames = symbols.backtrace(ip - base if ip else None, (address - base for address in trace))
    return KernelPanic(
        text,
        backtrace=frames if ip else _callers_of_panic(frames),
        syscall=_call_name(call, numbers),
        pid=pid,
        task=name.decode(errors="replace"),
        log=log,
    )


def deadlock(text: str, image: str, numbers: Mapping[str, int] | None, report: _Report) -> Deadlock:
    """The exception for a wait that nothing can end; `text` is not "" if the kernel died of it."""
    _, _, _, base, tasks, more, _ = report
    symbols = symbols_of(image)
    waiters = [
        Waiter(
            name.decode(errors="replace"),
            pid,
            _call_name(call, numbers),
            uninterruptible,
            _callers_of_scheduler(symbols, [address - base for address in trace]),
        )
        for call, pid, uninterruptible, name, trace in tasks
    ]
    message = "every task of the kernel waits, and no timer is pending that could wake one"
    if more:
        message += f" ({more} more than these wait)"
    return Deadlock(message, waiters=waiters, dead=bool(text))


def symbolise(text: str, symbols: Symbols) -> str:
    """Put names in the place of the "text+0x..." that the kernel prints, having no names itself."""
    if "text+0x" not in text or not len(symbols):
        return text
    import re  # noqa: PLC0415 - slow to import, and only a failing kernel says such things

    start = symbols.offset_of("_stext")
    return re.sub(r"\btext\+0x([0-9a-f]+)", lambda found: _place(symbols.frame(start + int(found[1], 16))), text)


def _place(frame: Frame) -> str:
    return str(frame)


def _readable(record: Record, symbols: Symbols) -> Record:
    text = symbolise(record.text, symbols)
    if text is record.text:
        return record
    return type(record)(record.level, record.facility, record.sequence, record.timestamp, text, record.fields)


def _whole_records(raw: bytes) -> Iterable[Record]:
    """The first line of the end of a log is mostly half a line."""
    if not raw[:1].isdigit() or b";" not in raw.partition(b"\n")[0]:
        raw = raw.partition(b"\n")[2]
    return parse(raw)


def _bug(log: list[Record]) -> str | None:
    for record in reversed(log):
        if record.text.startswith(_BUG_RECORD):
            return f"BUG at {record.text.removeprefix(_BUG_RECORD).rstrip('!')}"
    return None


def _callers_of_panic(frames: list[Frame]) -> list[Frame]:
    """The frames without those of panic() itself and what it does."""
    if not any(frame.function in _REPORTING for frame in frames):
        # It did not panic: it was given up while it slept.
        return list(dropwhile(lambda frame: frame.function.startswith(_SLEEPING), frames))
    callers = dropwhile(lambda frame: frame.function not in _REPORTING, frames)
    return list(dropwhile(lambda frame: frame.function in _REPORTING or not frame.certain, callers)) or frames


def _callers_of_scheduler(symbols: Symbols, trace: Iterable[int]) -> tuple[Frame, ...]:
    """The frames of a sleeping task, without those of going to sleep."""
    frames = symbols.backtrace(None, trace, inside=_SLEEPING[0])
    asleep = dropwhile(lambda frame: not frame.certain or frame.function.startswith(_SLEEPING), frames)
    return tuple(frame for frame in asleep if frame.certain)


def _call_name(number: int, numbers: Mapping[str, int] | None) -> str | None:
    if number == _NO_CALL:
        return None
    if number in _SERVICES:
        return _SERVICES[number]
    # A call that has two names has that of the manual last.
    names = [name for name, value in (numbers or {}).items() if value == number]
    return names[-1] if names else f"number {number}"
