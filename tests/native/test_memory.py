"""Memory that the kernel maps, as a buffer."""

from __future__ import annotations

import pytest

from liblinux import _native
from liblinux._errors import KernelClosed
from native.kernels import Boot, make_pipe


def map_anonymous(kernel: _native.Kernel, length: int) -> int:
    return kernel.init.syscall(kernel.syscalls["mmap"], None, length, 3, 0x22, -1, 0)


def test_mapped_memory_is_a_buffer(boot: Boot) -> None:
    kernel = boot()
    address = map_anonymous(kernel, 65536)
    view = memoryview(_native.map_view(kernel.init, address, 65536, False))
    view[:5] = b"hello"
    view[-1] = 7
    assert bytes(view[:6]) == b"hello\0"
    reader, writer = make_pipe(kernel)
    assert kernel.init.write(writer, view[:5]) == 5
    assert kernel.init.read(reader, 10) == b"hello"
    with pytest.raises(BufferError, match="exported"):
        kernel.close()
    read_only = memoryview(_native.map_view(kernel.init, address, 4096, True))
    assert read_only.readonly
    assert read_only[0] == ord("h")
    read_only.release()
    view.release()
    kernel.close()


def test_a_view_outside_of_the_window_is_refused(boot: Boot) -> None:
    kernel = boot()
    own = bytearray(4096)
    for address, length in ((id(own), 16), (0, 4096), (map_anonymous(kernel, 4096), 2**62), (2**64 - 1, 4096)):
        with pytest.raises(ValueError, match="range"):
            _native.map_view(kernel.init, address, length, False)
    with pytest.raises(ValueError, match="at least one"):
        _native.map_view(kernel.init, map_anonymous(kernel, 4096), 0, False)
    view = _native.map_view(kernel.init, map_anonymous(kernel, 4096), 4096, False)
    kernel.close()
    with pytest.raises(KernelClosed):
        memoryview(view)
