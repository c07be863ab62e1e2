"""Has the compiler's memory in large pages, on systems that give them to who asks.

A tenth of a build is page faults: what GCC reads for one object of the kernel takes some
40 MB. It does not ask for large pages, so a library put before its C library does, and
malloc is told to.
"""

from __future__ import annotations

from pathlib import Path

from liblinux.builder import port
from liblinux.builder._run import run

__all__ = ["environment"]

_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SOURCE = "compiler/large_pages.c"
_LIBRARY = "liblinux.large-pages.so"


def environment(objects: Path, log: Path) -> dict[str, str]:
    """What the environment of a compiler is to have as well; nothing where asking is not needed, or of no use.

    :param objects: the directory that the library is made in.
    :raises BuildError: the compiler does not work.
    """
    # One of "always [madvise] never"; the file is not there where the kernel has no such pages.
    if not _MODE.exists() or "[madvise]" not in _MODE.read_text():
        return {}
    library = objects / _LIBRARY
    source = port.kernel_directory() / _SOURCE
    run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], objects, log)
    return {"LD_PRELOAD": str(library), "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
