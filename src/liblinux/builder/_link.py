"""Links the kernel's objects into the shared library, and sets its symbols aside.

The kernel's own link (``vmlinux``, modpost, kallsyms) is passed by: the port's
linker script makes a position-independent shared object in one step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from liblinux import _symbols
from liblinux.builder._initcalls import restore_order
from liblinux.builder._progress import Progress
from liblinux.builder._run import output_of, run
from liblinux.builder._together import OPTIONS, Members, compile_together

__all__ = ["LINK_OPTIONS", "MAKE_TARGETS", "link"]

# The port's own target: all that is linked here, and nothing of vmlinux itself.
MAKE_TARGETS = ("liblinux",)

LINK_OPTIONS = (
    "-m", "elf_x86_64",
    # Not -shared: only with -pie does ld resolve hidden and weak symbols itself.
    "-pie",
    "--no-dynamic-linker",
    "-z", "text",
    "--no-undefined",
    "--build-id=sha1",
    "--hash-style=gnu",
    "-z", "noexecstack",
    "-z", "max-page-size=4096",
    # Relative relocations as a bitmap: a tenth of the size, and quick to apply
    # for every further kernel of the process.
    "-z", "pack-relative-relocs",
)  # fmt: skip
_SCRIPT = "arch/lib/kernel/vmlinux.lds"
_WHOLE = ("vmlinux.a", "init/version-timestamp.o")
# Kbuild's KBUILD_VMLINUX_LIBS: members are taken as they are needed.
_LIBRARIES = ("lib/lib.a", "arch/lib/lib/lib.a")


def link(objects: Path, release: str, log: Path, progress: Progress) -> tuple[Path, Path]:
    """Link the library in the object directory, unless it is there already.

    :returns: the stripped library and the file with its symbols.
    :raises BuildError: the compiler, ld or objcopy failed; carries their last lines.
    """
    library = objects / f"liblinux-{release}.so"
    symbols = library.with_name(library.name + ".debug")
    libraries = [name for name in _LIBRARIES if (objects / name).exists()]
    stamp = objects / "liblinux.stamp"
    inputs = _signature(objects, [*_WHOLE, *libraries, _SCRIPT])
    if library.exists() and symbols.exists() and stamp.exists() and stamp.read_text() == inputs:
        return library, symbols
    stamp.unlink(missing_ok=True)
    whole = "liblinux.whole"
    members = Members.of(objects, _WHOLE, libraries)
    options = [*LINK_OPTIONS, "-T", _SCRIPT, "--start-group", *libraries, "--end-group"]
    compile_together(members, options, _SCRIPT, log, progress)
    progress.step(f"linking {library.name}")
    listed = objects / "liblinux.members"
    listed.write_text("\n".join(members.linked()))
    run(["ld", "-soname", library.name, "-o", whole, f"@{listed.name}", *options], objects, log)
    restore_order(objects / whole, members)
    run(["objcopy", "--only-keep-debug", whole, symbols.name], objects, log)
    table = objects / "liblinux.symbols"
    table.write_bytes(_symbols.pack(_functions(objects / whole)))
    # .eh_frame and .dynsym stay: gdb walks fibers, the host finds its entries.
    run(
        [
            "objcopy", "--strip-all", f"--add-gnu-debuglink={symbols.name}",
            "--add-section", f"{_symbols.SECTION}={table.name}", whole, library.name,
        ],
        objects, log,
    )  # fmt: skip
    (objects / whole).unlink()
    stamp.write_text(inputs)
    return library, symbols


def _functions(library: Path) -> Iterator[tuple[int, str]]:
    """Address and name of every function; addresses are offsets from the start of the image."""
    for line in output_of("nm", "--defined-only", library.name, directory=library.parent):
        address, kind, name = line.split(" ", 2)
        if kind in "tTwW":
            yield int(address, 16), name


def _signature(objects: Path, names: Sequence[str]) -> str:
    """What the result depends on. vmlinux.a is a thin archive, renewed when any member is."""
    digest = hashlib.sha256(repr((LINK_OPTIONS, OPTIONS, _symbols.SECTION)).encode())
    for name in names:
        status = (objects / name).stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
