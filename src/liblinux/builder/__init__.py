"""The kernel builder: from a pristine Linux source to ``liblinux-<release>.so``.

From top to bottom::

    cli            the command `liblinux build`
    _terminal      what the user sees meanwhile (plain forms in _progress)
    _build         the steps, in order; what is reused; the hash of all inputs
    ├── source     finds, fetches, unpacks and checks the kernel source
    ├── pristine   proves that no file of it is edited
    ├── port       copies kernel/arch/lib into the unpacked tree
    ├── kconfig    merges the fragments of kernel/config, checks the result
    ├── _make      runs the kernel's make, watches it, explains its failure
    └── _link      links, strips, and keeps the symbols
        ├── _together    compiles the objects of the hot path as one
        └── _initcalls   puts what Linux calls at boot into its order
    cache          where all of it is kept between builds
    tools          which programs must be installed (standard library only)

Only the first two need packages from elsewhere (click and rich): the rest, and
above all ``tools``, runs before anything is installed.

Nothing here runs a shell, edits a kernel file, or writes outside the cache and
the directory the library is installed into.
"""

from __future__ import annotations

from liblinux.builder._build import CONFIGURATIONS, BuildOptions, BuildResult, build
from liblinux.builder.pristine import verify_pristine

__all__ = ["CONFIGURATIONS", "BuildOptions", "BuildResult", "build", "verify_pristine"]
