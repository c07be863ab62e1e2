"""The wheel: made from the checkout, installed where there is nothing, used without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run

ROOT = Path(__file__).resolve().parent.parent
PYPI_LIMIT_BYTES = 100 * 10**6
INGREDIENTS = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "src",
    "kernel/host",
    "kernel/jail",
    "kernel/slirp",
)
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
SESSION = """
    import os, shutil, sys
    import liblinux

    assert liblinux.__file__.startswith(sys.prefix), liblinux.__file__
    assert not any(map(shutil.which, ("cc", "gcc", "make", "python3-config")))
    for release in liblinux.images():
        with liblinux.Kernel(version=release) as kernel:
            kernel.mount(kernel.attach(sys.argv[1]), "/mnt")
            with kernel.open("/mnt/hello.txt") as file:
                print(kernel.release, file.read().strip())
            with kernel.open(f"/mnt/{release}", "w") as file:
                file.write("written by the wheel")
        with liblinux.Kernel(version=release, isolated=True) as kernel:
            kernel.mount(kernel.attach(sys.argv[1]), "/mnt")
            with kernel.open(f"/mnt/{release}") as file:
                assert file.read() == "written by the wheel"
"""


def copy_ingredients(destination: Path) -> None:
    """What a wheel is made from, without what earlier builds have left."""
    for name in INGREDIENTS:
        source, target = ROOT / name, destination / name
        if source.is_dir():
            # Links: the kernels are large, and are only read.
            shutil.copytree(
                source,
                target,
                copy_function=os.link if source.stat().st_dev == destination.stat().st_dev else shutil.copy2,
                ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"),
            )
        else:
            shutil.copy2(source, target)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    sources = directory / "sources"
    sources.mkdir()
    copy_ingredients(sources)
    run(*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", directory, sources)
    (made,) = directory.glob("*.whl")
    return made


@pytest.mark.timeout(900)  # the extension is compiled
def test_content(wheel: Path) -> None:
    """All kernels that are built, the extension, the types; no debug information and no C."""
    names = set(zipfile.ZipFile(wheel).namelist())
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    kernels = {f"liblinux/lib/{path.name}" for path in liblinux.images().values()}
    assert kernels
    assert {f"liblinux/_native{suffix}", "liblinux/py.typed", "liblinux/_native.pyi", *kernels} <= names
    for name in ("_jail", "_slirp"):
        program = zipfile.ZipFile(wheel).getinfo(f"liblinux/{name}")
        assert program.external_attr >> 16 & 0o111, f"{name} is a program"
    assert {name for name in names if name.startswith("liblinux/lib/")} == kernels
    assert not [name for name in names if name.endswith((".debug", ".c", ".h", ".S"))]
    assert wheel.stat().st_size < PYPI_LIMIT_BYTES
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.stem.split("-")[2:] == [f"cp{sys.version_info.major}{sys.version_info.minor}"] * 2 + [platform]


@pytest.mark.timeout(900)
def test_installed_where_there_is_nothing(wheel: Path, images: Images, tmp_path: Path) -> None:
    """A fresh virtual environment in an empty directory, no compiler in PATH: a kernel mounts an image."""
    image = images.ext4(size=32 * MIB)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", elsewhere / "venv")
    python = elsewhere / "venv" / "bin" / "python"
    # No dependencies: the library has none, they are the command's.
    run(*PIP, "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    environment = {"PATH": str(python.parent), "HOME": str(elsewhere)}
    done = subprocess.run(
        [python, "-W", "error", "-c", textwrap.dedent(SESSION), image],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{release} hello from the image" for release in liblinux.images()]
    e2fsck(image)
