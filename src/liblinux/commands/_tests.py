"""The conditions of `liblinux find`: each option becomes a function of an entry. Source: find(1)."""

from __future__ import annotations

import fnmatch
import re
import stat
import time

import click

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._modes import parse_mode
from liblinux.commands._times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._entries import Entry
    from liblinux.commands._owners import Owners

    Test = Callable[[Entry], bool]
    Compare = Callable[[int], bool]

__all__ = ["make_tests"]

_TYPES = {
    "f": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "c": stat.S_IFCHR, "b": stat.S_IFBLK,
    "p": stat.S_IFIFO, "s": stat.S_IFSOCK,
}  # fmt: skip
_UNITS = {"c": 1, "w": 2, "b": 512, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_DAY, _MINUTE = 86400 * 10**9, 60 * 10**9


def make_tests(image: ImageRoot, owners: Owners, options: Mapping[str, Any]) -> list[Test]:
    """All conditions of the command line. Raises UsageError, and OSError for a file of --newer that is not there."""
    try:
        return [*_names(options), *_kinds(image, options), *_ages(image, options), *_rights(owners, options)]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _names(options: Mapping[str, Any]) -> list[Test]:
    tests: list[Test] = []
    if options["name"]:
        tests.append(_any(options["name"], re.NOFLAG, _base))
    if options["iname"]:
        tests.append(_any(options["iname"], re.IGNORECASE, _base))
    if options["path"]:
        tests.append(_any(options["path"], re.NOFLAG, lambda entry: entry.path))
    if options["regex"]:
        try:
            wanted = re.compile(options["regex"], re.DOTALL)
        except re.error as error:
            raise ValueError(f"--regex {options['regex']}: {error}") from error
        tests.append(lambda entry: wanted.fullmatch(entry.path) is not None)
    return tests


def _base(entry: Entry) -> str:
    return entry.path.rstrip("/").rpartition("/")[2] or "/"


def _any(patterns: Sequence[str], flags: re.RegexFlag, text: Callable[[Entry], str]) -> Test:
    """Whether one of some patterns of the shell matches."""
    wanted = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns), flags)
    return lambda entry: wanted.match(text(entry)) is not None


def _kinds(image: ImageRoot, options: Mapping[str, Any]) -> list[Test]:
    tests: list[Test] = []
    if options["types"]:
        letters = set(options["types"].replace(",", ""))
        if unknown := letters - _TYPES.keys():
            raise ValueError(f"--type {options['types']}: {min(unknown)!r} is none of {', '.join(_TYPES)}")
        types = {_TYPES[letter] for letter in letters}
        tests.append(lambda entry: stat.S_IFMT(entry.status.st_mode) in types)
    tests += [_size(text) for text in options["size"]]
    if options["links"]:
        links = _compare(options["links"], "--links")
        tests.append(lambda entry: links(entry.status.st_nlink))
    if options["inum"]:
        inode = _compare(options["inum"], "--inum")
        tests.append(lambda entry: inode(entry.status.st_ino))
    if options["empty"]:
        tests.append(lambda entry: _empty(image, entry))
    return tests


def _empty(image: ImageRoot, entry: Entry) -> bool:
    if entry.is_directory:
        return not image.os.listdir(entry.path)
    return stat.S_ISREG(entry.status.st_mode) and not entry.status.st_size


def _size(text: str) -> Test:
    unit = _UNITS.get(text[-1:], 0)
    compare = _compare(text[:-1] if unit else text, "--size")
    unit = unit or _UNITS["b"]
    return lambda entry: compare(-(-entry.status.st_size // unit))


def _ages(image: ImageRoot, options: Mapping[str, Any]) -> list[Test]:
    tests: list[Test] = []
    now = time.time_ns()
    for option, unit in (("mtime", _DAY), ("mmin", _MINUTE)):
        for text in options[option]:
            tests.append(_age(_compare(text, f"--{option}"), now, unit, rounds_up=option == "mmin"))  # noqa: PERF401
    if options["newer"]:
        tests.append(_newer(image.os.stat(options["newer"]).st_mtime_ns))
    if options["newermt"]:
        tests.append(_newer(parse_time(options["newermt"], now=now)))
    return tests


def _age(compare: Compare, now: int, unit: int, *, rounds_up: bool) -> Test:
    """As find has it: days are cut off, minutes are rounded up."""
    if rounds_up:
        return lambda entry: compare(-(-(now - entry.status.st_mtime_ns) // unit))
    return lambda entry: compare((now - entry.status.st_mtime_ns) // unit)


def _newer(than: int) -> Test:
    return lambda entry: entry.status.st_mtime_ns > than


def _rights(owners: Owners, options: Mapping[str, Any]) -> list[Test]:
    tests: list[Test] = [_permissions(text) for text in options["perm"]]
    if options["user"]:
        uid = owners.uid(options["user"])
        tests.append(lambda entry: entry.status.st_uid == uid)
    if options["group"]:
        gid = owners.gid(options["group"])
        tests.append(lambda entry: entry.status.st_gid == gid)
    return tests


def _permissions(text: str) -> Test:
    how = text[:1] if text[:1] in "-/" else ""
    wanted = parse_mode(text[len(how) :])(0)
    if how == "-":
        return lambda entry: stat.S_IMODE(entry.status.st_mode) & wanted == wanted
    if how == "/":
        return lambda entry: not wanted or bool(entry.status.st_mode & wanted)
    return lambda entry: stat.S_IMODE(entry.status.st_mode) == wanted


def _compare(text: str, option: str) -> Compare:
    """Of "+N" more, of "-N" less, of "N" exactly so many."""
    digits = text.lstrip("+-") if len(text) - len(text.lstrip("+-")) == 1 else text
    if not digits.isdecimal():
        raise ValueError(f"{option} {text}: a number is wanted, as 5, +5 (more) or -5 (less)")
    number = int(digits)
    if text.startswith("+"):
        return lambda value: value > number
    if text.startswith("-"):
        return lambda value: value < number
    return lambda value: value == number
