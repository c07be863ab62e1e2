"""What a volume can be on, and what it is: a device of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liblinux._disk import probe
from liblinux._signatures import RAID_TYPE

if TYPE_CHECKING:
    from liblinux._disk import Disk, Partition
    from liblinux._errors import VolumeError
    from liblinux._kernel import Kernel
    from liblinux._signatures import Content

__all__ = ["Device", "devices_of"]


class Device:
    """A disk, a partition or a volume.

    `kind` is "disk", "partition", "lvm", "luks" or "md"; `name` what people call
    it ("2", "vg/root", "md0"); `path` its node in the kernel, "" when it could not
    be opened, and then `error` says why; `parents` what it is on; `size` in
    bytes; `content` what it looks like; `details` more, for `liblinux info`. The
    labels and UUIDs are those of a :class:`Partition`; `uuid` is that of the volume.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        path: str,
        size: int,
        parents: tuple[Device, ...] = (),
        content: Content | None = None,
        *,
        uuid: str = "",
        partition: Partition | None = None,
        error: VolumeError | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.path = path
        self.size = size
        self.parents = parents
        self.content = content
        self.uuid = uuid
        self.partition = partition
        self.error = error
        self.details: dict[str, object] = {}

    @property
    def is_snapshot(self) -> bool:
        """Whether it is a copy, with the labels and UUIDs of what it was made of: only its own name means it."""
        return self.details.get("types") == ["snapshot"]

    @property
    def problem(self) -> str:
        """Why it could not be opened, or ""."""
        return str(self.error.strerror) if self.error is not None else ""

    @property
    def type(self) -> str | None:
        """What its content is, None if that is not known."""
        return self.content.type if self.content else None

    @property
    def mountable(self) -> bool:
        """Whether it looks like a file system."""
        return self.content is not None and self.content.mountable

    @property
    def fs_label(self) -> str:
        """The label of its content."""
        return self.content.label if self.content else ""

    @property
    def fs_uuid(self) -> str:
        """The UUID of its content."""
        return self.content.uuid if self.content else ""

    @property
    def part_label(self) -> str:
        """Its name in the partition table."""
        return self.partition.part_label if self.partition else ""

    @property
    def part_uuid(self) -> str:
        """Its UUID in the partition table."""
        return self.partition.part_uuid if self.partition else ""

    def is_on(self, other: Device) -> bool:
        """Whether it is `other`, or made of it."""
        return self is other or any(parent.is_on(other) for parent in self.parents)

    def __str__(self) -> str:
        kind = {"disk": "the", "partition": "partition"}.get(self.kind, f"{self.kind} volume")
        what = f"{kind} {self.name}"
        label = f" {self.fs_label!r}" if self.fs_label else ""
        locked = ", locked" if self.type == "crypto_LUKS" else ""
        problem = f", {self.problem}" if self.problem else ""
        return f"{what}: {self.type or 'unknown content'}{label}, {self.size} bytes{locked}{problem}"


def devices_of(kernel: Kernel, disk: Disk, number: int) -> list[Device]:
    """A disk, the first or another one, and its partitions; those of a member of an array are the array's."""
    whole = Device("disk", "disk" if number == 1 else f"disk{number}", disk.path, disk.size, content=disk.content)
    if whole.type == RAID_TYPE:
        return [whole]
    return [whole, *(partition_device(kernel, whole, partition) for partition in disk.partitions)]


def partition_device(kernel: Kernel, whole: Device, partition: Partition) -> Device:
    """A partition of a disk."""
    prefix = "" if whole.name == "disk" else f"{whole.name}p"
    return Device(
        "partition",
        f"{prefix}{partition.number}",
        partition.path,
        partition.size,
        (whole,),
        probe(kernel, partition.path),
        partition=partition,
    )
