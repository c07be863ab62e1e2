"""What all answers are made of: the image's system calls, its nodes, and its attributes as pyfuse3 has them."""

from __future__ import annotations

import errno
import os
import stat

import pyfuse3

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._nodes import Node, Nodes

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

    RawStat = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]

__all__ = ["FOREVER", "Served"]

# Nobody but us changes the image, so what the host remembers stays true. Seconds.
FOREVER = 365 * 24 * 3600
# To these "A" and "a" are one name: the host would remember things about the other spelling.
_FOLDING = ("vfat", "msdos", "exfat", "ntfs3", "hfs", "hfsplus", "jfs")
# Of the super block, as Documentation/filesystems/ext4 has it.
_EXT4_INCOMPAT_OFFSET = 1024 + 96
_EXT4_CASEFOLD = 0x20000


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
        self.os.umask(0)  # the host has taken away what the caller's mask takes away
        root: RawStat = self.native.stat(b"/")
        folding = not self.readonly and (image.mount.type in _FOLDING or self._folds_case())
        self.nodes = Nodes((root[2], root[1]), one_name=folding)
        self.name_seconds = 0 if folding else FOREVER

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

    def attributes(self, node: Node, raw: RawStat) -> pyfuse3.EntryAttributes:
        """A status as it is shown."""
        shown = pyfuse3.EntryAttributes()
        (
            shown.st_mode, number, _, shown.st_nlink, shown.st_uid, shown.st_gid, shown.st_size,
            shown.st_atime_ns, shown.st_mtime_ns, shown.st_ctime_ns, shown.st_blksize, shown.st_blocks, shown.st_rdev,
            _, _,
        ) = raw  # fmt: skip
        # Nobody asks for the root by its name, so that it has its own number and is FUSE's number 1 all the same.
        shown.st_ino = number if node is self.nodes.root else node.id
        shown.generation = node.generation
        if self.owner is not None:
            shown.st_uid, shown.st_gid = self.owner
        shown.entry_timeout = self.name_seconds
        shown.attr_timeout = FOREVER
        return shown

    def status(self, node: Node) -> RawStat:
        """The status of a node, by its path or by a descriptor."""
        return self.native.stat(self.nodes.place(node), follow_symlinks=False)

    # ---- names -----------------------------------------------------------

    def below(self, parent: Node, name: bytes) -> bytes:
        """The path of a name in a directory."""
        path = self.nodes.path(parent)
        return path + name if path == b"/" else path + b"/" + name

    def entry(self, parent: Node, name: bytes) -> pyfuse3.EntryAttributes:
        """The answer about a name that the host will know from now on, counted as told."""
        raw = self.native.stat(self.below(parent, name), follow_symlinks=False)
        node = self.nodes.meet(parent, name, (raw[2], raw[1]))
        self.nodes.told(node)
        return self.attributes(node, raw)

    # ---- who creates -----------------------------------------------------

    def give(self, parent: Node, path: bytes | int, caller: pyfuse3.RequestContext) -> None:
        """Let what was just made belong to who made it; under `owner`, to who owns the directory."""
        above = self.status(parent)
        uid, gid = (above[4], above[5]) if self.owner is not None else (caller.uid, caller.gid)
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
