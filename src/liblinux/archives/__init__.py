"""Trees as archives: tar and cpio, out of an image and into one, through streams.

    liblinux.archives      tar(), untar(), cpio(), uncpio()
      _pack.py             the four of them
      _source.py           a tree    ->  entries     _sink.py     entries  ->  a tree
      _tar_in.py           a tar     ->  entries     _tar_out.py  entries  ->  a tar
      _cpio_in.py          a cpio    ->  entries     _cpio_out.py  entries  ->  a cpio
      _stage.py            all or nothing, in a tree that is there already
      _choice.py           which entries, and under which names
      _streams.py          compression
      _entry.py, _acl.py   what an entry is

A session::

    from liblinux import archives

    with liblinux.open_image("disk.img") as image, open("root.tar", "wb") as file:
        archives.tar(image.os, "/", file)
"""

from __future__ import annotations

from liblinux.archives._errors import ArchiveError, LostError
from liblinux.archives._pack import cpio, tar, uncpio, untar

__all__ = ["ArchiveError", "LostError", "cpio", "tar", "uncpio", "untar"]
