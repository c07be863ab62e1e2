"""Where the builder keeps what it can use again.

::

    $XDG_CACHE_HOME/liblinux   (or ~/.cache/liblinux)
    ├── packages/    source packages as they were fetched
    ├── sources/     one unpacked pristine tree for each source version
    ├── manifests/   the digests of all files of a package, by its own
    ├── objects/     object directories, for incremental builds
    ├── libraries/   finished libraries, by the hash of all their inputs
    ├── logs/        what make and ld said
    └── lock         held by the one build that is running

Every directory here can be deleted at any time when no build is running. What
must be whole is written under a temporary name and renamed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from liblinux._errors import BuildError

__all__ = ["Cache", "safe_name"]

# Names of temporary entries; leftovers of a killed build are swept by the next.
_TEMPORARY = ".incomplete-"


def safe_name(name: str) -> str:
    """``name`` as a file name that neither make nor the kernel trips over."""
    return re.sub(r"[^\w.+-]", "_", name)


@dataclass(frozen=True)
class Cache:
    """The directories of the cache under ``root``."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The user's cache."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base).resolve() / "liblinux")

    @property
    def packages(self) -> Path:
        """Fetched source packages."""
        return self.root / "packages"

    @property
    def sources(self) -> Path:
        """Unpacked trees."""
        return self.root / "sources"

    @property
    def manifests(self) -> Path:
        """What is in packages, see :func:`liblinux.builder.verify_pristine`."""
        return self.root / "manifests"

    @property
    def objects(self) -> Path:
        """Object directories."""
        return self.root / "objects"

    @property
    def libraries(self) -> Path:
        """Finished libraries."""
        return self.root / "libraries"

    @property
    def logs(self) -> Path:
        """Logs of builds."""
        return self.root / "logs"

    @contextmanager
    def locked(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the cache for one build; ``on_wait`` is called if another has it."""
        if re.search(r"[\s:]", str(self.root)):
            raise BuildError(
                f"the kernel cannot be built in {str(self.root)!r}: its makefiles do not allow spaces "
                "or colons in a path; set XDG_CACHE_HOME to another directory"
            )
        for directory in (self.packages, self.sources, self.objects, self.libraries, self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        with open(self.root / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield

    def _sweep(self) -> None:
        for directory in (self.packages, self.sources, self.libraries):
            for leftover in directory.glob(_TEMPORARY + "*"):
                shutil.rmtree(leftover, ignore_errors=True)

    @contextmanager
    def new_directory(self, final: Path) -> Iterator[Path]:
        """A directory that appears as ``final`` only if the block succeeds."""
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=final.parent))
        temporary.chmod(0o755)
        try:
            yield temporary
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
