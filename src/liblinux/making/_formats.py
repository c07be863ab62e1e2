"""File systems that images are made of: their tools, how large they must be, how they are told identifiers.

The sizes are estimates, on the large side; make_image() makes the image larger when one was too small.
"""

from __future__ import annotations

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.making._jfs import format_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

__all__ = ["FORMATS", "READ_ONLY", "Amount", "Format", "Identity"]

KIB = 1 << 10
MIB = 1 << 20
_JOURNALLED = 2 * MIB  # and without a journal when it is that small
_LINUX = ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "83")
_DATA = ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "07")
_FAT32 = ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "0c")
# What mkfs.fat gives a root directory, and what it gives at most.
_FAT_ENTRIES, _FAT_ENTRIES_MOST = 512, 32256
_APPLE = ("48465300-0000-11AA-AA11-00306543ECAC", "af")


class Amount(Value):
    """How much there is to store: entries, bytes of content, the same in blocks of 4 KiB; what FAT's root must hold."""

    entries: int
    bytes: int
    blocks: int
    fat_entries: int = 0

    def rounded(self, unit: int) -> int:
        """About the bytes of blocks of another size; every file wastes half of one."""
        return self.bytes + self.entries * unit // 2 if unit > 4 * KIB else self.blocks * 4 * KIB


class Identity(Value):
    """What a file system is called. `start` is where it begins on the disk, in sectors of 512 bytes.

    `inodes` and `fat_entries`, those of the root directory, are how many it shall have.
    """

    uuid: UUID | None
    label: str
    start: int = 0
    inodes: int = 0
    fat_entries: int = 0


class Format(Value):
    """A file system: its tool with what is always given, and the Debian package that has it.

    `estimate` gives the bytes that an amount takes, `minimum` the smallest size;
    `identify` the options for label and UUID; `label_bytes` how long a label may be.
    `fixed`: the tool itself gives the same bytes each time, with SOURCE_DATE_EPOCH.
    `afterwards` is called with the path and where it begins there, in bytes, when all is in it.
    """

    name: str
    type: str
    mkfs: tuple[str, ...]
    package: str
    estimate: Callable[[Amount], int]
    identify: Callable[[Identity], list[str]]
    minimum: int
    label_bytes: int
    has_uuid: bool = True
    partition: tuple[str, str] = _LINUX
    mount_options: str = "noatime"
    fixed: bool = False
    afterwards: Callable[[str, int], None] | None = None

    def command(self, path: str, identity: Identity, options: list[str]) -> list[str]:
        """The command line that makes it. LiblinuxError when it cannot be called so."""
        if len(identity.label.encode()) > self.label_bytes:
            raise LiblinuxError(f"a label of {self.name} has at most {self.label_bytes} bytes: {identity.label!r}")
        return [*self.mkfs, *_joined([*self.identify(identity), *options]), path]


def _joined(options: list[str]) -> list[str]:
    """All -E options in one, for mke2fs looks at the last only."""
    if options.count("-E") < 2:
        return options
    rest, values = [], []
    arguments = iter(options)
    for option in arguments:
        if option == "-E":
            values.append(next(arguments, ""))
        else:
            rest.append(option)
    return [*rest, "-E", ",".join(values)]


def _ext(identity: Identity) -> list[str]:
    options = ["-L", identity.label] if identity.label else []
    if identity.uuid:
        options += ["-U", str(identity.uuid), "-E", f"hash_seed={identity.uuid}"]
    return options + (["-N", str(identity.inodes)] if identity.inodes else [])


def _xfs(identity: Identity) -> list[str]:
    return (["-L", identity.label] if identity.label else []) + _uuid(identity, "-m", "uuid=")


def _btrfs(identity: Identity) -> list[str]:
    return (["-L", identity.label] if identity.label else []) + _uuid(identity, "-U")


def _f2fs(identity: Identity) -> list[str]:
    return (["-l", identity.label] if identity.label else []) + _uuid(identity, "-U")


