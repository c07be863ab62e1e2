"""What the kernel's own crash-test module (LKDTM) can do, and what else is made to bring a kernel down."""

from __future__ import annotations

import pytest

import liblinux

# The way, where it ends, and what is said of it.
DEADLY = {
    "PANIC": ("lkdtm_PANIC", "dumptest"),
    "BUG": ("lkdtm_BUG", "BUG at drivers/misc/lkdtm/bugs.c"),
    "EXCEPTION": ("lkdtm_EXCEPTION", "write at bad address 0x0"),
    "EXHAUST_STACK": ("recursive_loop", "stack overflow"),
    "CORRUPT_STACK": (None, "jump at bad address"),
    "CORRUPT_STACK_STRONG": (None, "jump at bad address"),
    "CORRUPT_LIST_ADD": ("__list_add_valid", "BUG at lib/list_debug.c"),
    "CORRUPT_LIST_DEL": ("__list_del_entry_valid", "BUG at lib/list_debug.c"),
    "VMALLOC_LINEAR_OVERFLOW": ("memset", "write at bad address"),
    "WRITE_KERN": ("lkdtm_WRITE_KERN", "write at bad address"),
    "EXEC_DATA": ("execute_location", "jump at bad address"),
    "EXEC_STACK": ("execute_location", "jump at bad address"),
    "EXEC_KMALLOC": ("execute_location", "jump at bad address"),
    "EXEC_VMALLOC": ("execute_location", "jump at bad address"),
    "EXEC_RODATA": ("execute_location", "jump at bad address"),
    "EXEC_USERSPACE": (None, "jump at bad address"),
    "EXEC_NULL": ("execute_location", "jump at bad address 0x0"),
    "ACCESS_NULL": ("lkdtm_ACCESS_NULL", "read at bad address 0x0"),
    "USERCOPY_SLAB_SIZE_TO": ("usercopy_abort", "BUG at mm/usercopy.c"),
    "USERCOPY_SLAB_SIZE_FROM": ("usercopy_abort", "BUG at mm/usercopy.c"),
    "USERCOPY_SLAB_WHITELIST_TO": ("usercopy_abort", "BUG at mm/usercopy.c"),
    "USERCOPY_SLAB_WHITELIST_FROM": ("usercopy_abort", "BUG at mm/usercopy.c"),
    "USERCOPY_STACK_BEYOND": ("usercopy_abort", "BUG at mm/usercopy.c"),
    "USERCOPY_KERNEL": ("usercopy_abort", "BUG at mm/usercopy.c"),
}


@pytest.mark.parametrize("kind", DEADLY)
def test_a_deadly_one(debug_kernel: liblinux.Kernel, shared_kernel: liblinux.Kernel, kind: str) -> None:
    function, message = DEADLY[kind]
    with pytest.raises(liblinux.KernelPanic) as caught:
        debug_kernel.faults.provoke(kind)
    assert message in caught.value.message
    if function is not None:
        assert caught.value.function.startswith(function)
    assert caught.value.syscall == "write"
    assert debug_kernel.dead
    assert shared_kernel.os.uname().sysname == "Linux"


def test_a_task_that_hangs(debug_kernel: liblinux.Kernel) -> None:
    with pytest.raises(liblinux.Deadlock) as caught:
        debug_kernel.faults.provoke("HUNG_TASK")
    assert [(waiter.function, waiter.uninterruptible) for waiter in caught.value.waiters] == [("lkdtm_HUNG_TASK", True)]


@pytest.mark.parametrize("kind", ["REFCOUNT_INC_OVERFLOW", "REFCOUNT_DEC_ZERO", "REFCOUNT_ADD_ZERO", "WARNING"])
def test_a_warning_that_is_made_deadly(debug_kernel: liblinux.Kernel, kind: str) -> None:
    debug_kernel.sysctl["kernel.panic_on_warn"] = 1
    with pytest.raises(liblinux.KernelPanic, match="panic_on_warn"):
        debug_kernel.faults.provoke(kind)


def test_a_warning(debug_kernel: liblinux.Kernel) -> None:
    debug_kernel.faults.provoke("WARNING")
    assert debug_kernel.dead is None


def test_the_system_request_to_crash(debug_kernel: liblinux.Kernel) -> None:
    with pytest.raises(liblinux.KernelPanic, match="sysrq triggered crash") as caught:
        debug_kernel._write("/proc/sysrq-trigger", b"c")
    assert caught.value.function == "sysrq_handle_crash"


def test_unknown_kinds(debug_kernel: liblinux.Kernel) -> None:
    with pytest.raises(ValueError, match="provocations"):
        debug_kernel.faults.provoke("NOTHING")
    assert {"PANIC", "BUG", "EXCEPTION"} <= set(debug_kernel.faults.provocations())
