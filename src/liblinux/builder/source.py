"""The kernel source: find it, fetch it, and unpack it.

A source is a Debian package, a tarball, or a directory. :func:`find` decides
which one to use, :func:`unpack` turns it into a tree in the cache, where the
port is added and nothing else ever changes. A tree appears in the cache only
when it is complete; its fingerprint is checked before every build, and a tree
that was changed is unpacked again. That it is the package's, byte for byte, is
proved by ``pristine.py``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from liblinux._errors import BuildError
from liblinux.builder.cache import Cache, safe_name
from liblinux.builder.port import PORT_DIRECTORY

__all__ = [
    "Record",
    "Source",
    "Tree",
    "digest",
    "find",
    "kernel_version",
    "open_tarball",
    "read_record",
    "unpack",
    "walk",
]

_INSTALLED = Path("/usr/src")
_INNER_TARBALL = re.compile(r"(\./)?usr/src/linux-source-[\d.]+\.tar\.xz")
_CHUNK_BYTES = 1 << 20
_FETCH_ADVICE = "run `apt-get update` as root and try again, or name a source tree, tarball or .deb with --source"
_UNPACK_ADVICE = "if there is room on the disk it is damaged: fetch it again"


@dataclass(frozen=True)
class Source:
    """A kernel source that was found: where it is, and what identifies its content."""

    path: Path
    identity: str


@dataclass(frozen=True)
class Tree:
    """An unpacked source in the cache."""

    path: Path
    source: Source

    @property
    def version(self) -> tuple[int, int, int]:
        """The kernel's version, for example ``(6, 12, 117)``."""
        return kernel_version(self.path)


@dataclass(frozen=True)
class Record:
    """What is remembered of an unpacked tree: where it came from, and how it looked."""

    package: Path
    fingerprint: str


def kernel_version(tree: Path) -> tuple[int, int, int]:
    """The version that the top makefile of ``tree`` gives.

    :raises BuildError: ``tree`` is not a kernel tree.
    """
    try:
        text = (tree / "Makefile").read_text(encoding="utf-8")
        fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", text, re.MULTILINE))
        return int(fields["VERSION"]), int(fields["PATCHLEVEL"]), int(fields["SUBLEVEL"])
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise BuildError(f"{tree} is not a Linux source tree: its Makefile gives no kernel version") from error


# -- finding


def find(series: str, given: Path | None, cache: Cache, *, update: bool = False) -> Source:
    """Find the source of kernel ``series`` (such as ``"6.12"``).

    In this order: what the user gave; the installed ``linux-source`` package;
    the newest one in the cache; the newest that apt can fetch.

    :param update: pass over the cache, so that a newer package is fetched.
    :raises BuildError: there is none, and what to do about it.
    """
    if given is not None:
        return _identify(given.expanduser())
    name = f"linux-source-{series}"
    installed = _INSTALLED / f"{name}.tar.xz"
    if installed.is_file():
        return Source(installed, safe_name(_output(["dpkg-query", "-W", "-f=${Version}", name]) or digest(installed)))
    cached = [] if update else sorted(cache.packages.glob(f"{name}_*.deb"), key=_version_key)
    return _identify(cached[-1]) if cached else _fetch(name, cache)


def _identify(path: Path) -> Source:
    path = path.resolve()
    if path.is_dir():
        version = ".".join(map(str, kernel_version(path)))
        if (path / ".config").exists() or (path / "include/config").exists():
            raise BuildError(f"the tree {path} has been built in; run `make mrproper` there, or name another source")
        return Source(path, f"{version}-{_fingerprint(path)[:16]}")
    if not path.is_file():
        raise BuildError(f"the kernel source {path} does not exist; give a tree, a tarball or a .deb")
    if path.suffix != ".deb":
        return Source(path, f"tarball-{digest(path)[:16]}")
    if shutil.which("dpkg-deb") is None:
        raise BuildError(f"there is no dpkg-deb here to unpack {path} with; install dpkg, or give a tree or a tarball")
    version = _version_of(path)
    if not version:
        raise BuildError(f"{path} is not a readable Debian package; it may be damaged: delete it and fetch it again")
    return Source(path, safe_name(version))


