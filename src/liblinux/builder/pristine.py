"""The proof that no file of the kernel is edited: every byte of a tree against the package it came from.

A package is decompressed once, for the digests of all that is in it: its manifest.
That is kept under the package's own digest, which is computed each time, and so is
that of every file of the tree: what is kept saves the decompression and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from liblinux.builder.cache import Cache
from liblinux.builder.source import digest, open_tarball, walk

__all__ = ["verify_pristine"]

# More would be memory of its own for every file.
_CHUNK_BYTES = 1 << 16
# Raised when manifests mean something else.
_FORMAT = 1

# What is at each path: the digest of a file, or where a link leads to.
Manifest = dict[str, str]


def verify_pristine(tree: Path, package: Path, cache: Cache | None = None) -> list[str]:
    """Compare an unpacked tree, byte for byte, with the package it came from.

    :param package: a ``linux-source`` .deb, or a tarball.
    :param cache: where the package's manifest is kept; without one it is made each time.
    :returns: one line for each file that is missing, changed, or added
        elsewhere than under ``arch/lib``; nothing if the tree is pristine.
    """
    packed = _manifest(package) if cache is None else _kept_manifest(package, cache)
    differences = []
    for relative, content in packed.items():
        found = _unpacked(f"{tree}/{relative}")
        if found != content:
            differences.append(f"{'missing' if found is None else 'changed'}: {relative}")
    added = (relative for relative, _ in walk(tree) if relative not in packed)
    return differences + [f"added: {relative}" for relative in added]


def _kept_manifest(package: Path, cache: Cache) -> Manifest:
    path = cache.manifests / f"{_FORMAT}-{digest(package)}.json"
    try:
        kept: Manifest = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        kept = _manifest(package)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=path.parent, delete=False) as file:
            json.dump(kept, file)
        os.replace(file.name, path)
    return kept


def _manifest(package: Path) -> Manifest:
    found: Manifest = {}
    with open_tarball(package) as archive:
        for member in archive:
            relative = member.name.removeprefix("./").partition("/")[2]
            if relative and not member.isdir():
                found[relative] = _packed(member, archive)
    return found


def _packed(member: tarfile.TarInfo, archive: tarfile.TarFile) -> str:
    if member.issym():
        return f"link to {member.linkname}"
    file = archive.extractfile(member)
    return _digest(file) if file is not None else "a device"


def _unpacked(path: str) -> str | None:
    """What is at a path of a tree, None for nothing; one open, for there are ninety thousand."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        return f"link to {os.readlink(path)}" if os.path.islink(path) else "something that cannot be read"
    with open(fd, "rb", buffering=0) as file:
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return _digest(file) if regular else "neither a file nor a link"


def _digest(file: IO[bytes]) -> str:
    running = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        running.update(chunk)
    return running.hexdigest()
