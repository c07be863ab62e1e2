"""Everything out of an image that may be hostile, into a directory that it cannot leave.

What can go wrong is taken care of in this order:

- The image is opened in an isolated kernel (`untrusted`): one that it breaks, or
  takes over, has nothing. Its processor time is limited, and the time of all.
- The tree is listed, and held against the limits, before anything is written.
- What would give rights to somebody (setuid bits, devices, owners, attributes) is
  left out unless it is asked for.
- No path is used as a path: each directory is opened below the target without
  following links, and names are made in it that are one component (copy.c). A link
  of the image is a text, and nothing goes through it.
- No more data is written than the limit says, whatever sizes were told.
- The result is there under its name when it is complete.
"""

from __future__ import annotations

import errno
import os
import stat as stat_modes
import threading
from contextlib import contextmanager

from liblinux._arrival import arriving
from liblinux._errors import KernelPanic, LiblinuxError
from liblinux._image_root import ImageRoot
from liblinux._os_base import decode, encode
from liblinux._typing import TYPE_CHECKING, Any, Literal, Value
from liblinux.copying._copy import KEEP, Copy, CopyOptions, CopyProgress
from liblinux.copying._manifest import Manifest
from liblinux.copying._place import Place
from liblinux.copying._report import CopyFailed, CopyReport
from liblinux.copying._survey import DEV, INO, NLINK, Survey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["RIGHTS", "ExtractLimits", "ExtractRefused", "Extracted", "extract", "extract_tree"]

GIB = 1 << 30
RIGHTS = frozenset({"owners", "setuid", "devices", "xattrs"})
_ALLOW = "allow more, if you trust it"
_STICKY = 0o1777
_EVERY_BIT = 0o7777


class ExtractLimits(Value):
    """How much may come out of an image. 0 is no limit.

    - `bytes`: of all files together, holes counted as what they say they are;
    - `files`: entries of any kind;
    - `depth`: directories in each other;
    - `seconds`: of time for everything; the kernel's processor time is limited to the same.
    """

    bytes: int = 64 * GIB
    files: int = 1_000_000
    depth: int = 200
    seconds: int = 3600


class ExtractRefused(LiblinuxError):
    """The image has more than the limits allow; nothing of it was kept."""


class Extracted(Value):
    """What came out: `entries` and `bytes`, how many lines the manifest has, and what could not be read."""

    entries: int
    bytes: int
    noted: int
    report: CopyReport


def extract(
    image: Any,
    directory: Any,
    *,
    path: str = "/",
    rights: Collection[str] = (),
    links: Literal["keep", "skip"] = "keep",
    limits: ExtractLimits | None = None,
    manifest: Any = None,
    keep_partial: bool = False,
    untrusted: bool = True,
    progress: CopyProgress | None = None,
    **options: Any,
) -> Extracted:
    """Extract everything below `path` of an image that need not be trusted.

    `directory` must not be there; what is extracted is in `directory`.partial until
    it is complete, and is removed when that fails, unless keep_partial=True. Made are
    directories, files and symbolic links, with the permissions (rwx) and times of the
    image. `rights` names what else may be set: "owners", "setuid" (setuid and setgid
    bits), "devices" (pipes and sockets too), "xattrs" (ACLs and capabilities too). With
    links="skip", symbolic links that lead out of the directory are left out.

    What the host does not have of the image is in the file `manifest` (None: it is
    `directory`.manifest.jsonl), a JSON object on each line: path, what, value, why.

    `limits` are an :class:`ExtractLimits`, `image` and `options` those of
    :func:`open_image` (partition, type, version, memory, ...).

    Raises ExtractRefused when a limit is exceeded, CopyFailed when some entries could
    not be read (the others are there), FileExistsError, and what opening an image
    raises: MountError, KernelPanic and KernelDied among others.
    """
    limits = limits or ExtractLimits()
    with _time_limit(limits) as watch:
        given = {"cpu_seconds": limits.seconds, **options} if limits.seconds and untrusted else options
        with ImageRoot(image, untrusted=untrusted, **given) as root, watch(root):
            return extract_tree(
                root.os,
                path,
                directory,
                rights=rights,
                links=links,
                limits=limits,
                manifest=manifest,
                keep_partial=keep_partial,
                progress=progress,
            )


