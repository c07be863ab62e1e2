"""The extension module by itself: every promise of `_native.pyi`, on a booted kernel."""

from __future__ import annotations

import errno
import gc
import os
import signal
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from liblinux import _native
from liblinux._errors import BuildError, Deadlock, KernelClosed, KernelPanic
from liblinux._library import find_image

MIB = 1 << 20
SECTOR = 512
WAIT_SECONDS = 10

Boot = Callable[..., _native.Kernel]


def boot_kernel(**changes: object) -> _native.Kernel:
    options: dict[str, object] = {"memory": 64 * MIB, "virtual": False, "seed": bytes(64), "command_line": b""}
    return _native.Kernel(os.fspath(find_image()), **(options | changes))  # type: ignore[arg-type]  # from a dict


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


def write_file(process: _native.Process, path: str | bytes, data: bytes) -> None:
    fd = process.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    process.write(fd, data)
    process.close(fd)


def make_pipe(kernel: _native.Kernel) -> tuple[int, int]:
    ends = memoryview(bytearray(8)).cast("i")
    kernel.init.syscall(kernel.syscalls["pipe2"], ends, 0)
    return ends[0], ends[1]


def open_disk(kernel: _native.Kernel, name: str, flags: int = os.O_RDWR) -> int:
    """A descriptor of a disk, past the page cache of no use here."""
    call, numbers = kernel.init.call, kernel.syscalls
    call(numbers["mkdir"], "/dev", 0o755)
    if call(numbers["access"], f"/dev/{name}", os.F_OK) < 0:
        call(numbers["mount"], "devtmpfs", "/dev", "devtmpfs", 0, None)
    return kernel.init.open(f"/dev/{name}", flags)


# ---- boot ----------------------------------------------------------------


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        boot_kernel(seed=b"short")


