"""What all answers are made of: the image's system calls, its nodes, and its attributes as FUSE has them."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._nodes import Node, Nodes
from liblinux.fuse._protocol import ATTR, ATTR_OUT, ENTRY_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liblinux._image_root import ImageRoot

    # The host's number of the node, what follows the header, and who asks: user and group.
    Handler = Callable[[int, memoryview, tuple[int, int]], "Answer"]
    # Buffers that are sent one after the other; None is no answer at all.
    Answer = bytes | memoryview | Sequence[bytes | memoryview] | None
    RawStat = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]

__all__ = ["FOREVER", "Served", "names_of"]

# Nobody but us changes the image, so what the host remembers stays true. Seconds.
FOREVER = 365 * 24 * 3600
_GIGA = 10**9
# To these "A" and "a" are one name: the host would remember things about the other spelling.
_FOLDING = ("vfat", "msdos", "exfat", "ntfs3", "hfs", "hfsplus", "jfs")
# Of the super block, as Documentation/filesystems/ext4 has it.
_EXT4_INCOMPAT_OFFSET = 1024 + 96
_EXT4_CASEFOLD = 0x20000
_OTHER_DEVICE_SHIFT = 48


class Served:
    """An image that is served.

    `owner`, user and group, is shown as the owner of everything; None shows the
    image's own owners.
    """

    def __init__(self, image: ImageRoot, owner: tuple[int, int] | None = None) -> None:
        self.image = image
        self.os = image.os
        self.native = image.process._process
        self.readonly = not image.writable
        self.owner = owner
        self.os.umask(0)
        self._umask = 0
        root: RawStat = self.native.stat(b"/")
        folding = not self.readonly and (image.mount.type in _FOLDING or self._folds_case())
        self.nodes = Nodes((root[2], root[1]), one_name=folding)
        self.name_seconds = 0 if folding else FOREVER
        self._devices = {root[2]: 0}

    def _folds_case(self) -> bool:
        """Whether it is an ext4 or F2FS that can have directories to which case is nothing."""
        kernel, mount = self.image.kernel, self.image.mount
        if mount.type == "f2fs":
            with kernel.open(f"/sys/fs/f2fs/{os.path.basename(mount.source)}/features") as file:
                return "casefold" in file.read()
        if mount.type != "ext4":
            return False
        descriptor = kernel.os.open(mount.source, os.O_RDONLY)
        try:
            features = kernel.os.pread(descriptor, 4, _EXT4_INCOMPAT_OFFSET)
        finally:
            kernel.os.close(descriptor)
        return bool(int.from_bytes(features, "little") & _EXT4_CASEFOLD)

    # ---- attributes ------------------------------------------------------

    def inode(self, device: int, number: int) -> int:
        """The inode number that is shown; those of other subvolumes must not look like ours."""
        index = self._devices.setdefault(device, len(self._devices))
        return number ^ index << _OTHER_DEVICE_SHIFT if index else number

    def attributes(self, raw: RawStat) -> bytes:
        """A status as struct fuse_attr."""
        mode, ino, device, nlink, uid, gid, size, atime, mtime, ctime, blksize, blocks, rdev, _, _ = raw
        if self.owner is not None:
            uid, gid = self.owner
        access, access_ns = divmod(atime, _GIGA)
        change, change_ns = divmod(mtime, _GIGA)
        status, status_ns = divmod(ctime, _GIGA)
        return ATTR.pack(
            self.inode(device, ino), size, blocks, access, change, status, access_ns, change_ns, status_ns,
            mode, nlink, uid, gid, rdev & 0xFFFFFFFF, blksize, 0,
        )  # fmt: skip

    def attr_out(self, raw: RawStat) -> bytes:
        """The answer to GETATTR."""
        return ATTR_OUT.pack(FOREVER, 0) + self.attributes(raw)

    def status(self, node: Node) -> RawStat:
        """The status of a node, by its path or by a descriptor."""
        return self.native.stat(self.nodes.place(node), follow_symlinks=False)

    # ---- names -----------------------------------------------------------

    def below(self, parent: Node, name: bytes) -> bytes:
        """The path of a name in a directory."""
        path = self.nodes.path(parent)
        return path + name if path == b"/" else path + b"/" + name

    def entry(self, parent: Node, name: bytes) -> bytes:
        """The answer about a name that the host will know from now on."""
        raw = self.native.stat(self.below(parent, name), follow_symlinks=False)
        node = self.nodes.meet(parent, name, (raw[2], raw[1]))
        return self.introduce(node, raw)

    def introduce(self, node: Node, raw: RawStat) -> bytes:
        """struct fuse_entry_out of a node, counted as told."""
        node.lookups += 1
        return ENTRY_OUT.pack(node.id, 0, self.name_seconds, FOREVER, 0, 0) + self.attributes(raw)

    # ---- who creates -----------------------------------------------------

    def mask(self, umask: int) -> None:
        """Create with this mask from now on; the image's kernel knows what a default ACL makes of it."""
        if umask != self._umask:
            self.os.umask(umask)
            self._umask = umask

    def give(self, parent: Node, path: bytes | int, caller: tuple[int, int]) -> None:
        """Let what was just made belong to who made it; under `owner`, to who owns the directory."""
        above = self.status(parent)
        uid, gid = (above[4], above[5]) if self.owner is not None else caller
        made = self.native.stat(path, follow_symlinks=False)
        if above[0] & stat.S_ISGID:
            gid = made[5]
        if (uid, gid) == (made[4], made[5]):
            return
        try:
            if isinstance(path, int):
                self.os.fchown(path, uid, gid)
            else:
                self.os.lchown(path, uid, gid)
        except OSError as error:
            # FAT and its like have no owners; there everything belongs to one anyway.
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP}:
                raise
            return
        if made[0] & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISLNK(made[0]):
            self.os.chmod(path, stat.S_IMODE(made[0]))  # chown(2) takes these bits away


def names_of(body: memoryview) -> list[bytes]:
    """The names at the end of a request."""
    return bytes(body).split(b"\0")[:-1]
