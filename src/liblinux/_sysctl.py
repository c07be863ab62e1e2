"""`kernel.sysctl`: the settings under /proc/sys as a mapping."""

from __future__ import annotations

from _collections_abc import MutableMapping  # the home of collections.abc; every interpreter has loaded it

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux._os import Os

__all__ = ["Sysctl"]

_ROOT = "/proc/sys"
Value = str | int | bool | tuple[int, ...] | list[int]


class Sysctl(MutableMapping[str, str]):
    """Kernel settings by name: `kernel.sysctl["net.ipv4.ip_forward"] = 1`.

    Names are those of sysctl(8): the first separator tells whether "." or "/"
    separates; the other stands for itself. Values read are text without the
    newline; strings, integers and sequences of integers can be set. An unknown
    name is a KeyError, a setting that cannot be written a PermissionError, a
    value that the kernel does not take an OSError (EINVAL). Settings below
    "net" are those of the process's own network namespace.
    """

    def __init__(self, system: Os) -> None:
        self._os = system

    def __repr__(self) -> str:
        return f"<liblinux.Sysctl under {_ROOT}>"

    def __getitem__(self, name: str) -> str:
        return self._read(name).decode("utf-8", "surrogateescape").rstrip("\n")

    def __setitem__(self, name: str, value: Value) -> None:
        text = _text(value).encode("utf-8", "surrogateescape")
        fd = self._open(name, self._os.O_WRONLY)
        try:
            self._os.write(fd, text + b"\n")
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; the kernel does not take {value!r} for it", name) from None
        finally:
            self._os.close(fd)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a setting of the kernel cannot be removed")

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self._os.path.isfile(_path(name))
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        for directory, _, names in self._os.walk(_ROOT):
            for name in names:
                yield _name(f"{directory}/{name}"[len(_ROOT) + 1 :])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _read(self, name: str) -> bytes:
        fd = self._open(name, self._os.O_RDONLY)
        try:
            parts = []
            while part := self._os.read(fd, 65536):
                parts.append(part)
            return b"".join(parts)
        finally:
            self._os.close(fd)

    def _open(self, name: str, flags: int) -> int:
        path = _path(name)
        if not self._os.path.isfile(path):
            raise KeyError(f"this kernel has no setting {name!r}; sorted(sysctl) lists all that it has")
        return self._os.open(path, flags)


def _path(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a setting's name is a string, not {type(name).__name__}")
    dot, slash = name.find("."), name.find("/")
    if dot >= 0 and (slash < 0 or dot < slash):
        name = name.translate({ord("."): "/", ord("/"): "."})
    parts = name.split("/")
    if ".." in parts or "" in parts:
        raise KeyError(name)
    return f"{_ROOT}/{name}"


def _name(relative: str) -> str:
    return relative.translate({ord("."): "/", ord("/"): "."})


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value)
    return str(value)