def test_a_missing_image_is_named() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        _native.Kernel("/nowhere/image.so", memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")
    assert caught.value.filename == "/nowhere/image.so"


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.so"
    path.write_bytes(b"not an ELF file")
    with pytest.raises(BuildError, match="not a kernel image"):
        _native.Kernel(os.fspath(path), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")


def test_options_must_be_given() -> None:
    with pytest.raises(TypeError, match="seed"):
        _native.Kernel(os.fspath(find_image()), memory=64 * MIB)  # type: ignore[call-arg]  # that is the test


def test_a_kernel_object_boots_once(shared: _native.Kernel) -> None:
    with pytest.raises(RuntimeError, match="one kernel"):
        shared.__init__(os.fspath(find_image()), memory=64 * MIB, virtual=False, seed=bytes(64), command_line=b"")


def test_what_a_kernel_knows_of_itself(shared: _native.Kernel) -> None:
    assert _native.BOUNDARY_VERSION >= 1
    assert shared.release[0].isdigit()
    assert shared.syscalls["read"] == 0
    assert shared.syscalls["umount2"] == 166
    assert shared.syscalls["stat"] == shared.syscalls["newstat"] == 4
    assert shared.syscalls is shared.syscalls
    assert "ni_syscall" not in shared.syscalls
    assert shared.init is shared.init
    assert (shared.init.pid, shared.init.kernel) == (1, shared)
    assert (shared.dead, shared.closed) == (None, False)
    assert shared.text_base % 4096 == 0
    assert shared.now() <= shared.now()
    assert shared.statistics()["entries"] > 0


def test_the_log_is_taken_once(boot: Boot) -> None:
    kernel = boot()
    before, log, after = kernel.log_pending, kernel.log(), kernel.log_pending
    assert (before, after) == (True, False)
    assert b"Linux version" in log
    assert kernel.log() == b""


# ---- system calls ----------------------------------------------------------


def test_results_and_errors(init: _native.Process, nr: dict[str, int]) -> None:
    assert init.getpid() == init.syscall(nr["getpid"]) == init.call(nr["getpid"]) == 1
    assert init.call(nr["close"], 999) == -errno.EBADF
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        init.syscall(nr["close"], 999)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(FileNotFoundError):
        init.syscall(nr["chdir"], "/nowhere")


@pytest.mark.parametrize("number", [-1000, -1, 100_000, 2**63 - 1])
def test_numbers_that_are_no_system_call(init: _native.Process, number: int) -> None:
    assert init.call(number) == -errno.ENOSYS


def test_integers_of_64_bits(init: _native.Process, nr: dict[str, int]) -> None:
    for fd in (-1, 2**64 - 1, 999 - 2**63, False + 2**31 - 1):
        assert init.call(nr["close"], fd) == -errno.EBADF
    for beyond in (2**64, -(2**63) - 1):
        with pytest.raises(OverflowError, match="argument 2"):
            init.call(nr["read"], 0, beyond)


def test_strings_and_buffers(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    names = ["plain", "umläut", "byte\udcff"]
    for name in names:
        init.syscall(nr["mkdir"], f"{directory}/{name}", True * 0o700)
    found = sorted(name for name, _, _ in init.listdir(directory))
    assert found == sorted(name.encode("utf-8", "surrogateescape") for name in names)
    room = bytearray(64)
    assert init.syscall(nr["getcwd"], room, len(room)) == 2
    assert room[:2] == b"/\0"
    init.syscall(nr["rmdir"], f"{directory}/plain".encode())
    assert init.call(nr["getcwd"], None, 64) == -errno.EFAULT


def test_arguments_that_cannot_be_passed(init: _native.Process, nr: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"argument 2 .*float"):
        init.syscall(nr["read"], 0, 1.5)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="at most 6"):
        init.syscall(nr["read"], *range(7))
    with pytest.raises(ValueError, match="null"):
        init.syscall(nr["chdir"], "a\0b")
    with pytest.raises(TypeError):
        init.syscall("read")  # type: ignore[arg-type]  # that is the test


def test_a_bad_pointer_is_an_error(init: _native.Process, nr: dict[str, int]) -> None:
    for address in (8, 2**47 - 4096, 2**63):
        assert init.call(nr["getcwd"], address, 64) == -errno.EFAULT


def test_buffers_are_held_only_for_the_call(init: _native.Process, nr: dict[str, int]) -> None:
    room = bytearray(64)
    init.call(nr["getcwd"], room, len(room))
    room.append(0)
    with pytest.raises(TypeError):
        init.call(nr["getcwd"], room, 1.5)  # type: ignore[arg-type]  # that is the test
    room.append(0)


# ---- files -----------------------------------------------------------------


def test_reading_and_writing(init: _native.Process, directory: str) -> None:
    fd = init.open(f"{directory}/file", os.O_RDWR | os.O_CREAT, 0o600)
    assert init.write(fd, b"hello world") == 11
    assert init.pwrite(fd, memoryview(b"HELLO"), 0) == 5
    assert init.pread(fd, 5, 6) == b"world"
    assert init.pread(fd, 100, 6) == b"world"
    assert init.read(fd, 100) == b""
    room = bytearray(8)
    assert init.preadinto(fd, room, 3) == 8
    assert room == b"LO world"
    init.close(fd)
    fd = init.open(f"{directory}/file".encode(), os.O_RDONLY)
    assert init.readinto(fd, room) == 8
    assert room == b"HELLO wo"
    assert init.read(fd, 0) == b""
    with pytest.raises(OSError, match="descriptor"):
        init.write(fd, b"x")
    with pytest.raises(OSError, match="Invalid"):
        init.read(fd, -1)
    with pytest.raises(BufferError):
        init.readinto(fd, b"constant")
    init.close(fd)
    with pytest.raises(OSError, match="descriptor"):
        init.close(fd)


def test_open_takes_mode_and_directory(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    top = init.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    fd = init.open("below", os.O_WRONLY | os.O_CREAT, mode=0o640, dir_fd=top)
    assert stat.S_IMODE(init.stat("below", dir_fd=top)[0]) == 0o640
    assert init.syscall(nr["fcntl"], fd, 1) == 1  # F_GETFD: FD_CLOEXEC
    init.close(fd)
    init.close(top)
    with pytest.raises(FileExistsError):
        init.open(f"{directory}/below", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with pytest.raises(TypeError, match="unexpected"):
        init.open("/", 0, colour=1)  # type: ignore[call-arg]  # that is the test


def test_stat(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    path = f"{directory}/file"
    write_file(init, path, b"12345")
    init.syscall(nr["symlink"], "file", f"{directory}/link")
    init.syscall(nr["mknod"], f"{directory}/device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    status = init.stat(path)
    assert stat.S_ISREG(status[0])
    assert status[3:7] == (1, 0, 0, 5)
    assert init.stat(f"{directory}/link") == status
    assert stat.S_ISLNK(init.stat(f"{directory}/link", follow_symlinks=False)[0])
    assert init.stat(f"{directory}/device")[12] == os.makedev(1, 3)
    fd = init.open(path, os.O_RDONLY)
    assert init.stat(fd) == status
    init.close(fd)
    for bad in (fd, -1, -100):
        with pytest.raises(OSError, match="descriptor"):
            init.stat(bad)
    with pytest.raises(TypeError):
        init.stat(1.5)  # type: ignore[arg-type]  # that is the test


def test_times_beyond_64_bits_of_nanoseconds(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    seconds = 2**34
    times = memoryview(bytearray(32)).cast("q")
    times[0], times[1], times[2], times[3] = seconds, 1, -seconds, 999_999_999
    init.syscall(nr["utimensat"], -100, directory, times, 0)
    status = init.stat(directory)
    assert status[7] == seconds * 10**9 + 1
    assert status[8] == -seconds * 10**9 + 999_999_999


def test_listdir(init: _native.Process, directory: str) -> None:
    # More than one buffer of records.
    names = {f"{number:0200d}".encode() for number in range(600)}
    for name in names:
        write_file(init, directory.encode() + b"/" + name, b"")
    entries = init.listdir(directory)
    assert {name for name, _, _ in entries} == names
    name, inode, kind = entries[0]
    assert inode == init.stat(directory.encode() + b"/" + name)[1]
    assert kind == 8  # DT_REG
    fd = init.open(directory, os.O_RDONLY)
    assert init.listdir(fd) == init.listdir(fd) == entries
    init.close(fd)
    with pytest.raises(NotADirectoryError):
        init.listdir(directory.encode() + b"/" + name)
    with pytest.raises(FileNotFoundError):
        init.listdir("/nowhere")


def test_walk(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/a", 0o755)
    init.syscall(nr["mkdir"], f"{directory}/a/b", 0o755)
    init.syscall(nr["symlink"], "/", f"{directory}/a/loop")
    write_file(init, f"{directory}/a/b/file", b"123")
    found, errors = init.walk(directory)
    assert errors == []
    assert {name for name, _ in found} == {b"a", b"a/b", b"a/loop", b"a/b/file"}
    order = [name for name, _ in found]
    assert order.index(b"a") < order.index(b"a/b") < order.index(b"a/b/file")
    for name, status in found:
        now = init.stat(directory.encode() + b"/" + name, follow_symlinks=False)
        # But for the time of access (7), which reading a directory changes.
        assert (*status[:7], *status[8:]) == (*now[:7], *now[8:])
    with pytest.raises(NotADirectoryError):
        init.walk(f"{directory}/a/b/file")


def test_walk_deeper_than_a_path_may_be_long(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    depth, name = 40, "d" * 250
    init.syscall(nr["chdir"], directory)
    for _ in range(depth):
        init.syscall(nr["mkdir"], name, 0o755)
        init.syscall(nr["chdir"], name)
    write_file(init, "leaf", b"")
    init.syscall(nr["chdir"], "/")
    found, errors = init.walk(directory)
    assert errors == []
    assert found[-1][0] == b"/".join([name.encode()] * depth + [b"leaf"])


def test_walk_and_mounts(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/mounted", 0o755)
    init.syscall(nr["mount"], "none", f"{directory}/mounted", "tmpfs", 0, None)
    write_file(init, f"{directory}/mounted/inside", b"")
    assert [name for name, _ in init.walk(directory)[0]] == [b"mounted", b"mounted/inside"]
    assert [name for name, _ in init.walk(directory, follow_mounts=False)[0]] == [b"mounted"]
    init.syscall(nr["umount2"], f"{directory}/mounted", 0)


def test_walk_collects_what_cannot_be_read(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    init.syscall(nr["mkdir"], f"{directory}/locked", 0)
    init.syscall(nr["mkdir"], f"{directory}/open", 0o755)
    user = init.spawn()
    user.syscall(nr["setresuid"], 1000, 1000, 1000)
    found, errors = user.walk(directory)
    user.exit()
    assert {name for name, _ in found} == {b"locked", b"open"}
    assert errors == [(b"locked", errno.EACCES)]


# ---- processes and threads -------------------------------------------------


def test_a_process_of_its_own(init: _native.Process, nr: dict[str, int]) -> None:
    child = init.spawn()
    assert child.pid == child.getpid() > 1
    assert child.kernel is init.kernel
    child.syscall(nr["setresuid"], 1000, 1000, 1000)
    assert (child.syscall(nr["getuid"]), init.syscall(nr["getuid"])) == (1000, 0)
    child.exit()
    child.exit()
    with pytest.raises(KernelClosed, match="exited"):
        child.getpid()
    assert init.getpid() == 1


def test_init_cannot_exit(init: _native.Process) -> None:
    with pytest.raises(PermissionError, match="init"):
        init.exit()


def test_tasks_are_threads(init: _native.Process, nr: dict[str, int]) -> None:
    tids: list[int] = []
    thread = threading.Thread(target=lambda: tids.append(init.syscall(nr["gettid"])))
    thread.start()
    thread.join()
    assert tids != [init.syscall(nr["gettid"])]


def test_one_thread_wakes_another(shared: _native.Kernel) -> None:
    reader, writer = make_pipe(shared)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(shared.init.read(reader, 10)))
    thread.start()
    time.sleep(0.05)
    shared.init.write(writer, b"wake up")
    thread.join(WAIT_SECONDS)
    assert got == [b"wake up"]
    shared.init.close(reader)
    shared.init.close(writer)


class Alarmed(Exception):
    """Raised by the handler of SIGALRM."""


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function in a signal handler in a moment."""
    before = signal.getsignal(signal.SIGALRM)

    def arm(action: Callable[[], None]) -> None:
        def handle(number: int, frame: FrameType | None) -> None:
            action()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    yield arm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_that_raises_ends_the_call(
    shared: _native.Kernel, alarm: Callable[[Callable[[], None]], None]
) -> None:
    def fail() -> None:
        raise Alarmed

    reader, writer = make_pipe(shared)
    alarm(fail)
    with pytest.raises(Alarmed):
        shared.init.read(reader, 1)
    assert shared.init.getpid() == 1
    shared.init.close(reader)
    shared.init.close(writer)


def test_a_signal_handler_that_returns_does_not(
    shared: _native.Kernel, alarm: Callable[[Callable[[], None]], None]
) -> None:
    reader, writer = make_pipe(shared)
    seen: list[bool] = []
    alarm(lambda: seen.append(True))
    thread = threading.Timer(0.4, lambda: shared.init.write(writer, b"x"))
    thread.start()
    assert shared.init.read(reader, 1) == b"x"
    assert seen == [True]
    thread.join()
    shared.init.close(reader)
    shared.init.close(writer)


def test_a_wait_for_nothing_under_the_virtual_clock(boot: Boot) -> None:
    kernel = boot(virtual=True)
    reader, writer = make_pipe(kernel)
    with pytest.raises(Deadlock):
        kernel.init.read(reader, 1)
    assert kernel.init.getpid() == 1
    kernel.init.close(writer)
    assert kernel.init.read(reader, 1) == b""


def test_the_virtual_clock_jumps(boot: Boot) -> None:
    kernel = boot(virtual=True, realtime=10**18)
    before, started = kernel.now(), time.monotonic()
    hour = memoryview(bytearray(16)).cast("q")
    hour[0] = 3600
    kernel.init.syscall(kernel.syscalls["nanosleep"], hour, None)
    assert time.monotonic() - started < WAIT_SECONDS
    assert 3600 * 10**9 <= kernel.now() - before < 3601 * 10**9
    now = memoryview(bytearray(16)).cast("q")
    kernel.init.syscall(kernel.syscalls["clock_gettime"], 0, now)
    assert now[0] // 86400 == (10**9 + 3600) // 86400


# ---- the end ---------------------------------------------------------------


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
    time.sleep(0.1)
    with pytest.raises(BlockingIOError, match="another thread"):
        kernel.close()
    assert not kernel.closed
    kernel.init.write(writer, b"x")
    thread.join(WAIT_SECONDS)
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


# ---- memory ----------------------------------------------------------------


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


# ---- disks -----------------------------------------------------------------


class Source:
    """A disk in Python that keeps a record of what it was asked."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.calls: list[str] = []
        self.failure: BaseException | None = None
        self.kernel: _native.Kernel | None = None

    def _asked(self, what: str) -> None:
        self.calls.append(what)
        if self.failure is not None:
            raise self.failure

    def pread(self, offset: int, buffer: memoryview) -> None:
        self._asked("pread")
        buffer[:] = self.data[offset : offset + len(buffer)]

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        self._asked("pwrite stable" if stable else "pwrite")
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        self._asked("flush")

    def discard(self, offset: int, length: int) -> None:
        self._asked("discard")
        self.data[offset : offset + length] = bytes(length)


def test_a_disk_of_a_buffer(boot: Boot) -> None:
    kernel = boot()
    memory = bytearray(MIB)
    memory[:5] = b"hello"
    disk = kernel.attach_buffer(memory, SECTOR, readonly=False, overlay=False)
    assert (disk.name, disk.index, disk.size, disk.kernel) == ("lda", 0, MIB, kernel)
    with pytest.raises(BufferError):
        memory.append(0)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 5, 0) == b"hello"
    kernel.init.pwrite(fd, b"HELLO", 4096)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert memory[4096:4101] == b"HELLO"
    with pytest.raises(OSError, match="busy") as caught:
        disk.detach()
    assert caught.value.errno == errno.EBUSY
    kernel.init.close(fd)
    disk.detach()
    memory.append(0)
    with pytest.raises(ValueError, match="detached"):
        disk.detach()


def test_an_overlay_leaves_the_source_alone(boot: Boot) -> None:
    kernel = boot()
    disk = kernel.attach_buffer(bytes(MIB), SECTOR, readonly=False, overlay=True)
    fd = open_disk(kernel, disk.name)
    kernel.init.pwrite(fd, b"changed", 0)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert kernel.init.pread(fd, 7, 0) == b"changed"
    assert disk.changes() > 0
    kernel.init.close(fd)


def test_a_constant_buffer_cannot_be_written(shared: _native.Kernel) -> None:
    with pytest.raises(BufferError):
        shared.attach_buffer(bytes(MIB), SECTOR, readonly=False, overlay=False)
    with pytest.raises(TypeError, match="readonly"):
        shared.attach_buffer(bytes(MIB), SECTOR)  # type: ignore[call-arg]  # that is the test


def test_a_disk_of_a_descriptor(boot: Boot, tmp_path: Path) -> None:
    kernel = boot()
    path = tmp_path / "disk.img"
    path.write_bytes(b"file" + bytes(MIB - 4))
    with path.open("r+b") as file:
        disk = kernel.attach_fd(file.fileno(), MIB, SECTOR, readonly=False, overlay=False, rotating=True)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 4, 0) == b"file"
    kernel.init.pwrite(fd, b"FILE", 0)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert path.read_bytes()[:4] == b"FILE"
    kernel.init.close(fd)
    disk.detach()
    with pytest.raises(OSError, match="descriptor"):
        kernel.attach_fd(-1, MIB, SECTOR, readonly=False, overlay=False)


def test_a_disk_that_python_serves(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    source.data[:5] = b"hello"
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=False, overlay=False)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 5, 0) == b"hello"
    kernel.init.pwrite(fd, b"x" * 8192, 65536)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert source.data[65536:73728] == b"x" * 8192
    assert {"pread", "pwrite", "flush"} <= set(source.calls)
    assert disk.error() is None
    kernel.init.close(fd)


def test_the_exception_of_a_disk_is_the_cause(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.failure = ZeroDivisionError("broken")
    with pytest.raises(OSError, match="Input/output") as caught:
        kernel.init.pread(fd, SECTOR, MIB // 2)
    assert caught.value.__cause__ is source.failure
    assert disk.error() is None
    assert kernel.init.call(kernel.syscalls["pread64"], fd, bytearray(SECTOR), SECTOR, MIB // 2) == -errno.EIO
    assert disk.error() is source.failure
    assert disk.error() is None
    kernel.init.close(fd)


def test_ctrl_c_in_a_disk_reaches_the_caller(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        kernel.init.pread(fd, SECTOR, MIB // 2)
    source.failure = None
    assert kernel.init.pread(fd, 4, MIB // 4) == bytes(4)
    kernel.init.close(fd)


def test_a_disk_must_not_call_its_kernel(boot: Boot) -> None:
    class Reentering(Source):
        def pread(self, offset: int, buffer: memoryview) -> None:
            if self.kernel is not None:
                self.kernel.init.getpid()
            super().pread(offset, buffer)

    kernel = boot()
    source = Reentering(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.kernel = kernel
    with pytest.raises(OSError, match="Input/output") as caught:
        kernel.init.pread(fd, SECTOR, MIB // 2)
    assert isinstance(caught.value.__cause__, RuntimeError)
    source.kernel = None
    kernel.init.close(fd)


def test_resize(boot: Boot, tmp_path: Path) -> None:
    kernel = boot()
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(2 * MIB))
    with path.open("r+b") as file:
        disk = kernel.attach_fd(file.fileno(), MIB, SECTOR, readonly=False, overlay=False)
    disk.resize(2 * MIB)
    assert disk.size == 2 * MIB
    fd = open_disk(kernel, disk.name)
    assert kernel.init.syscall(kernel.syscalls["lseek"], fd, 0, os.SEEK_END) == 2 * MIB
    kernel.init.close(fd)
    small = kernel.attach_buffer(bytearray(MIB), SECTOR, readonly=False, overlay=False)
    with pytest.raises(ValueError, match="buffer"):
        small.resize(2 * MIB)


# ---- functions -------------------------------------------------------------


def test_the_fault_handler_is_in_front(shared: _native.Kernel) -> None:
    assert _native.reclaim_fault_handler() is False


def test_the_null_call_is_measured(init: _native.Process) -> None:
    assert 0 < _native.null_call_nanoseconds(init, 1000) < 1e6
    with pytest.raises(ValueError, match="count"):
        _native.null_call_nanoseconds(init, 0)


def test_a_switch_is_measured(init: _native.Process) -> None:
    for count in (1, 2, 1001):
        assert 0 < _native.switch_nanoseconds(init, count) < 1e8
    with pytest.raises(ValueError, match="count"):
        _native.switch_nanoseconds(init, 0)
    assert init.getpid() == 1
