"""How the file system under test is mounted, in the workload and after every crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from liblinux._kernel import Kernel

if TYPE_CHECKING:
    from liblinux._disk import Disk

__all__ = ["MOUNT_POINT", "Setup"]

MOUNT_POINT = "/mnt"
# Time of day when the kernels boot, so that a recording does not depend on today: 1 January 2025.
_REALTIME = 1_735_689_600 * 10**9


@dataclass(frozen=True)
class Setup:
    """What is the same for all kernels of one crash test.

    `type` of the file system, or None to have it detected; mount `options` of the
    workload, and those after a crash, `check_options`; `partition`, `sector_size`,
    `memory` and `version` as :class:`Kernel` and its methods take them.
    """

    type: str | None = None
    options: str = ""
    check_options: str = ""
    partition: int | None = None
    sector_size: int = 512
    memory: int | str = "64M"
    version: str | None = None

    def boot(self, seed: int | str) -> Kernel:
        """A kernel in which time passes only when nothing else is left to do."""
        return Kernel(self.memory, "virtual", seed, version=self.version, realtime=_REALTIME)

    def mount(self, kernel: Kernel, disk: Disk, options: str) -> str:
        """Mount the disk; returns the type of the file system."""
        return kernel.mount(disk, MOUNT_POINT, partition=self.partition, type=self.type, options=options).type
