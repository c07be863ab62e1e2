"""Kernels of the extension alone: one for all tests of a module, and others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from liblinux import _native
from native.kernels import Boot, boot_kernel


@pytest.fixture(scope="module")
def shared() -> Iterator[_native.Kernel]:
    kernel = boot_kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def boot() -> Iterator[Boot]:
    """Boots kernels, and closes them at the end."""
    kernels: list[_native.Kernel] = []

    def start(**changes: object) -> _native.Kernel:
        kernels.append(boot_kernel(**changes))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()


@pytest.fixture
def init(shared: _native.Kernel) -> _native.Process:
    return shared.init


@pytest.fixture
def nr(shared: _native.Kernel) -> dict[str, int]:
    return shared.syscalls


@pytest.fixture
def directory(init: _native.Process, nr: dict[str, int], request: pytest.FixtureRequest) -> str:
    path = f"/{request.node.name.replace('/', '_')}"[:200]
    init.syscall(nr["mkdir"], path, 0o755)
    return path
