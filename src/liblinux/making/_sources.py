"""What an image is made of: a directory of the host or of another image, an archive, a container image."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._source import read_tree
from liblinux.archives._streams import decompressed
from liblinux.archives._tar_in import read_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from liblinux.archives._choice import Choice
    from liblinux.archives._entry import Entry

    # The entries, from the start each time.
    Source = Callable[[], Iterator[Entry]]

__all__ = ["KINDS", "open_source"]

KINDS = ("directory", "tar", "cpio", "oci")
_CPIO = b"0707"


@contextlib.contextmanager
def open_source(
    source: str,
    choice: Choice,
    system: Any = os,
    kind: str | None = None,
    platform: str | None = None,
    reference: str | None = None,
) -> Iterator[Source]:
    """A function that gives the entries of `source`: a path, of `system`, or "-" for standard input.

    Of directories it gives those of `choice`: the first name of a file that is
    wanted is the file, the others are links to it. `kind` is one of KINDS, None to
    tell by its content; `platform` and `reference` choose of container images.
    Raises OSError, ArchiveError, LiblinuxError.
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    if system is not os:
        yield lambda: read_tree(system, source, choice)
        return
    if source != "-" and os.path.isdir(source):
        yield _of_directory(source, choice, kind, platform, reference)
        return
    with contextlib.ExitStack() as stack:
        if source == "-":
            file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        else:
            file = stack.enter_context(open(source, "rb"))
        yield _of_file(file, source, kind, platform, reference, stack)


def _of_directory(path: str, choice: Choice, kind: str | None, platform: str | None, reference: str | None) -> Source:
    layout = os.path.isfile(os.path.join(path, "oci-layout")) and os.path.isfile(os.path.join(path, "index.json"))
    if kind == "oci" or (kind is None and layout):
        from liblinux.making._oci import ContainerImage, DirectoryStore  # noqa: PLC0415 - not every time

        return ContainerImage(DirectoryStore(path), platform, reference).entries
    if kind not in (None, "directory"):
        raise LiblinuxError(f"{path} is a directory, no {kind} archive")
    return lambda: read_tree(os, path, choice)


def _of_file(
    file: IO[bytes],
    name: str,
    kind: str | None,
    platform: str | None,
    reference: str | None,
    stack: contextlib.ExitStack,
) -> Source:
    if kind == "directory":
        raise LiblinuxError(f"{name} is a file, no directory")
    with _plain(file, name) as stream:
        start = stream.read(len(_CPIO))
    if kind == "cpio" or (kind is None and start == _CPIO):
        from liblinux.archives._cpio_in import read_cpio  # noqa: PLC0415 - not every time

        def of_cpio() -> Iterator[Entry]:
            file.seek(0)
            return read_cpio(file)

        return of_cpio
    if kind == "oci" or (kind is None and _may_be_image(file, name)):
        from liblinux.making._oci import ContainerImage, TarStore  # noqa: PLC0415 - not every time

        store = TarStore(_seekable(file, name, stack), name)
        if kind == "oci" or store.has("index.json") or store.has("manifest.json"):
            return ContainerImage(store, platform, reference).entries

    def of_tar() -> Iterator[Entry]:
        with _plain(file, name) as stream:
            yield from read_tar(stream)

    return of_tar


def _may_be_image(file: IO[bytes], name: str) -> bool:
    """Whether the first member of a tar is one that container images have: they have no others."""
    from liblinux.making._oci import looks_like_image  # noqa: PLC0415 - not every time

    with _plain(file, name) as stream:
        first = next(read_tar(stream), None)
    return first is not None and looks_like_image(first.path)


@contextlib.contextmanager
def _plain(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """The file from its start, decompressed."""
    file.seek(0)
    with decompressed(file, name) as stream:
        yield stream


def _seekable(file: IO[bytes], name: str, stack: contextlib.ExitStack) -> IO[bytes]:
    """A file with the decompressed content that can be read at any place."""
    with _plain(file, name) as stream:
        if stream is file:  # it was not compressed
            return file
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
        return copy
