"""Has the objects of the hot path compiled as one, before the library is linked.

Objects with a profile (``kernel/arch/lib/profile``) come from make without code, for the
compiler to go on with all of them at once (GCC's link-time optimisation): a byte over TCP
goes through two hundred functions in fifty files, most of which are called from one place.

Which of their functions others refer to, and which others define better, is the linker's
to say, so they are linked with everything else once, and the object that the compiler makes
meanwhile is kept. It is good for as long as these objects and that answer stay the same.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from liblinux._errors import BuildError
from liblinux.builder._progress import Progress
from liblinux.builder._run import output_of, run

__all__ = ["OPTIONS", "Members", "compile_together"]

# Of the compiler, for all of them at once.
OPTIONS = ("-nostdlib", "-flto", "-flto-partition=none", "-frandom-seed=liblinux")
# In the object directory, as make leaves it.
_LISTED = "tree/arch/lib/profile/objects"
_OBJECT, _STAMP = "liblinux.together.o", "liblinux.together-stamp"
_SCRAP = "liblinux.scrap"
_WITHOUT_CODE = b".gnu.lto_"
_NOT_FOR_ALL = ("-fprofile", "-fmacro-prefix", "-frandom-seed", "-flto", "-fno-fat-lto")
# Kinds of symbols, as nm has them; what is weak and not defined is of no consequence.
_LOCAL, _WEAK = "abdgnrst", "WV"
_MODULE = re.compile(r" -D__KBUILD_MODNAME=kmod_(\w+)")


@dataclass(frozen=True)
class Members:
    """What a kernel is linked from: paths in the object directory, in order.

    :param names: of objects that are linked in any case.
    :param reserve: of those of which only what others need is taken.
    """

    objects: Path
    names: Sequence[str]
    reserve: Sequence[str]

    @classmethod
    def of(cls, objects: Path, whole: Sequence[str], libraries: Sequence[str]) -> Members:
        """The objects and the members of the thin archives in either."""

        def members(files: Sequence[str]) -> list[str]:
            lists = (output_of("ar", "t", name, directory=objects) if name.endswith(".a") else [name] for name in files)
            return list(itertools.chain.from_iterable(lists))

        return cls(objects, members(whole), members(libraries))

    @cached_property
    def parts(self) -> list[str]:
        """Those without code of their own."""
        listed = set((self.objects / _LISTED).read_text().split())
        there = [name for name in (*self.names, *self.reserve) if name in listed]
        return [name for name in there if _WITHOUT_CODE in (self.objects / name).read_bytes()]

    @cached_property
    def symbols(self) -> list[tuple[str, str, str]]:
        """Of all others: object, kind as nm has it, name."""
        parts = set(self.parts)
        others = [name for name in (*self.names, *self.reserve) if name not in parts]
        listed = output_of("nm", "--print-file-name", "--no-sort", *others, directory=self.objects)
        split = ((line.rpartition(":")[0], line.split()) for line in listed)
        return [(name, words[-2], words[-1]) for name, words in split]

    @cached_property
    def defined(self) -> dict[str, str]:
        """What the parts define: name and kind."""
        listed = output_of("gcc-nm", "--defined-only", "--no-sort", *self.parts, directory=self.objects)
        return {words[-1]: words[-2] for words in map(str.split, listed) if len(words) > 1}

    def linked(self) -> list[str]:
        """What is to be linked, when the parts have been compiled together."""
        parts = set(self.parts)
        return [*(name for name in self.names if name not in parts), *([_OBJECT] if parts else [])]

    def command(self, name: str) -> str:
        """The command that made an object, as make has noted it down."""
        path = self.objects / name
        return path.with_name(f".{path.name}.cmd").read_text().partition("\n")[0]

    def module(self, name: str) -> str:
        """What Linux calls the module that an object belongs to."""
        found = _MODULE.search(self.command(name))
        return found[1] if found else ""


def compile_together(members: Members, link: Sequence[str], script: str, log: Path, progress: Progress) -> None:
    """Make one object of the members' parts, unless it is there.

    :param link: what ld is told besides the members.
    :param script: the linker script that is among it.
    :raises BuildError: the compiler or the linker failed.
    """
    objects = members.objects
    if not members.parts:
        return
    stamp, signature = objects / _STAMP, _signature(members, link, script)
    if stamp.exists() and (objects / _OBJECT).exists() and stamp.read_text() == signature:
        return
    stamp.unlink(missing_ok=True)
    _check(members)
    progress.step(f"compiling {len(members.parts)} objects as one")
    (objects / f"{_SCRAP}.members").write_text("\n".join(members.names))
    try:
        # It says what it keeps by appending to the name of what it makes.
        command = ["gcc", *_flags(members), *OPTIONS, "-save-temps", "-o", _SCRAP, f"@{_SCRAP}.members"]
        run([*command, "-Wl," + ",".join(link)], objects, log)
        (objects / f"{_SCRAP}.lto.o").replace(objects / _OBJECT)
    finally:
        for scrap in objects.glob(f"{_SCRAP}*"):
            scrap.unlink()
    stamp.write_text(signature)


def _flags(members: Members) -> list[str]:
    """How they were compiled: some of it is not remembered in them."""
    words = shlex.split(members.command(members.parts[0]))
    return [word for word in words if word.startswith(("-f", "-m", "-O")) and not word.startswith(_NOT_FOR_ALL)]


def _signature(members: Members, link: Sequence[str], script: str) -> str:
    """What the object depends on: the parts, and which of their symbols others have a say in."""
    digest = hashlib.sha256(repr((OPTIONS, link, _flags(members))).encode())
    for name in (*members.parts, script):
        digest.update((members.objects / name).read_bytes())
    said = sorted({(kind, name) for _, kind, name in members.symbols if name in members.defined and kind not in _LOCAL})
    digest.update(repr(said).encode())
    return digest.hexdigest()


def _check(members: Members) -> None:
    """Refuse what the compiler gets wrong: it puts a weak function in line, though another object has the real one."""
    weak = {name for name, kind in members.defined.items() if kind in _WEAK}
    replaced = {name: by for by, kind, name in members.symbols if name in weak and kind not in (*_LOCAL, "U")}
    if replaced:
        what = ", ".join(f"{name} by {by}" for name, by in sorted(replaced.items()))
        raise BuildError(f"weak symbols are defined better elsewhere ({what}): list their objects in LIB_APART")
