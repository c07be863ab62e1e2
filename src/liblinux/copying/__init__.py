"""Copying trees between the host and images, or between images, with all that belongs to them.

The layers, from the top down::

    extract()         _extract.py   a whole image that is not trusted; _manifest.py lists what is left out
    copy_tree()       _copy.py      one tree: what comes when, and what is left when it fails
    compare_trees()   _compare.py   what two trees differ in
                      _foresee.py   what the target will not hold
      Place           _place.py     the host or a process of a kernel, and a path there
      Survey          _survey.py    what there is to copy; names of the same file
      CopyReport      _report.py    what was copied, what was lost, what failed
    _native.copy()    kernel/host/copy.c: entry by entry, both ends by system calls

Both ends are system calls with the same numbers, of the host or of a kernel; so
one code copies in all directions.
"""

from __future__ import annotations

from liblinux.copying._compare import ASPECTS, Difference, compare_trees
from liblinux.copying._copy import PRESERVE_ALL, CopyProgress, copy_tree
from liblinux.copying._extract import RIGHTS, Extracted, ExtractLimits, ExtractRefused, extract, extract_tree
from liblinux.copying._report import CopyFailed, CopyProblem, CopyReport, Loss

__all__ = [
    "ASPECTS",
    "PRESERVE_ALL",
    "RIGHTS",
    "CopyFailed",
    "CopyProblem",
    "CopyProgress",
    "CopyReport",
    "Difference",
    "ExtractLimits",
    "ExtractRefused",
    "Extracted",
    "Loss",
    "compare_trees",
    "copy_tree",
    "extract",
    "extract_tree",
]