def _version_of(package: Path) -> str:
    return _output(["dpkg-deb", "-f", str(package), "Version"])


def _fetch(name: str, cache: Cache) -> Source:
    if shutil.which("apt-get") is None:
        raise BuildError(f"no source for {name}: this system has no apt-get; name one with --source")
    candidate = _candidate(name)
    if candidate is None and os.geteuid() == 0:
        _run(["apt-get", "update", "-qq"], cache.packages)
        candidate = _candidate(name)
    if candidate is None:
        raise BuildError(f"apt does not know the package {name}; {_FETCH_ADVICE}")
    # apt's own sandbox user cannot write here; there is nothing to protect.
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", f"{name}={candidate}"]
    with cache.new_directory(cache.packages / "fetched") as directory:
        _run(command, directory, advice=_FETCH_ADVICE)
        package = next(directory.glob(f"{name}_*.deb"), None)
        if package is None:
            raise BuildError(f"`{shlex.join(command)}` brought no package; {_FETCH_ADVICE}")
        # What is damaged does not get into the cache.
        if not _version_of(package):
            raise BuildError(f"what apt-get downloaded, {package.name}, is not a readable package; {_FETCH_ADVICE}")
        final = cache.packages / package.name
        package.rename(final)
    shutil.rmtree(cache.packages / "fetched")
    return _identify(final)


def _candidate(name: str) -> str | None:
    match = re.search(r"^\s*Candidate: (\S+)$", _output(["apt-cache", "policy", name]), re.MULTILINE)
    return match[1] if match and match[1] != "(none)" else None


