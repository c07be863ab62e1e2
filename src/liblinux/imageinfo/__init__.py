"""What there is to know of an image: container, partitions, volumes, file systems, and how full they are.

inspect(disks)      all of it, as what JSON can hold
  _describe.py      the image and its devices
  _filesystem.py    one file system, mounted read-only for a moment
  _features.py      names of features, where the kernel says only bits
"""

from __future__ import annotations

from liblinux.imageinfo._describe import inspect

__all__ = ["inspect"]