@contextmanager
def _time_limit(limits: ExtractLimits) -> Iterator[Any]:
    """A function that makes a watched block of an open image: its kernel ends when the time is over."""
    over = threading.Event()
    opened: list[ImageRoot] = []

    def end() -> None:
        over.set()
        for root in opened:
            root.kernel.abort()

    timer = threading.Timer(limits.seconds, end)
    timer.daemon = True

    @contextmanager
    def watch(root: ImageRoot) -> Iterator[None]:
        opened.append(root)
        if over.is_set():
            root.kernel.abort()
        yield
        opened.clear()

    if limits.seconds:
        timer.start()
    try:
        yield watch
    except KernelPanic as panic:
        if over.is_set():
            raise ExtractRefused(f"it took longer than {limits.seconds} seconds; {_ALLOW}") from panic
        raise
    finally:
        timer.cancel()


def extract_tree(
    system: Any,
    path: str,
    directory: Any,
    *,
    rights: Collection[str] = (),
    links: Literal["keep", "skip"] = "keep",
    limits: ExtractLimits | None = None,
    manifest: Any = None,
    keep_partial: bool = False,
    progress: CopyProgress | None = None,
) -> Extracted:
    """The same of an image that is open; `system` is its os. Of the limits `seconds` is the caller's."""
    limits = limits or ExtractLimits()
    if unknown := set(rights) - RIGHTS:
        raise ValueError(f"rights: no {', '.join(sorted(unknown))}; there are {', '.join(sorted(RIGHTS))}")
    name = encode(directory).rstrip(b"/")
    if os.path.lexists(name):
        raise FileExistsError(errno.EEXIST, "it is there already; extract to a new directory", directory)
    if os.path.lexists(name + b".partial"):
        raise FileExistsError(errno.EEXIST, "left over from another time; remove it first", decode(name + b".partial"))
    with Place(system, path) as source, Place(os, name) as target:
        survey = _survey(source, limits)
        listed = os.fsdecode(manifest or name + b".manifest.jsonl")
        with arriving(listed) as arrives, open(arrives, "w", encoding="utf-8") as file:
            notes = Manifest(file, survey, source)
            indices = notes.choose(frozenset(rights), skip_links=links == "skip")
            copy = Copy(
                survey,
                source,
                target,
                _options(frozenset(rights), limits),
                progress=progress,
                temporary=os.path.basename(name) + b".partial",
                keep_partial=keep_partial,
            )
            report, failed = _run(copy, indices, limits)
            notes.add_problems(copy.problems)
    if failed:
        raise failed
    return Extracted(report.entries, report.bytes, notes.lines, report)


def _run(copy: Copy, indices: list[int], limits: ExtractLimits) -> tuple[CopyReport, CopyFailed | None]:
    """What has come of the copy, and why some of it was not made."""
    try:
        return copy.run(indices), None
    except CopyFailed as error:
        return error.report, error
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise ExtractRefused(f"its files have more than {limits.bytes:,} bytes, and said they had not") from error


def _options(rights: frozenset[str], limits: ExtractLimits) -> CopyOptions:
    keep = KEEP["mode"] | KEEP["times"]
    keep |= KEEP["owner"] if "owners" in rights else 0
    keep |= KEEP["xattrs"] if "xattrs" in rights else 0
    mask = _EVERY_BIT if "setuid" in rights else _STICKY
    most = {"most": limits.bytes} if limits.bytes else {}
    return CopyOptions(keep=keep, mode_mask=mask, exact=True, **most)


def _survey(source: Place, limits: ExtractLimits) -> Survey:
    """What there is, if it is within the limits."""
    try:
        survey = Survey(source, most=limits.files)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        raise ExtractRefused(f"there are more than {limits.files:,} files in it; {_ALLOW}") from None
    if limits.bytes and (size := _size(survey)) > limits.bytes:
        raise ExtractRefused(f"its files have {size:,} bytes and {limits.bytes:,} are allowed; {_ALLOW}")
    if limits.depth:
        for path, _ in survey.listing:
            if path.count(b"/") >= limits.depth:
                shown = decode(path)[:80]
                raise ExtractRefused(f"its directories are more than {limits.depth} deep ({shown}…); {_ALLOW}")
    return survey


def _size(survey: Survey) -> int:
    """Bytes of all files, each counted once."""
    sizes, links, inodes, devices = survey.sizes(), *(survey.column(index) for index in (NLINK, INO, DEV))
    total = 0
    several: dict[tuple[int, int], int] = {}
    for index, mode in enumerate(survey.modes):
        if not stat_modes.S_ISREG(mode):
            continue
        if links[index] > 1:
            several[inodes[index], devices[index]] = sizes[index]
        else:
            total += sizes[index]
    return total + sum(several.values())
