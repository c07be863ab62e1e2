"""Modes beside chmod(1), dates beside date(1)."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from conftest import run
from liblinux.commands import _times
from liblinux.commands._modes import parse_mode
from liblinux.commands._times import iso_time, local_time, parse_time

SYMBOLIC = [
    "u+x", "g-w", "o=r", "a+rX", "+x", "-w", "=r", "=", "u=rwx,go=rx", "u+s", "g+s", "ug+s", "+s", "o+s", "-s", "g-s",
    "+t", "o+t", "u+t", "-t", "a=t", "u=s", "g=s", "g=u", "o=u", "u=g", "u=o", "go=", "u=rwX,g-w,o-rwx", "a-x+X",
    "u+w+x-r", "g+u", "o-g", "=rwxs", "a=rx", "u=r", "g=rx", "o=t", "=t", "go+s-x",
]  # fmt: skip
BEFORE = [0o000, 0o644, 0o755, 0o4711, 0o2770, 0o1777, 0o7777]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_symbolic_modes_as_chmod(umask: int, tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.touch()
    directory.mkdir()
    for text in SYMBOLIC:
        names = [tmp_path / f"{text}-{before:o}-{kind}" for before in BEFORE for kind in "fd"]
        for name in names:
            name.mkdir() if name.name.endswith("d") else name.touch()
            name.chmod(int(name.name.split("-")[-2], 8))
        before = [name.stat().st_mode for name in names]
        run("sh", "-c", f'umask {umask:o}; chmod -- "$@" 2>/dev/null || true', "sh", text, *names)
        change = parse_mode(text, umask)
        for name, mode in zip(names, before, strict=True):
            assert oct(change(mode)) == oct(stat.S_IMODE(name.stat().st_mode)), name.name


@pytest.mark.parametrize("text", ["0", "644", "0755", "7777"])
def test_octal_modes_are_what_the_mode_is_then(text: str) -> None:
    assert parse_mode(text)(stat.S_IFDIR | 0o2755) == int(text, 8)


@pytest.mark.parametrize("text", ["", "8", "77777", "u", "u+q", "z+x", "u+x,", "u=rw,g", "+rwu", "755x"])
def test_no_modes(text: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        parse_mode(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31",
        "2024-01-31 12:00",
        "2024-02-29T23:59:59",
        "2024-01-31T12:00:00.123456789Z",
        "2024-07-31 12:00:00.5 +01:00",
        "1969-12-31T23:59:59.25Z",
        "1900-03-01T00:00:00Z",
        "2024-01-31T12:00:00-0530",
        "@1700000000.000000001",
        "@-1.5",
        "@0",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_dates_as_date(text: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    _times._calendar.cache_clear()
    try:
        environment = {**os.environ, "TZ": zone}
        seconds, nanoseconds = run("date", "-d", text, "+%s %N", environment=environment).split()
        found = parse_time(text, now=0)
        assert found == int(seconds) * 10**9 + int(nanoseconds)
        assert local_time(found) == run("date", "-d", text, "+%F %T.%N %z", environment=environment).strip()
        assert iso_time(found) == run("date", "-u", "-d", f"@{seconds}", f"+%FT%T.{nanoseconds}Z").strip()
    finally:
        monkeypatch.undo()
        time.tzset()
        _times._calendar.cache_clear()


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2024-13-01", "2024-01-31.5", "@x", "@", "2024-01-31T12:00:00.1234567890Z", "12:00", "@1.x"],
)
def test_no_dates(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|time|decimals"):
        parse_time(text, now=0)


def test_now_and_times_that_no_calendar_has() -> None:
    assert parse_time("now", now=5) == 5
    assert iso_time((1 << 62) * 10**9 + 7) == f"@{1 << 62}.000000007Z"
