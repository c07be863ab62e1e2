"""Mounting: options as mount(8) takes them, and finding the type of a file system."""

from __future__ import annotations

import builtins
import errno
import os
import stat

from liblinux import _abi
from liblinux._attempt import Attempt
from liblinux._choose import choose_device
from liblinux._disk import Disk, probe
from liblinux._errors import MountError
from liblinux._signatures import RAID_TYPE
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from liblinux._dmesg import Record
    from liblinux._kernel import Kernel

__all__ = ["Mount", "mount", "parse_options"]

# Option: (flags to set, flags to clear); everything else is the file system's own.
_FLAGS: dict[str, tuple[int, int]] = {
    "defaults": (0, 0),
    "ro": (_abi.MS_RDONLY, 0),
    "rw": (0, _abi.MS_RDONLY),
    "suid": (0, _abi.MS_NOSUID),
    "nosuid": (_abi.MS_NOSUID, 0),
    "dev": (0, _abi.MS_NODEV),
    "nodev": (_abi.MS_NODEV, 0),
    "exec": (0, _abi.MS_NOEXEC),
    "noexec": (_abi.MS_NOEXEC, 0),
    "sync": (_abi.MS_SYNCHRONOUS, 0),
    "async": (0, _abi.MS_SYNCHRONOUS),
    "dirsync": (_abi.MS_DIRSYNC, 0),
    "remount": (_abi.MS_REMOUNT, 0),
    "mand": (_abi.MS_MANDLOCK, 0),
    "nomand": (0, _abi.MS_MANDLOCK),
    "nosymfollow": (_abi.MS_NOSYMFOLLOW, 0),
    "symfollow": (0, _abi.MS_NOSYMFOLLOW),
    "atime": (0, _abi.MS_NOATIME),
    "noatime": (_abi.MS_NOATIME, 0),
    "diratime": (0, _abi.MS_NODIRATIME),
    "nodiratime": (_abi.MS_NODIRATIME, 0),
    "relatime": (_abi.MS_RELATIME, 0),
    "norelatime": (0, _abi.MS_RELATIME),
    "strictatime": (_abi.MS_STRICTATIME, 0),
    "nostrictatime": (0, _abi.MS_STRICTATIME),
    "lazytime": (_abi.MS_LAZYTIME, 0),
    "nolazytime": (0, _abi.MS_LAZYTIME),
    "bind": (_abi.MS_BIND, 0),
    "rbind": (_abi.MS_BIND | _abi.MS_REC, 0),
    "move": (_abi.MS_MOVE, 0),
    "private": (_abi.MS_PRIVATE, 0),
    "rprivate": (_abi.MS_PRIVATE | _abi.MS_REC, 0),
    "shared": (_abi.MS_SHARED, 0),
    "rshared": (_abi.MS_SHARED | _abi.MS_REC, 0),
    "slave": (_abi.MS_SLAVE, 0),
    "rslave": (_abi.MS_SLAVE | _abi.MS_REC, 0),
    "unbindable": (_abi.MS_UNBINDABLE, 0),
    "runbindable": (_abi.MS_UNBINDABLE | _abi.MS_REC, 0),
    "silent": (_abi.MS_SILENT, 0),
    "loud": (0, _abi.MS_SILENT),
}
# Options that only mount(8) and fstab know.
_IGNORED = frozenset({"auto", "noauto", "user", "nouser", "users", "nofail", "_netdev"})
_NO_TYPE_NEEDED = (
    _abi.MS_BIND
    | _abi.MS_MOVE
    | _abi.MS_REMOUNT
    | _abi.MS_PRIVATE
    | _abi.MS_SHARED
    | _abi.MS_SLAVE
    | _abi.MS_UNBINDABLE
)
_NoneType = builtins.type(None)
# Types that may mount what looks like another.
_RELATED = {"ext2": ("ext4",), "ext3": ("ext4",), "udf": ("iso9660",)}
# Two bytes in the right place prove nothing, nor does a boot sector.
_SHORT_MAGIC = ("hfs", "minix", "nilfs2", "vfat")
# What can be done with what is none.
_INSTEAD = {
    "crypto_LUKS": "liblinux.open_image(image, passphrase=...) opens it",
    "LVM2_member": "liblinux.open_image(image, volume='group/volume') opens a volume of it; `liblinux info` lists them",
    RAID_TYPE: "liblinux.open_image(image, members=[...]) puts the array together",
}
# How kernels say that what they found makes no sense.
_DAMAGED = (errno.EINVAL, errno.EBADMSG, errno.EUCLEAN, errno.EIO, errno.ENOENT, errno.ENOMEM)
_JOURNALLED = ("ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "ntfs3")


class Mount(Value):
    """A mounted file system; unmounts at the end of a `with` block."""

    kernel: Kernel
    source: str
    target: str
    type: str
    readonly: bool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.kernel.closed:
            self.umount()

    def umount(self) -> None:
        """Unmount it, as :meth:`Kernel.umount` does."""
        self.kernel.umount(self.target)


def parse_options(options: str) -> tuple[int, str]:
    """Split options as mount(8) does: the MS_* flags, and what is left for the file system."""
    flags = 0
    data: list[str] = []
    for option in _split(options):
        if option in _FLAGS:
            on, off = _FLAGS[option]
            flags = flags & ~off | on
        elif option not in _IGNORED and not option.startswith("x-"):
            data.append(option)
    return flags, ",".join(data)


def _split(options: str) -> Iterator[str]:
    """The options between commas; a comma inside double quotes (SELinux contexts) does not separate."""
    quoted = False
    start = 0
    for position, character in enumerate(options + ","):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            option = options[start:position].strip()
            start = position + 1
            if option:
                yield option


def mount(
    kernel: Kernel,
    source: Disk | str | None,
    target: str,
    *,
    partition: int | str | None,
    type: str | None,
    options: str,
    readonly: bool | None,
) -> Mount:
    """Mount `source` on `target`; see :meth:`Kernel.mount`."""
    _check_type("source", source, Disk, str, _NoneType)
    _check_type("target", target, str, bytes)
    _check_type("partition", partition, int, str, _NoneType)
    _check_type("type", type, str, _NoneType)
    _check_type("options", options, str)
    flags, data = parse_options(options)
    if readonly is not None:
        flags = flags | _abi.MS_RDONLY if readonly else flags & ~_abi.MS_RDONLY
    if partition is not None and not isinstance(source, Disk):
        raise ValueError("partition= goes with a disk; a device is named by its path, as /dev/lda1")
    if isinstance(source, Disk):
        if source._kernel is not kernel:
            raise ValueError(f"{source!r} is attached to another kernel; attach it to this one")
        source._check_attached()
    kernel.os.makedirs(target, exist_ok=True)
    if isinstance(source, Disk):
        device = choose_device(source, partition)
        if source.readonly:
            flags |= _abi.MS_RDONLY
    else:
        device = source if source is not None else (type or "none")
    mounting = _Mounting(kernel, source, device, target, flags, data, may_fall_back=readonly is None)
    return mounting.run(type)


def _check_type(name: str, value: object, *types: builtins.type) -> None:
    # A bool is an int, and as the number of a partition a mistake.
    if not isinstance(value, types) or isinstance(value, bool):
        wanted = " or ".join("None" if each is _NoneType else each.__name__ for each in types)
        raise TypeError(f"{name} of a mount must be {wanted}, not {builtins.type(value).__name__}")


class _Mounting:
    """One mount and all the types that are tried for it."""

    def __init__(
        self,
        kernel: Kernel,
        source: Disk | str | None,
        device: str,
        target: str,
        flags: int,
        data: str,
        *,
        may_fall_back: bool,
    ) -> None:
        self._kernel = kernel
        self._source = source
        self._device = device
        self._target = target
        self._flags = flags
        self._data = data
        self._may_fall_back = may_fall_back
        self._tried: list[str] = []
        self._detected: str | None = None
        # Of the type that the content looks like, before others are tried: what these say hides it.
        self._log: list[Record] = []
        self._untouched = True
        self._not_restored = ""
        self._kernel._log.mark()  # what comes after belongs to this mount

    def run(self, type: str | None) -> Mount:
        given = type is not None or self._flags & _NO_TYPE_NEEDED
        candidates: Iterable[str] = (type or "",) if given else self._candidates()
        first_error = 0
        for candidate in candidates:
            if len(self._tried) == 1 and self._detected:
                self._log = self._kernel._log.take()
            self._tried.append(candidate)
            error = self._try(candidate)
            if not error:
                return self._done(candidate)
            first_error = first_error or error
            # EINVAL is "not mine"; anything else is the verdict of the right driver.
            if error not in (errno.EINVAL, errno.ENODEV):
                first_error = error
                break
        raise self._failure(first_error or errno.ENODEV)

    def _try(self, type: str) -> int:
        """0, or the errno; a write-protected medium is mounted read-only, as mount(8) does."""
        error = self._mount(type, self._flags)
        protected = error in (errno.EROFS, errno.EACCES) and not self._flags & _abi.MS_RDONLY
        if protected and self._may_fall_back and not self._mount(type, self._flags | _abi.MS_RDONLY):
            self._flags |= _abi.MS_RDONLY
            return 0
        return error

    def _mount(self, type: str, flags: int) -> int:
        with Attempt(self._kernel, self._device, self._data) as attempt:
            result = self._kernel.os.call("mount", self._device, self._target, type or None, flags, self._data or None)
            attempt.succeeded = not result
        self._untouched = self._untouched and attempt.restored
        self._not_restored = attempt.not_restored or self._not_restored
        return -result

    def _candidates(self) -> Iterator[str]:
        """The type that the content looks like; all types of the kernel when that is not known for sure."""
        kernel = self._kernel
        try:
            mode = kernel.os.stat(self._device).st_mode
        except OSError as error:
            raise MountError(
                error.errno or 0, "no such device", self._device, advice="for a virtual file system give type="
            ) from None
        if not stat.S_ISBLK(mode):
            raise MountError(errno.ENOTBLK, "not a block device; give type= or options='bind'", self._device)
        content = probe(kernel, self._device)
        if content is not None:
            self._detected = content.type
            if not content.mountable:
                raise MountError(
                    errno.EINVAL,
                    f"holds {content.type}, which is not a file system",
                    self._device,
                    advice=_INSTEAD.get(content.type, ""),
                )
            yield content.type
            yield from _RELATED.get(content.type, ())
            if content.type not in _SHORT_MAGIC:
                # No other driver could do more than add its complaint to the log.
                return
        for name in _device_types(kernel):
            if name != self._detected:
                yield name

    def _done(self, type: str) -> Mount:
        self._kernel._log.pump()
        readonly = bool(self._flags & _abi.MS_RDONLY)
        return Mount(self._kernel, self._device, self._target, type, readonly)

    def _failure(self, error: int) -> MountError:
        log = self._log or self._kernel._log.take()
        partitions = self._source.partitions if isinstance(self._source, Disk) else ()
        return MountError(
            error,
            f"cannot mount on {self._target}: {os.strerror(error)}",
            self._device,
            partitions=partitions,
            types=[type for type in self._tried if type],
            log=log,
            advice="\n".join(filter(None, (self._not_restored, self._advice(error)))),
        )

    def _advice(self, error: int) -> str:
        type = self._tried[0] if self._tried else None
        if error == errno.EROFS and type in _JOURNALLED:
            return "its journal must be replayed first: attach the disk with overlay=True, or writable"
        if error == errno.ENODEV:
            return f"this kernel has no file system {type!r}; kernel.open('/proc/filesystems') lists them"
        if error == errno.EINVAL and self._detected is None and len(self._tried) > 1:
            return "no known file system was recognised: the image may be damaged, encrypted or partitioned"
        if error == errno.EBUSY:
            return (
                "the device, or a part of it, is in use: unmount what is mounted of it, or leave out type= and options="
            )
        return self._advice_by_content(error, type)

    def _advice_by_content(self, error: int, type: str | None) -> str:
        looks_like = self._detected or self._looks_like()
        if looks_like is not None and looks_like not in (type, *_RELATED.get(type or "", ())):
            return f"it looks like {looks_like}: leave out type="
        if error == errno.EINVAL and self._data:
            return f"the file system may not know one of the options {self._data!r}"
        if looks_like is not None and error in _DAMAGED:
            changed = " (it was not changed by this attempt)" if self._untouched else ""
            return f"it may be damaged: `liblinux fsck` checks and repairs an image{changed}"
        return ""

    def _looks_like(self) -> str | None:
        """What is on the device, where a type was given."""
        content = probe(self._kernel, self._device) if isinstance(self._source, Disk) else None
        return content.type if content is not None else None


def _device_types(kernel: Kernel) -> list[str]:
    """The types of /proc/filesystems that need a device; FUSE needs a server too."""
    lines = kernel._read_text("/proc/filesystems").splitlines()
    return [line.strip() for line in lines if not line.startswith("nodev") and line.strip() != "fuseblk"]
