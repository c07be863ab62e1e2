"""The extension module, and two programs: what holds an isolated kernel, and what runs libslirp.

The extension is the host side of the boundary, the jail's half of the channel
and the Python objects over both. The program, `_jail` beside it, is the host
side and the other half, without Python. `_slirp` is the way to the Internet.
Everything else about the project stands in pyproject.toml. The kernel image is no
part of this build; `liblinux build` makes it.
"""

from __future__ import annotations

import os
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -iquote and not -I: the host side's limits.h must not stand for the C library's.
FLAGS = ["-iquotekernel/host", "-iquotekernel/jail", "-O2", "-std=gnu11", "-Wall", "-Wextra"]
HOST = glob("kernel/host/*.c") + glob("kernel/host/*.S")
CELL = sorted([*HOST, "kernel/jail/channel.c", *glob("kernel/jail/cell/*.c")])
SLIRP = glob("kernel/slirp/*.c")
PROGRAMS = {"_jail": CELL, "_slirp": SLIRP}
HEADERS = glob("kernel/host/*.h") + glob("kernel/jail/*.h") + glob("kernel/jail/cell/*.h") + glob("kernel/slirp/*.h")
# Every address of a program is another one each time, and its table of functions cannot be written.
PROGRAM_LINK = ["-pie", "-pthread", "-ldl", "-Wl,-z,relro,-z,now,-z,noexecstack"]


class BuildExtension(build_ext):
    """build_ext that hands assembler files to the C compiler, and links the program."""

    def build_extensions(self) -> None:
        if ".S" not in self.compiler.src_extensions:
            # A new list: the class's own is shared by all compilers.
            self.compiler.src_extensions = [*self.compiler.src_extensions, ".S"]
        super().build_extensions()
        for name, sources in PROGRAMS.items():
            self.build_program(name, sources)

    def build_program(self, name: str, sources: list[str]) -> None:
        """Make a program where the extension is made."""
        objects = self.compiler.compile(
            sources, output_dir=os.path.join(self.build_temp, name), extra_postargs=[*FLAGS, "-fPIE"], depends=HEADERS
        )
        place = os.path.join(self.build_lib, "liblinux")
        self.compiler.link_executable(objects, name, output_dir=place, extra_postargs=PROGRAM_LINK)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        package = self.get_finalized_command("build_py").get_package_dir("liblinux")
        for name in PROGRAMS:
            self.copy_file(os.path.join(self.build_lib, "liblinux", name), os.path.join(package, name))


setup(
    cmdclass={"build_ext": BuildExtension},
    ext_modules=[
        Extension(
            "liblinux._native",
            sources=sorted([*HOST, *glob("kernel/jail/*.c"), *glob("src/liblinux/_native/*.c")]),
            depends=sorted([*HEADERS, *glob("src/liblinux/_native/*.h")]),
            extra_compile_args=FLAGS,
        )
    ],
)
