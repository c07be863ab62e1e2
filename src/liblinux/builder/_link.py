"""Links the kernel's objects into the shared library, and sets its symbols aside.

The kernel's own link (``vmlinux``, modpost, kallsyms) is passed by: the port's
linker script makes a position-independent shared object in one step.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from liblinux import _symbols
from liblinux._errors import BuildError
from liblinux.builder._make import clean_environment, error_lines

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


def link(objects: Path, release: str, log: Path) -> tuple[Path, Path]:
    """Link the library in the object directory, unless it is there already.

    :returns: the stripped library and the file with its symbols.
    :raises BuildError: ld or objcopy failed; carries their last lines.
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
    commands = (
        [
            "ld", *LINK_OPTIONS, "-soname", library.name, "-T", _SCRIPT, "-o", whole,
            "--whole-archive", *_WHOLE, "--no-whole-archive",
            "--start-group", *libraries, "--end-group",
        ],
        ["objcopy", "--only-keep-debug", whole, symbols.name],
    )  # fmt: skip
    for command in commands:
        _run(command, objects, log)
    table = objects / "liblinux.symbols"
    table.write_bytes(_symbols.pack(_functions(objects / whole)))
    # .eh_frame and .dynsym stay: gdb walks fibers, the host finds its entries.
    _run(
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
    done = subprocess.run(
        ["nm", "--defined-only", library], env=clean_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"nm failed on {library}:\n{done.stderr}")
    for line in done.stdout.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwW":
            yield int(address, 16), name


def _signature(objects: Path, names: Sequence[str]) -> str:
    """What the result depends on. vmlinux.a is a thin archive, renewed when any member is."""
    digest = hashlib.sha256(repr((LINK_OPTIONS, _symbols.SECTION)).encode())
    for name in names:
        status = (objects / name).stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _run(command: Sequence[str], objects: Path, log: Path) -> None:
    with log.open("a") as output:
        print("+", *command, file=output, flush=True)
        done = subprocess.run(
            command, cwd=objects, env=clean_environment(), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        raise BuildError(f"{command[0]} failed:\n{error_lines(log)}\nthe whole output is in {log}")
