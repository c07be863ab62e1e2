"""What a file system says of itself, mounted read-only for a moment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from liblinux.imageinfo._features import features_of_device, features_of_mount

if TYPE_CHECKING:
    from typing import Any

    from liblinux._kernel import Kernel

__all__ = ["describe_filesystem"]

_ROOT = "/mnt"
_LABEL_BYTES = 256
_GET_LABEL = 2 << 30 | _LABEL_BYTES << 16 | 0x94 << 8 | 49


def describe_filesystem(kernel: Kernel, device: str, type: str | None, uuid: str) -> dict[str, Any]:
    """Sizes in bytes, numbers of files, label, features. MountError when it cannot be mounted."""
    features = features_of_device(kernel, type, device)
    mount = kernel.mount(device, _ROOT, readonly=True, options="nodev,nosuid,noexec")
    try:
        numbers = kernel.os.statvfs(_ROOT)
        return {
            "type": mount.type,
            "label": _label(kernel),
            "block_size": numbers.f_frsize,
            "size": numbers.f_blocks * numbers.f_frsize,
            "free": numbers.f_bfree * numbers.f_frsize,
            "available": numbers.f_bavail * numbers.f_frsize,
            "files": numbers.f_files,
            "files_free": numbers.f_ffree,
            "longest_name": numbers.f_namemax,
            "features": features or features_of_mount(kernel, mount.type, device, _ROOT, uuid),
            "mount_options": _options(kernel),
        }
    finally:
        kernel.umount(mount)


def _label(kernel: Kernel) -> str:
    """The label as the driver knows it: some keep it where a look at the super block does not find it."""
    text = bytearray(_LABEL_BYTES)
    descriptor = kernel.os.open(_ROOT, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if kernel.os.call("ioctl", descriptor, _GET_LABEL, text) < 0:
            return ""  # not all have that call
    finally:
        kernel.os.close(descriptor)
    return bytes(text).partition(b"\0")[0].decode("utf-8", "replace")


def _options(kernel: Kernel) -> str:
    for line in kernel._read_text("/proc/self/mounts").splitlines():
        _, target, _, options, *_ = line.split(" ")
        if target == _ROOT:
            return options
    return ""
