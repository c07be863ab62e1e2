"""Image file, partition and file system get another size together, in the order in which nothing can be lost.

Larger: the file, then the partition, then the file system; until the last step
has begun, all is put back when something fails. Smaller: the other way round.
"""

from __future__ import annotations

import contextlib
import os

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.upkeep._device import Device
from liblinux.upkeep._partitions import SECTOR_BYTES, Table
from liblinux.upkeep._sizes import METHODS, Offline, Online, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from liblinux.commands._image import ImageOptions
    from liblinux.upkeep._sizes import Method

__all__ = ["Resized", "resize"]

_ALIGNMENT = 4096  # the blocks of most file systems


class _Unfinished(LiblinuxError):
    """The file system may have its new size, or a part of it: nothing around it may be put back."""


class Resized(Value):
    """Sizes in bytes, before and after: of the partition or bare file system, and of the image file."""

    type: str
    size_before: int
    size: int
    image_size_before: int
    image_size: int


class _Plan(Value):
    """What is there, and what is to be."""

    image: str
    type: str
    number: int | None
    before: int
    wanted: int
    image_before: int
    image_wanted: int


def resize(options: ImageOptions, image: str, choose: Callable[[int], int | None]) -> Resized:
    """Resize; `choose` makes the size that is wanted, in bytes, of the one that is there, None for all the room.

    Raises LiblinuxError for what cannot be resized, OSError of the kernel; then
    sizes are what they were.
    """
    plan, table = _plan(options, image, choose)
    method = METHODS.get(plan.type)
    if plan.wanted != plan.before:
        way = _way(plan, method)
        if plan.wanted > plan.before:
            with _room(options, plan, table):
                _apply(options, plan, way)
        else:
            _apply(options, plan, way)
            if table is not None and plan.number is not None:
                table.write(plan.number, plan.wanted // SECTOR_BYTES)
            _cut(plan, table)
    return Resized(plan.type, plan.before, plan.wanted, plan.image_before, os.stat(image).st_size)


def _plan(options: ImageOptions, image: str, choose: Callable[[int], int | None]) -> tuple[_Plan, Table | None]:
    with Device(options, image) as device:
        if not device.is_raw_file or (device.partition is None and not device.is_whole_file):
            raise LiblinuxError(f"{image}: only raw images, and partitions in them, are resized; copy what is in it")
        partition, before, type = device.partition, device.size, device.type
    image_before = os.stat(image).st_size
    chosen = choose(before)
    if partition is None:
        wanted = image_before if chosen is None else chosen
        wanted -= wanted % _ALIGNMENT
        return _Plan(image, type, None, before, wanted, image_before, max(wanted, 0)), None
    if options.sector_size != SECTOR_BYTES:
        raise LiblinuxError("tables of disks with sectors of other sizes than 512 bytes are not changed")
    table = Table(image)
    is_last = table.next_start(partition.number) is None
    room = table.room(partition.number, image_before)
    wanted = max(room, before) if chosen is None else chosen
    wanted -= wanted % _ALIGNMENT
    if not is_last and wanted > room:
        raise LiblinuxError(
            f"{image}: partition {partition.number} can grow to {room:,} bytes, there the next one begins; "
            "only the last one has no such limit"
        )
    moves = is_last and wanted != before
    image_wanted = table.end_of_disk(partition.number, wanted // SECTOR_BYTES) if moves else image_before
    if wanted > before:
        image_wanted = max(image_wanted, image_before)
    return _Plan(image, type, partition.number, before, wanted, image_before, image_wanted), table


def _way(plan: _Plan, method: Method | None) -> Online | Offline:
    if method is None:
        known = ", ".join(sorted(METHODS))
        raise LiblinuxError(f"{plan.image}: no way is known to resize {plan.type or 'what is in it'}; one of {known}")
    if plan.wanted <= 0:
        raise LiblinuxError(f"{plan.image}: a size of {plan.wanted:,} bytes is none")
    way = method.grow if plan.wanted > plan.before else method.shrink
    if way is None:
        raise LiblinuxError(f"{plan.image}: {method.why_not}")
    return way


@contextlib.contextmanager
def _room(options: ImageOptions, plan: _Plan, table: Table | None) -> Iterator[None]:
    """A larger file and partition; as they were when the block fails and the file system has not grown."""
    grown = False
    try:
        os.truncate(plan.image, plan.image_wanted)
        if table is not None:
            table.write(plan.number, plan.wanted // SECTOR_BYTES)
        before = _blocks(options, plan)
        try:
            yield
        except BaseException as error:
            # Some kernels grow step by step: what has come of it is to be seen.
            grown = isinstance(error, _Unfinished) or _blocks(options, plan) != before
            raise
    except BaseException:
        if not grown:
            os.truncate(plan.image, plan.image_before)
            if table is not None:
                table.write()
        raise


def _blocks(options: ImageOptions, plan: _Plan) -> int:
    """How many blocks the file system says that it has; 0 when it cannot be mounted."""
    try:
        with options.open(plan.image, overlay=True) as image:
            return image.os.statvfs("/").f_blocks
    except (OSError, LiblinuxError):
        return 0


def _cut(plan: _Plan, table: Table | None) -> None:
    """The end of the file, which nothing uses any more; a GPT has its copy at the new end."""
    if plan.image_wanted >= plan.image_before:
        return
    os.truncate(plan.image, plan.image_wanted)
    if table is not None and plan.number is not None:
        table.write(plan.number, plan.wanted // SECTOR_BYTES)


def _apply(options: ImageOptions, plan: _Plan, way: Online | Offline) -> None:
    try:
        if isinstance(way, Online):
            with options.open(plan.image, writable=True) as image:
                way.resize(image, plan.wanted)
            return
        with Device(options, plan.image, writable=True) as device:
            try:
                with device.as_file(write_back=True) as path:
                    way.resize(path, plan.wanted)
            except BaseException as error:
                if device.committed:
                    raise _Unfinished(str(error)) from error
                raise
    except OSError as error:
        explain(error, plan.type, plan.wanted)
        error.filename = error.filename or plan.image
        raise
