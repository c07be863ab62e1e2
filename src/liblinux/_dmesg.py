"""The kernel's log: parsed records, also sent to Python's logging.

The kernel hands out its log in the record format of /dev/kmsg (kernel document
Documentation/ABI/testing/dev-kmsg)::

    6,339,5140900,-;NET: Registered protocol family 10
     SUBSYSTEM=net

Text is collected unparsed. Parsing some hundred boot messages costs more than a
tenth of the boot itself, and most programs never look at them.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux import _native

__all__ = ["KernelLog", "Record", "parse"]

RECORDS_KEPT = 16384

_LOGGER = logging.getLogger("liblinux.kernel")
# Without a handler of its own a library's warnings go to standard error.
logging.getLogger("liblinux").addHandler(logging.NullHandler())

# syslog's eight levels, EMERG to DEBUG, on the five of Python.
_LEVELS = (
    logging.CRITICAL,
    logging.CRITICAL,
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.INFO,
    logging.DEBUG,
)
# A record and the KEY=value lines that belong to it.
_RECORD = re.compile(rb"^(\d+),.*\n?(?: .*\n?)*", re.MULTILINE)
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Record:
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
    fields: Mapping[str, str] = field(default_factory=dict)

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
        return Record(6, 0, 0, 0.0, _decode(line))
    priority, sequence, microseconds = (int(part) for part in numbers[:3])
    return Record(priority & 7, priority >> 3, sequence, microseconds / 1e6, _decode(text))


def _decode(raw: bytes) -> str:
    unescaped = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), raw)
    return unescaped.decode("utf-8", "backslashreplace")


class KernelLog:
    """Collects the log of one kernel and forwards it to logging "liblinux.kernel"."""

    def __init__(self, native: _native.Kernel) -> None:
        self._native = native
        self._raw: list[bytes] = []
        self._records: deque[Record] = deque(maxlen=RECORDS_KEPT)

    def pump(self) -> None:
        """Take over what the kernel has logged since, and forward what logging wants. Cheap when there is nothing."""
        if self._native.closed or not self._native.log_pending:
            return
        raw = self._native.log()
        self._raw.append(raw)
        # All of it is parsed when somebody asks: a boot has more than a hundred records.
        wanted = {level for level, logged in enumerate(_LEVELS) if _LOGGER.isEnabledFor(logged)}
        for match in _RECORD.finditer(raw):
            if int(match[1]) & 7 in wanted:
                for record in parse(match[0]):
                    _LOGGER.log(record.logging_level, "%s", record.text, extra={"kernel": record})

    def take(self) -> list[Record]:
        """The records that arrived since the last parsing."""
        self.pump()
        fresh = parse(b"".join(self._raw))
        self._raw.clear()
        self._records.extend(fresh)
        return fresh

    def records(self) -> list[Record]:
        """All records since boot that are still kept."""
        self.take()
        return list(self._records)
