"""Image files that are more than the bytes of a disk: qcow2, VMDK, VDI, and compressed ones.

The layers, from what :class:`liblinux._image_root.ImageRoot` calls downwards::

    ../_image_format.py     which format, told by content; the disk's own bytes need no more
    open_source(source)     returns what Kernel.attach() takes
      _container.py         a container that is open, and all files that belong to it
      _qcow2.py _vmdk.py _vdi.py    where the bytes of the disk are, cluster by cluster
      _packed.py            gzip, bzip2, xz, zstd: unpacked once, to a file without a name
      _block.py             the device object over such a map
      _files.py             files of the host, and which of them an image may name

All are only read: a container is written safely only with its allocation tables,
reference counts and caches written in the right order, and with a lock that its
other users know. Whoever wants to change one uses an overlay, which is in memory,
or converts it (`qemu-img convert`).

The readers are our own, by the specifications: of the libraries that read these
formats, those of libyal are LGPL-3.0 and dissect.hypervisor is AGPL-3.0, and
neither may be linked with the kernel, which is GPL-2.0-only.
"""

from __future__ import annotations

from liblinux._image_format import FORMATS, HEAD_BYTES, tell_format
from liblinux.formats._container import Container, open_source

__all__ = ["FORMATS", "HEAD_BYTES", "Container", "open_source", "tell_format"]
