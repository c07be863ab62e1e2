"""The nodes that the host's kernel knows, and where in the image they are.

A node is a file, whatever names it has: hard links are one. Its number is that of
the inode, which is what pyfuse3 shows as well; a number that is taken, or that
means something to FUSE, is replaced by one of ours. An inode that takes over the
number of one that was removed is told from it by its generation. A node lives as
long as the host remembers it (`lookups`), holds it open, or one of its children
lives, for their paths lead through it.

A path is put together from the names above it when it is needed. (Rejected: a
descriptor for every node, which would keep each inode of the image in memory;
file handles of open_by_handle_at(2), which not all file systems have.)
"""

from __future__ import annotations

import errno
import itertools
import os

__all__ = ["ROOT_ID", "Node", "Nodes"]

# pyfuse3.ROOT_INODE, which is FUSE's own.
ROOT_ID = 1
# Inodes of other devices, which subvolumes of Btrfs are, must not look like ours.
_OTHER_DEVICE_SHIFT = 48
# Where numbers of ours begin, downwards: few file systems have so many inodes, and all programs can hold them.
_OWN_NUMBERS = 0xFFFFFFFE


class Node:
    """A file of the image.

    `links` are the names by which it is known, the first is used; `descriptors`
    are those of the image's kernel by which it is open. A file without a name is
    reached by them.
    """

    __slots__ = ("children", "descriptors", "generation", "id", "key", "links", "lookups")

    def __init__(self, number: int, key: tuple[int, int]) -> None:
        self.id = number
        self.key = key
        self.generation = 0
        self.links: list[tuple[Node, bytes]] = []
        self.descriptors: list[int] = []
        self.children = 0
        self.lookups = 0


class Nodes:
    """All nodes, by number, by inode and by name. The root is there from the beginning.

    With `one_name`, for file systems to which upper and lower case are the same,
    only the name that was used last counts: others may be another spelling of it.
    """

    def __init__(self, root: tuple[int, int], *, one_name: bool = False) -> None:
        self._one_name = one_name
        self.root = Node(ROOT_ID, root)
        self.root.lookups = 1
        self._by_id = {ROOT_ID: self.root}
        self._by_key = {root: self.root}
        self._by_name: dict[tuple[int, bytes], Node] = {}
        self._devices = {root[0]: 0}
        self._own_numbers = itertools.count(_OWN_NUMBERS, -1)

    def __getitem__(self, number: int) -> Node:
        node = self._by_id.get(number)
        if node is None:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return node

    def __len__(self) -> int:
        return len(self._by_id)

    def named(self, parent: Node, name: bytes) -> Node | None:
        """The node with this name, if it is known."""
        return self._by_name.get((parent.id, name))

    def meet(self, parent: Node, name: bytes, key: tuple[int, int]) -> Node:
        """The node of an inode (device, number) that was found under a name."""
        node = self._by_name.get((parent.id, name))
        if node is not None:
            if node.key == key:
                return node
            self.part(parent, name)
        node = self._by_key.get(key) or self.fresh(key)
        if self._one_name:
            self._lose_links(node)
        self._by_name[parent.id, name] = node
        node.links.append((parent, name))
        parent.children += 1
        return node

    def fresh(self, key: tuple[int, int]) -> Node:
        """A node without a name."""
        device, number = key
        index = self._devices.setdefault(device, len(self._devices))
        number ^= index << _OTHER_DEVICE_SHIFT
        before = self._by_id.get(number)
        if number in {0, ROOT_ID} or (before is not None and self._is_alive(before)):
            number, before = next(own for own in self._own_numbers if own not in self._by_id), None
        node = self._by_id[number] = self._by_key[key] = Node(number, key)
        if before is not None:
            # The host knows the removed one still, and what it forgets of it comes with this number.
            node.generation = before.generation + 1
            node.lookups = before.lookups
        return node

    def _is_alive(self, node: Node) -> bool:
        return bool(node.descriptors or node.children) or self._by_key.get(node.key) is node

    def part(self, parent: Node, name: bytes, *, gone: bool = False) -> None:
        """A name is no more; with `gone` it was the last one of its inode, whose number others may get now."""
        node = self._by_name.pop((parent.id, name), None)
        if node is None:
            return
        node.links.remove((parent, name))
        parent.children -= 1
        if gone and self._by_key.get(node.key) is node:
            del self._by_key[node.key]
            self._lose_links(node)
        self._drop_if_unused(node)
        self._drop_if_unused(parent)

    def move(self, parent: Node, name: bytes, new_parent: Node, new_name: bytes) -> None:
        """A name has become another one."""
        node = self._by_name.pop((parent.id, name), None)
        if node is None:
            return
        node.links.remove((parent, name))
        node.links.append((new_parent, new_name))
        self._by_name[new_parent.id, new_name] = node
        parent.children -= 1
        new_parent.children += 1
        self._drop_if_unused(parent)

    def exchange(self, parent: Node, name: bytes, new_parent: Node, new_name: bytes) -> None:
        """Two names have changed places."""
        aside = b"/"  # no name, so free
        self.move(parent, name, self.root, aside)
        self.move(new_parent, new_name, parent, name)
        self.move(self.root, aside, new_parent, new_name)

    def told(self, node: Node, *, times: bool = True) -> None:
        """The host has been told of a node, or with `times` False has not."""
        node.lookups += times
        self._drop_if_unused(node)

    def forget(self, number: int, times: int) -> None:
        """The host has forgotten a node as often as it was told of it."""
        node = self._by_id.get(number)
        if node is not None and node is not self.root:
            node.lookups -= times
            self._drop_if_unused(node)

    def release(self, node: Node, descriptor: int) -> None:
        """A descriptor of it was closed."""
        node.descriptors.remove(descriptor)
        self._drop_if_unused(node)

    @staticmethod
    def path(node: Node) -> bytes:
        """Its path from the root of the image; ESTALE without one."""
        names: list[bytes] = []
        while node.id != ROOT_ID:
            if not node.links:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            node, name = node.links[0]
            names.append(name)
        names.append(b"")
        return b"/".join(reversed(names)) or b"/"

    def place(self, node: Node) -> bytes | int:
        """Its path, or a descriptor when it has none any more."""
        return node.descriptors[0] if not node.links and node.descriptors else self.path(node)

    def _lose_links(self, node: Node) -> None:
        links, node.links = node.links, []
        for parent, name in links:
            del self._by_name[parent.id, name]
            parent.children -= 1
            self._drop_if_unused(parent)

    def _drop_if_unused(self, node: Node) -> None:
        if node is self.root or node.lookups > 0 or node.children or node.descriptors:
            return
        if self._by_id.get(node.id) is not node:
            return
        del self._by_id[node.id]
        if self._by_key.get(node.key) is node:
            del self._by_key[node.key]
        # Upwards, one level for each call: no deeper than paths are.
        self._lose_links(node)
