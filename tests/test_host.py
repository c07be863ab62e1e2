"""The host side without Python: a C program that uses it and replaces its table of calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import liblinux
from conftest import run

HERE = Path(__file__).resolve().parent
HOST = HERE.parent / "kernel" / "host"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "the kernel could not have been built without a compiler"
    made = tmp_path_factory.mktemp("host") / "without_python"
    sources = [*sorted(HOST.glob("*.c")), *HOST.glob("*.S"), HERE / "host" / "without_python.c"]
    run(compiler, "-O1", "-std=gnu11", *WARNINGS, f"-iquote{HOST}", *sources, "-lpthread", "-o", made)
    return made


@pytest.mark.parametrize("release", liblinux.images())
def test_a_c_program_replaces_host_calls(program: Path, release: str) -> None:
    assert run(program, liblinux.images()[release]) == ""
