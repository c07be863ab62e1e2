"""The packetdrill scripts of the kernel's own selftests, in its unpacked source."""

from __future__ import annotations

from pathlib import Path

from liblinux._errors import BuildError
from liblinux.builder.cache import Cache
from liblinux.builder.source import find, kernel_version, unpack

__all__ = ["options_for", "selftests"]

_SERIES = "6.12"
_NET = Path("tools/testing/selftests/net")
_DIRECTORIES = (_NET / "packetdrill", _NET / "netfilter/packetdrill")


def selftests() -> list[Path]:
    """The scripts of the newest kernel source that has any; Linux 6.12 is unpacked when none is.

    Raises BuildError when there is no source.
    """
    cache = Cache.default()
    trees = sorted(cache.sources.glob("*/linux"), key=_version, reverse=True)
    for tree in trees:
        found = _scripts(tree)
        if found:
            return found
    with cache.locked():
        return _scripts(unpack(find(_SERIES, None, cache), cache).path)


def _version(tree: Path) -> tuple[int, ...]:
    try:
        return kernel_version(tree)
    except BuildError:
        return ()


def _scripts(tree: Path) -> list[Path]:
    return [path for directory in _DIRECTORIES for path in sorted((tree / directory).glob("*.pkt"))]


def options_for(path: Path) -> list[tuple[str, str | None]]:
    """The options that the kernel's runner of these scripts gives (nf_conntrack_packetdrill.sh)."""
    if path.parent.parent.name == "netfilter":
        return [("tolerance_usecs", "1000000"), ("non_fatal", "packet")]
    return []