def _fat(identity: Identity) -> list[str]:
    options = ["-n", identity.label] if identity.label else []
    if identity.uuid:
        options += ["-i", identity.uuid.hex[:8]]
    # The root directory of FAT12 and FAT16 does not grow; FAT32, of which mkfs.fat ignores this, has no such one.
    if _FAT_ENTRIES < identity.fat_entries <= _FAT_ENTRIES_MOST:
        options += ["-r", str(-(-identity.fat_entries // _FAT_ENTRIES) * _FAT_ENTRIES)]
    return options + (["-h", str(identity.start)] if identity.start else [])


def _labelled(identity: Identity) -> list[str]:
    return ["-L", identity.label] if identity.label else []


def _ntfs(identity: Identity) -> list[str]:
    return [*_labelled(identity), *(["-p", str(identity.start), "-H", "255", "-S", "63"] if identity.start else [])]


def _hfsplus(identity: Identity) -> list[str]:
    return ["-v", identity.label] if identity.label else []


def _udf(identity: Identity) -> list[str]:
    options = [f"--label={identity.label}"] if identity.label else []
    return options + ([f"--uuid={identity.uuid.hex[:16]}"] if identity.uuid else [])


def _minix(identity: Identity) -> list[str]:
    return ["-i", str(min(identity.inodes, 65535))]


def _uuid(identity: Identity, option: str, prefix: str = "") -> list[str]:
    return [option, f"{prefix}{identity.uuid}"] if identity.uuid else []


def _linear(factor: float, entry: int, base: int, unit: int = 4 * KIB) -> Callable[[Amount], int]:
    def estimate(amount: Amount) -> int:
        return int(amount.rounded(unit) * factor) + amount.entries * entry + base

    return estimate


def _minix_size(amount: Amount) -> int:
    return int(amount.bytes * 1.01) + amount.entries * (KIB + 128) + 2 * MIB


_ALL = (
    Format("ext2", "ext2", ("mkfs.ext2", "-qF"), "e2fsprogs", _linear(1.02, 600, 2 * MIB), _ext, MIB, 16, fixed=True),
    Format(
        "ext3",
        "ext3",
        ("mkfs.ext3", "-qF"),
        "e2fsprogs",
        _linear(1.04, 600, 20 * MIB),
        _ext,
        _JOURNALLED,
        16,
        fixed=True,
    ),
    Format(
        "ext4",
        "ext4",
        ("mkfs.ext4", "-qF"),
        "e2fsprogs",
        _linear(1.04, 600, 20 * MIB),
        _ext,
        _JOURNALLED,
        16,
        mount_options="noatime,noinit_itable",
        fixed=True,
    ),
    Format("xfs", "xfs", ("mkfs.xfs", "-qf"), "xfsprogs", _linear(1.03, 1024, 80 * MIB), _xfs, 300 * MIB, 12),
    Format(
        "btrfs",
        "btrfs",
        ("mkfs.btrfs", "-qf"),
        "btrfs-progs",
        _linear(1.15, 3 * KIB, 140 * MIB),
        _btrfs,
        114 * MIB,
        255,
    ),
    Format("f2fs", "f2fs", ("mkfs.f2fs", "-qf"), "f2fs-tools", _linear(1.12, 5 * KIB, 72 * MIB), _f2fs, 40 * MIB, 512),
    Format(
        "vfat",
        "vfat",
        ("mkfs.fat",),
        "dosfstools",
        _linear(1.02, 4 * KIB, 2 * MIB),
        _fat,
        64 * KIB,
        11,
        partition=_FAT32,
        fixed=True,
    ),
    Format(
        "exfat",
        "exfat",
        ("mkfs.exfat",),
        "exfatprogs",
        _linear(1.02, 2 * KIB, 4 * MIB, 32 * KIB),
        _labelled,
        2 * MIB,
        22,
        has_uuid=False,
        partition=_DATA,
    ),
    Format(
        "ntfs3",
        "ntfs3",
        ("mkfs.ntfs", "-FQq"),
        "ntfs-3g",
        _linear(1.05, 5 * KIB, 16 * MIB),
        _ntfs,
        2 * MIB,
        64,
        has_uuid=False,
        partition=_DATA,
        mount_options="noatime,acl",
    ),
    Format(
        "hfsplus",
        "hfsplus",
        ("mkfs.hfsplus",),
        "hfsprogs",
        _linear(1.05, 4 * KIB, 16 * MIB),
        _hfsplus,
        2 * MIB,
        255,
        has_uuid=False,
        partition=_APPLE,
    ),
    Format(
        "udf",
        "udf",
        ("mkudffs", "--utf8", "-b2048"),
        "udftools",
        _linear(1.02, 5 * KIB, 4 * MIB),
        _udf,
        2 * MIB,
        126,
        partition=_DATA,
        mount_options="noatime,noadinicb",
    ),
    Format("minix", "minix", ("mkfs.minix", "-3"), "util-linux", _minix_size, _minix, 256 * KIB, 0, has_uuid=False),
    Format(
        "nilfs2",
        "nilfs2",
        ("mkfs.nilfs2", "-q", "-B256"),
        "nilfs-tools",
        _linear(1.3, 3 * KIB, 64 * MIB),
        _labelled,
        32 * MIB,
        80,
        has_uuid=False,
    ),
    Format(
        "jfs",
        "jfs",
        ("mkfs.jfs", "-q"),
        "jfsutils",
        _linear(1.04, 2 * KIB, 24 * MIB),
        _labelled,
        16 * MIB,
        16,
        has_uuid=False,
        afterwards=format_journal,
    ),
)
FORMATS = {format.name: format for format in _ALL}
READ_ONLY = ("squashfs", "erofs", "iso9660")
