"""The kernel's log: parsed records, also sent to Python's logging.

The kernel hands out its log in the record format of /dev/kmsg (kernel document
Documentation/ABI/testing/dev-kmsg)::

    6,339,5140900,-;NET: Registered protocol family 10
     SUBSYSTEM=net

Text is collected unparsed. Parsing some hundred boot messages costs more than a
tenth of the boot itself, and most programs never look at them. `logging` is not
imported for it either: in a program without it nobody listens.
"""

from __future__ import annotations

import sys

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

    from liblinux import _native

__all__ = ["KernelLog", "Record", "parse"]

RECORDS_KEPT = 16384

# syslog's eight levels, EMERG to DEBUG, on the five of Python.
_LEVELS = (50, 50, 50, 40, 30, 20, 20, 10)


class Record(Value):
    """One message of the kernel.

    `level` is syslog's, 0 (emergency) to 7 (debug); `facility` is 0 for the
    kernel; `timestamp` counts seconds since boot; `fields` holds the
    KEY=value lines, such as SUBSYSTEM and DEVICE.
    """

    level: int
    facility: int
    sequence: int
    timestamp: float
    text: str
    fields: Mapping[str, str]

    def __str__(self) -> str:
        return f"[{self.timestamp:12.6f}] {self.text}"

    @property
    def logging_level(self) -> int:
        """The level of Python's logging that this record is sent with."""
        return _LEVELS[self.level]


def parse(raw: bytes) -> list[Record]:
    """Parse text in the format of /dev/kmsg; lines that are not in it are kept as text."""
    records: list[Record] = []
    for line in raw.splitlines():
        if line.startswith(b" "):
            if records:
                key, _, value = line[1:].partition(b"=")
                fields = {**records[-1].fields, _decode(key): _decode(value)}
                last = records.pop()
                records.append(Record(last.level, last.facility, last.sequence, last.timestamp, last.text, fields))
        elif line:
            records.append(_record(line))
    return records


def _record(line: bytes) -> Record:
    head, separator, text = line.partition(b";")
    numbers = head.split(b",")
    if not separator or len(numbers) < 3 or not all(part.isdigit() for part in numbers[:3]):
        return Record(6, 0, 0, 0.0, _decode(line), {})
    priority, sequence, microseconds = (int(part) for part in numbers[:3])
    return Record(priority & 7, priority >> 3, sequence, microseconds / 1e6, _decode(text), {})


def _decode(raw: bytes) -> str:
    first, *rest = raw.split(rb"\x")
    for part in rest:
        try:
            first += bytes((int(part[:2], 16),)) + part[2:]
        except ValueError:
            first += rb"\x" + part
    return first.decode("utf-8", "backslashreplace")


def _priorities(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The level of every record, and its text with the KEY=value lines that belong to it."""
    record = b""
    for line in raw.splitlines(keepends=True):
        if record and not line.startswith(b" "):
            yield from _priority(record)
            record = b""
        record += line
    yield from _priority(record)


def _priority(record: bytes) -> Iterator[tuple[int, bytes]]:
    number = record.partition(b",")[0]
    if number.isdigit():
        yield int(number) & 7, record


class KernelLog:
    """Collects the log of one kernel and forwards it to logging "liblinux.kernel"."""

    def __init__(self, native: _native.Kernel) -> None:
        self._native = native
        self._seen: list[bytes] = []  # not parsed yet, nor wanted by take()
        self._fresh: list[bytes] = []
        self._records: list[Record] = []
        self._logger: logging.Logger | None = None

    def pump(self) -> None:
        """Take over what the kernel has logged since, and forward what logging wants. Cheap when there is nothing."""
        if self._native.closed or not self._native.log_pending:
            return
        raw = self._native.log()
        self._fresh.append(raw)
        if "logging" in sys.modules:
            self._forward(raw)

    def mark(self) -> None:
        """What comes after this is what the next take() is about."""
        self.pump()
        self._seen += self._fresh
        self._fresh.clear()

    def take(self) -> list[Record]:
        """The records that arrived since the last mark() or take()."""
        self.pump()
        fresh = parse(b"".join(self._fresh))
        self._records += [*parse(b"".join(self._seen)), *fresh]
        self._seen.clear()
        self._fresh.clear()
        del self._records[:-RECORDS_KEPT]
        return fresh

    def records(self) -> list[Record]:
        """All records since boot that are still kept."""
        self.take()
        return list(self._records)

    def keep(self) -> list[Record]:
        """What :meth:`put_back` takes."""
        return self.records()

    def put_back(self, records: list[Record]) -> None:
        """The kernel was put back to when it had said no more than this."""
        self.take()
        self._records = list(records)

    def _forward(self, raw: bytes) -> None:
        logger = self._logger = self._logger or _make_logger()
        # Only those are parsed: a boot has more than a hundred records.
        wanted = {level for level, logged in enumerate(_LEVELS) if logger.isEnabledFor(logged)}
        for level, text in _priorities(raw):
            if level in wanted:
                for record in parse(text):
                    logger.log(record.logging_level, "%s", record.text, extra={"kernel": record})


def _make_logger() -> logging.Logger:
    import logging  # noqa: PLC0415 - somebody has imported it already

    # Without a handler of its own a library's warnings go to standard error.
    above = logging.getLogger("liblinux")
    if not any(isinstance(handler, logging.NullHandler) for handler in above.handlers):
        above.addHandler(logging.NullHandler())
    return logging.getLogger("liblinux.kernel")