def _version_key(package: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", package.stem.split("_")[1]))


# -- unpacking


def unpack(source: Source, cache: Cache) -> Tree:
    """The unpacked tree of ``source``; taken from the cache if it is whole.

    :raises BuildError: the source is damaged; nothing of it is left in the cache.
    """
    directory = cache.sources / safe_name(source.identity)
    tree = Tree(directory / "linux", source)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = read_record(directory / "source.json")
        if record.package.exists() and record.fingerprint == _fingerprint(tree.path):
            return tree
    with cache.new_directory(directory) as temporary:
        unpacked = temporary / "linux"
        if source.path.is_dir():
            shutil.copytree(source.path, unpacked, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        else:
            unpacked.mkdir()
            with _forgotten_if_damaged(source.path, cache):
                _extract(source.path, unpacked)
        kernel_version(unpacked)
        facts = {"package": _named_in_record(_keep(source.path, cache), cache), "fingerprint": _fingerprint(unpacked)}
        (temporary / "source.json").write_text(json.dumps(facts, indent=2) + "\n")
    return tree


def read_record(path: Path) -> Record:
    """Read the ``source.json`` that lies beside an unpacked tree."""
    facts = json.loads(path.read_text())
    return Record(path.parent / facts["package"], str(facts["fingerprint"]))


def _named_in_record(package: Path, cache: Cache) -> str:
    """Relative to the record what is in the cache, which may be moved; anything else where it is."""
    inside = package.parent == cache.packages
    return os.path.join("..", "..", cache.packages.name, package.name) if inside else str(package.resolve())


@contextlib.contextmanager
def _forgotten_if_damaged(package: Path, cache: Cache) -> Iterator[None]:
    """A package of the cache that cannot be unpacked is fetched anew the next time."""
    try:
        yield
    except BuildError as error:
        # A full disk is not the package's fault.
        whole = ["dpkg-deb", "--fsys-tarfile", str(package)]
        if package.parent != cache.packages.resolve() or _succeeds(whole):
            raise
        package.unlink(missing_ok=True)
        raise BuildError(f"{error}\nit was removed from the cache: run the same again to fetch it anew") from error


def _extract(archive: Path, destination: Path) -> None:
    command = ["tar", "-x", "--strip-components=1", "--no-same-owner", "-C", str(destination)]
    if archive.suffix != ".deb":
        _run([*command, "-f", str(archive)], destination, f"cannot unpack {archive}", _UNPACK_ADVICE)
        return
    # Into a file, for tar has something to say of each of 80,000 files when the disk is full, and nobody reads it yet.
    with (
        tempfile.TemporaryFile() as messages,
        _inner_tarball(archive) as packed,
        # xz on all processors: Debian's tarballs are in blocks that do not need each other.
        subprocess.Popen([*command, "-I", "xz -T0"], stdin=subprocess.PIPE, stderr=messages) as tar,
    ):
        with contextlib.suppress(BrokenPipeError):  # tar itself says why it stopped
            shutil.copyfileobj(packed, cast("IO[bytes]", tar.stdin), _CHUNK_BYTES)
        tar.communicate()
        messages.seek(0)
        said = _first_line(messages.read(_CHUNK_BYTES).decode(errors="replace"))
    if tar.returncode != 0:
        raise BuildError(f"cannot unpack {archive}: {said}; {_UNPACK_ADVICE}")


@contextlib.contextmanager
def _inner_tarball(package: Path) -> Iterator[IO[bytes]]:
    """The compressed kernel tarball inside a ``linux-source`` package, as a stream."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as outer:
                inner = next((member for member in outer if _INNER_TARBALL.fullmatch(member.name)), None)
                if inner is None:
                    raise BuildError(f"{package} has no usr/src/linux-source-*.tar.xz; is it a linux-source package?")
                yield cast("IO[bytes]", outer.extractfile(inner))
        except tarfile.TarError as error:
            raise BuildError(f"{package} is damaged ({error}); delete it and fetch it again") from error
        finally:
            process.kill()


def _keep(path: Path, cache: Cache) -> Path:
    """A link to (or copy of) the package in the cache, for the proof that the tree is untouched."""
    kept = cache.packages / path.name
    if path.is_dir() or kept.exists():
        return path if path.is_dir() else kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, kept)
    except OSError:
        shutil.copy2(path, kept)
    return kept


# -- looking into packages and trees


@contextlib.contextmanager
def open_tarball(package: Path) -> Iterator[tarfile.TarFile]:
    """The kernel in a package or a tarball, to be read through once."""
    if package.suffix == ".deb":
        with (
            _inner_tarball(package) as packed,
            lzma.open(packed) as plain,
            tarfile.open(fileobj=plain, mode="r|") as archive,
        ):
            yield archive
    else:
        with tarfile.open(package, "r") as archive:
            yield archive


def walk(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Files and links of a tree but the port's, as relative path and status."""
    stack = [""]
    while stack:
        prefix = stack.pop()
        with os.scandir(tree / prefix) as entries:
            for entry in entries:
                relative = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if relative not in (str(PORT_DIRECTORY), ".git"):
                        stack.append(relative + "/")
                else:
                    yield relative, entry.stat(follow_symlinks=False)


def _fingerprint(tree: Path) -> str:
    """A hash of the paths, sizes and times of a tree: quick, and enough to notice an edit."""
    lines = sorted(f"{relative} {status.st_size} {status.st_mtime_ns}\n" for relative, status in walk(tree))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _output(command: list[str]) -> str:
    """What a query prints; empty if it fails or does not exist."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=_plain()).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _plain() -> dict[str, str]:
    """The environment in which programs say what they say in English: apt-cache translates "Candidate" too."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _succeeds(command: list[str]) -> bool:
    return not subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def _first_line(output: str) -> str:
    """The first thing that a program said: what comes after that is what came of it."""
    return next((line.strip() for line in output.splitlines() if line.strip()), "no message")


def _run(command: list[str], directory: Path, what: str = "", advice: str = "") -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, errors="replace", check=False, env=_plain()
    )
    if done.returncode != 0:
        said = _first_line(done.stderr.strip() or done.stdout)
        raise BuildError(f"{what or f'`{shlex.join(command)}` failed'}: {said}" + (f"; {advice}" if advice else ""))
