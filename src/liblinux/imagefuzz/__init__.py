"""Fuzzing file systems with damaged images: `liblinux imagefuzz`.

The layers, from the command down to one image::

    _command     the command line and its tables
    _campaign    worker processes, their watch, what they found
    _worker      one process that tries seed after seed
    _trial       one image in one kernel: mount, walk, read, write, unmount
    _mutation    a seed makes the changes to an image
    _areas       where an image has its metadata: what the kernel reads to list it
    _checksums   what has to be computed again for a change to be looked at

Every image has a kernel of its own, with the virtual clock and a fixed seed, so
that what a seed finds belongs to it and is found again.
"""

from __future__ import annotations

from liblinux.imagefuzz._campaign import Campaign, Tally
from liblinux.imagefuzz._mutation import Change, apply, mutate
from liblinux.imagefuzz._target import Target
from liblinux.imagefuzz._trial import Outcome

__all__ = ["Campaign", "Change", "Outcome", "Tally", "Target", "apply", "mutate"]
