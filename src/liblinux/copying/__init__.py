"""Copying trees between the host and images, or between images, with all that belongs to them.

The layers, from the top down::

    copy_tree()       _copy.py      one tree: what comes when, and what is left when it fails
      Place           _place.py     the host or a process of a kernel, and a path there
      Survey          _survey.py    what there is to copy; names of the same file
      CopyReport      _report.py    what was copied, what was lost, what failed
    _native.copy()    kernel/host/copy.c: entry by entry, both ends by system calls

Both ends are system calls with the same numbers, of the host or of a kernel; so
one code copies in all directions.
"""

from __future__ import annotations

from liblinux.copying._copy import PRESERVE_ALL, copy_tree
from liblinux.copying._report import CopyFailed, CopyProblem, CopyReport, Loss

__all__ = ["PRESERVE_ALL", "CopyFailed", "CopyProblem", "CopyReport", "Loss", "copy_tree"]
