"""Crash consistency: is what was fsynced still there after the power failed?

The layers, from the user down::

    crashtest(workload, check)     records, lets the power fail, checks; a Report
      record()                     a workload on a recorded disk
      Trials, worker processes     mount what is left after a crash, call the check
      CrashImage                   any legal image of a Recording, quickly
      Recorder                     a disk that remembers what was asked of it

An example::

    from liblinux import crash

    def workload(fs):
        for number in range(10):
            fs.write(f"file{number}", b"content", fsync=True)
            fs.fsync()  # the directory
            fs.promise(f"file{number}")

    def check(fs, promises):
        for name in promises:
            assert fs.read(name) == b"content", name

    report = crash.crashtest(workload, check, filesystem="ext4", points=1000, seed=1)
    report.raise_for_failures()

By itself a :class:`Recorder` is a disk for :meth:`liblinux.Kernel.attach`, and a
:class:`CrashImage` a buffer for it: whatever can be built on disks can be crashed.
"""

from liblinux.crash._filesystem import Filesystem, RecordedFilesystem
from liblinux.crash._formats import FsckError, make_image
from liblinux.crash._image import CrashImage, every_image
from liblinux.crash._log import Entry, Kind, Mark, Recording
from liblinux.crash._points import STYLES, CrashPoint
from liblinux.crash._recorder import Recorder
from liblinux.crash._report import KINDS, Failure, Report
from liblinux.crash._setup import Setup
from liblinux.crash._test import crashtest, record

__all__ = [
    "KINDS",
    "STYLES",
    "CrashImage",
    "CrashPoint",
    "Entry",
    "Failure",
    "Filesystem",
    "FsckError",
    "Kind",
    "Mark",
    "RecordedFilesystem",
    "Recorder",
    "Recording",
    "Report",
    "Setup",
    "crashtest",
    "every_image",
    "make_image",
    "record",
]
