"""Making images: a tree from a directory, an archive or a container image, in a new file system.

    make_image()        _make.py       what comes when; what is left when it fails
      Source            _sources.py    what SOURCE is, and the entries of it
        OCI, Docker     _oci.py, _layers.py
      Plan              _plan.py       owners, times, what is left out; how much there is
        mtree(5)        _mtree.py
      Format            _formats.py    a file system: its tool, its size, its limits
      partition table   _table.py      by sfdisk
      programs          _programs.py   found, run with a fixed clock and fixed random numbers
      read-only ones    _packed.py     SquashFS, EROFS, ISO 9660, by their own tools

The tree is written by Linux, in a kernel of its own with a virtual clock, so that the
same input gives the same bytes.
"""

from __future__ import annotations

from liblinux.making._make import make_image

__all__ = ["make_image"]
