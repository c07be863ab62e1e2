"""The extension module: the host side of the boundary and the Python objects over it.

Everything else about the project stands in pyproject.toml. The kernel image is
no part of this build; `liblinux build` makes it.
"""

from __future__ import annotations

from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildExtension(build_ext):
    """build_ext that hands assembler files to the C compiler."""

    def build_extensions(self) -> None:
        if ".S" not in self.compiler.src_extensions:
            # A new list: the class's own is shared by all compilers.
            self.compiler.src_extensions = [*self.compiler.src_extensions, ".S"]
        super().build_extensions()


setup(
    cmdclass={"build_ext": BuildExtension},
    ext_modules=[
        Extension(
            "liblinux._native",
            sources=sorted(glob("kernel/host/*.c") + glob("kernel/host/*.S") + glob("src/liblinux/_native/*.c")),
            depends=sorted(glob("kernel/host/*.h") + glob("src/liblinux/_native/*.h")),
            # -iquote and not -I: the host side's limits.h must not stand for the C library's.
            extra_compile_args=["-iquotekernel/host", "-O2", "-std=gnu11", "-Wall", "-Wextra"],
        )
    ],
)
