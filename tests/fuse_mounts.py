"""Whether FUSE can be used here, found out by using it; and mounts for tests."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from liblinux.fuse import _mounting as mounting

__all__ = ["AS_NOBODY", "LIBLINUX", "mounted", "why_not"]

LIBLINUX = [sys.executable, "-m", "liblinux.cli"]
# A user of no name, who may read our Python wherever it is: all else has to come from fusermount3.
AS_NOBODY = [
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip


# As little as can be mounted, and taken away again.
_PROBE = "import pyfuse3, sys; pyfuse3.init(pyfuse3.Operations(), sys.argv[1]); pyfuse3.close()"


@functools.cache
def why_not() -> str:
    """Empty when this user can mount here; else the reason, as `liblinux mount` has it."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            mounting.check(directory, allow_other=False)
        except OSError as error:
            return str(error)
        # In a process of its own: libfuse is not unloaded, and forks.
        command = [sys.executable, "-c", _PROBE, directory]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""


@contextlib.contextmanager
def mounted(image: Path, *options: str, prefix: tuple[str, ...] = ()) -> Iterator[Path]:
    """An image on a directory of its own; at the end it is unmounted and its server has ended."""
    directory = image.parent / f"{image.stem}-mounted"
    directory.mkdir()
    if prefix:
        os.chown(directory, 65534, 65534)
    command = [*prefix, *LIBLINUX, "mount", *options, str(image), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        yield directory
    finally:
        done = subprocess.run(
            [*prefix, *LIBLINUX, "umount", str(directory)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        directory.rmdir()
