"""Times as text and back, to the nanosecond. Nanoseconds since 1970 are what is reckoned with."""

from __future__ import annotations

import functools
import time

__all__ = ["iso_time", "local_time", "parse_time", "short_time"]

_SECOND = 10**9
_FORMS = (
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%dT%H%M%S",
    "%Y%m%d",
)  # fmt: skip


def iso_time(nanoseconds: int) -> str:
    """As "2024-01-02T03:04:05.000000006Z"."""
    return _formatted(nanoseconds, "%Y-%m-%dT%H:%M:%S", ".{:09d}Z", utc=True)


def local_time(nanoseconds: int) -> str:
    """As `stat` has it, in the time zone of the user: "2024-01-02 03:04:05.000000006 +0100"."""
    zone = time.strftime("%z", time.localtime(_host_seconds(nanoseconds)))
    return _formatted(nanoseconds, "%Y-%m-%d %H:%M:%S", ".{:09d} " + zone)


def short_time(nanoseconds: int) -> str:
    """As `ls -l --time-style=long-iso` has it: "2024-01-02 03:04"."""
    return _formatted(nanoseconds, "%Y-%m-%d %H:%M", "")


def _host_seconds(nanoseconds: int) -> int:
    """Seconds that localtime() of the host takes; 0 for a time beyond it."""
    try:
        time.localtime(nanoseconds // _SECOND)
    except (OverflowError, OSError):
        return 0
    return nanoseconds // _SECOND


def _formatted(nanoseconds: int, form: str, rest: str, *, utc: bool = False) -> str:
    seconds, fraction = divmod(nanoseconds, _SECOND)
    return _calendar(seconds, form, utc=utc) + rest.format(fraction)


# Files of one tree often have the same second, and a calendar is slow.
@functools.lru_cache(maxsize=4096)
def _calendar(seconds: int, form: str, *, utc: bool) -> str:
    try:
        fields = time.gmtime(seconds) if utc else time.localtime(seconds)
    except (OverflowError, OSError):
        return f"@{seconds}"  # Btrfs has 64 bits of seconds
    return time.strftime(form, fields)


def parse_time(text: str, *, now: int) -> int:
    """Nanoseconds since 1970 of a date as people write it.

    "now", "@SECONDS" with up to nine decimals, and ISO 8601: a date, a date and a
    time of day with up to nine decimals, and behind it "Z" or an offset as
    "+01:00"; without one it is the time zone of the user. Raises ValueError.
    """
    text = text.strip()
    if text == "now":
        return now
    if text.startswith("@"):
        return _epoch(text)
    body, offset = _zone(text)
    body, _, fraction = body.replace(",", ".").partition(".")
    nanoseconds = _fraction(fraction, text)
    for form in _FORMS:
        try:
            fields = time.strptime(body, form)
        except ValueError:
            continue
        if fraction and not form.endswith("%S"):
            break
        return (_seconds(fields, offset)) * _SECOND + nanoseconds
    raise ValueError(f"{text!r} is no date: write it as 2024-01-31, '2024-01-31 12:00:00.5', with Z or +01:00, or @0")


def _seconds(fields: time.struct_time, offset: int | None) -> int:
    # calendar.timegm, without the module: it takes milliseconds to import.
    if offset is None:
        return int(time.mktime(fields))
    year, month = fields.tm_year - (fields.tm_mon <= 2), (fields.tm_mon + 9) % 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + fields.tm_mday - 1 - 719468
    return ((days * 24 + fields.tm_hour) * 60 + fields.tm_min) * 60 + fields.tm_sec - offset


def _epoch(text: str) -> int:
    whole, _, fraction = text[1:].partition(".")
    sign = -1 if whole.startswith("-") else 1
    if not whole.lstrip("-").isdecimal():
        raise ValueError(f"{text!r} is no time: write seconds since 1970 as @1700000000.5")
    return sign * (abs(int(whole)) * _SECOND + _fraction(fraction, text))


def _fraction(digits: str, text: str) -> int:
    if not digits:
        return 0
    if not digits.isdecimal() or len(digits) > 9:
        raise ValueError(f"{text!r}: up to nine decimals of a second can be kept")
    return int(digits.ljust(9, "0"))


def _zone(text: str) -> tuple[str, int | None]:
    """The text without its zone, and the zone's offset in seconds; None without one."""
    if text.endswith(("Z", "z")):
        return text[:-1].rstrip(), 0
    # Behind the time of day: "-" is in dates too.
    start = max(text.find(":"), text.find("T"))
    at = max(text.find("+", max(start, 0)), text.find("-", start)) if start > 0 else -1
    if at < 0:
        return text, None
    digits = text[at + 1 :].replace(":", "")
    if not digits.isdecimal() or len(digits) not in (2, 4):
        raise ValueError(f"{text!r}: the offset from UTC is written as +01:00")
    seconds = (int(digits[:2]) * 60 + int(digits[2:] or 0)) * 60
    return text[:at].rstrip(), -seconds if text[at] == "-" else seconds
