"""Modes as chmod(1) takes them: octal "0755" and symbolic "u=rwX,g+s,o-w"."""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ModeChange", "host_umask", "parse_mode"]

_ALL = 0o7777
_SET_ID = stat.S_ISUID | stat.S_ISGID
# The bits that belong to each class of users.
_CLASSES = {
    "u": stat.S_ISUID | stat.S_IRWXU,
    "g": stat.S_ISGID | stat.S_IRWXG,
    "o": stat.S_ISVTX | stat.S_IRWXO,
    "a": _ALL,
}
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_PERMISSIONS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": _SET_ID, "t": stat.S_ISVTX}

if TYPE_CHECKING:
    # The mode as it was, with its type, to the new permissions.
    ModeChange = Callable[[int], int]
else:
    ModeChange = object


def host_umask() -> int:
    """The umask of this process, which "+x" without u, g, o or a respects."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def parse_mode(text: str, umask: int = 0) -> ModeChange:
    """The change that `text` means. Raises ValueError.

    An octal mode is what the mode is afterwards, all twelve bits of it. (chmod of
    GNU keeps setuid and setgid of directories; here the same command always
    gives the same mode.) A symbolic one does what chmod of GNU does. Source: chmod(1p).
    """
    if text and all(digit in "01234567" for digit in text):
        mode = int(text, 8)
        if mode > _ALL:
            raise ValueError(f"mode {text}: no more than 7777")
        return lambda _: mode
    changes = [change for clause in text.split(",") for change in _clause(clause, text, umask)]

    def apply(mode: int) -> int:
        for change in changes:
            mode = change(mode)
        return mode & _ALL

    return apply


def _clause(clause: str, text: str, umask: int) -> list[ModeChange]:
    """The changes of one clause: classes, then operators with their permissions."""
    classes = clause[: len(clause) - len(clause.lstrip("ugoa"))]
    rest = clause[len(classes) :]
    if not rest or rest[0] not in "+-=":
        raise ValueError(f"{text!r} is no mode: write it as 755 or u=rwx,go+rX")
    affected = 0
    for class_ in classes:
        affected |= _CLASSES[class_]
    changes = []
    while rest:
        operator, rest = rest[0], rest[1:]
        end = next((at for at, character in enumerate(rest) if character in "+-="), len(rest))
        permissions, rest = rest[:end], rest[end:]
        if permissions not in _SHIFTS and set(permissions) - set("rwxXst"):
            raise ValueError(f"{text!r} is no mode: {permissions!r} is neither of rwxXst nor one of u, g, o")
        changes.append(_change(affected, operator, permissions, umask))
    return changes


def _change(affected: int, operator: str, permissions: str, umask: int) -> ModeChange:
    within = affected or ~umask
    preserved = ~affected if affected else 0

    def apply(mode: int) -> int:
        bits = _bits(permissions, mode) & within
        if operator == "+":
            return mode | bits
        # Directories keep setuid and setgid that are not named: setgid is inherited there.
        kept = _SET_ID & ~bits if stat.S_ISDIR(mode) else 0
        if operator == "-":
            return mode & ~(bits & ~kept)
        return mode & (preserved | kept | ~_ALL) | bits

    return apply


def _bits(permissions: str, mode: int) -> int:
    """What `permissions` stands for, in all classes, for a file of this mode."""
    if permissions in _SHIFTS:
        return (mode >> _SHIFTS[permissions] & 7) * 0o111
    bits = 0
    for letter in permissions:
        bits |= _PERMISSIONS.get(letter, 0)
    if "X" in permissions and (stat.S_ISDIR(mode) or mode & 0o111):
        bits |= 0o111
    return bits
