"""Kernels that are watched for complaints in their log."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import liblinux

MEMORY = "128M"
WARNING = 4  # syslog's level; what is below is worse


@contextlib.contextmanager
def quiet_kernel(remarks: str = "nothing else") -> Iterator[liblinux.Kernel]:
    """A kernel of which an error or a warning in the log is a failure, unless `remarks` matches its text."""
    with liblinux.Kernel(MEMORY) as kernel:
        boot = kernel.dmesg()[-1].sequence
        yield kernel
        texts = [record.text for record in kernel.dmesg() if record.sequence > boot and record.level <= WARNING]
        complaints = [text for text in texts if not re.search(remarks, text)]
        assert not complaints, complaints
