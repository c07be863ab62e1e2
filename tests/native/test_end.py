"""After close(), with the last reference, and after power-off."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from liblinux._errors import KernelClosed, KernelPanic
from native.kernels import MIB, SECTOR, Boot, boot_kernel, make_pipe
from native.source import Source
from until import LONG_SECONDS, it_waits


def test_after_close(boot: Boot) -> None:
    kernel = boot()
    init, child = kernel.init, kernel.init.spawn()
    disk = kernel.attach_buffer(bytearray(MIB), SECTOR, readonly=False, overlay=False)
    kernel.close()
    kernel.close()
    assert kernel.closed
    assert kernel.dead is None
    for use in (init.getpid, child.getpid, init.spawn, kernel.now, kernel.log, disk.changes, disk.detach):
        with pytest.raises(KernelClosed):
            use()
    for path_use in (init.listdir, init.walk, init.stat):
        with pytest.raises(KernelClosed):
            path_use("/")
    with pytest.raises(KernelClosed):
        _ = kernel.release
    child.exit()
    assert (disk.name, disk.size) == ("lda", MIB)


def test_close_while_a_thread_is_inside(boot: Boot) -> None:
    kernel = boot()
    reader, writer = make_pipe(kernel)
    thread = threading.Thread(target=kernel.init.read, args=(reader, 1))
    thread.start()
    assert it_waits(thread)
    with pytest.raises(BlockingIOError, match="another thread"):
        kernel.close()
    assert not kernel.closed
    kernel.init.write(writer, b"x")
    thread.join(LONG_SECONDS)
    kernel.close()


def test_a_kernel_goes_with_the_last_reference() -> None:
    kernel = boot_kernel()
    alive, process = weakref.ref(kernel), kernel.init
    del kernel
    assert alive() is process.kernel
    del process
    assert alive() is None


def test_a_kernel_in_a_cycle_is_collected() -> None:
    kernel = boot_kernel()
    alive = weakref.ref(kernel)
    source = Source(MIB)
    source.kernel = kernel
    kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    del kernel, source
    gc.collect()
    assert alive() is None


def test_a_kernel_that_is_powered_off_is_dead(boot: Boot) -> None:
    kernel = boot()
    with pytest.raises(KernelPanic, match="powered off"):
        kernel.init.call(kernel.syscalls["reboot"], 0xFEE1DEAD, 672274793, 0x4321FEDC, None)
    assert kernel.dead is not None
    with pytest.raises(KernelPanic):
        kernel.init.getpid()
    with pytest.raises(KernelPanic):
        kernel.init.walk("/")
    kernel.close()
    assert kernel.dead is not None
