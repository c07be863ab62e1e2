"""The Kernel: boot, disks, mounts, processes, and the way down."""

from __future__ import annotations

import atexit
import errno
import os
import warnings
from types import MappingProxyType

from liblinux import _abi, _faulthandler, _native
from liblinux import _disk as disks
from liblinux import _mount as mounts
from liblinux import _process as processes
from liblinux import _snapshot as snapshots
from liblinux._actor import Actor
from liblinux._dmesg import KernelLog, Record
from liblinux._errors import KernelPanic
from liblinux._library import find_image, find_jail
from liblinux._living import Living
from liblinux._typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from liblinux._disk import Disk
    from liblinux._faults import Faults
    from liblinux._inject import HostFaults
    from liblinux._mount import Mount
    from liblinux._process import Process
    from liblinux._snapshot import Snapshot

__all__ = ["Kernel"]

SEED_BYTES = 64
_COMMAND_LINE_BYTES = 2047  # COMMAND_LINE_SIZE of the port, and its zero
MINIMUM_MEMORY_BYTES = 16 << 20

# Devices that drivers make at boot, whether anybody wants them or not: they cost a
# quarter of the boot and two megabytes. All can be made later. The command line of
# the user comes after these and overrules them.
_BOOT_OPTIONS = (
    "bonding.max_bonds=0",
    "dummy.numdummies=0",
    "ifb.numifbs=0",
    "nbd.nbds_max=0",
    "null_blk.nr_devices=0",
    "zram.num_devices=0",
    # Of tunnels, in every network namespace; they double what one takes.
    "fb_tunnels=none",
    "jfs.nTxBlock=256",
    "jfs.nTxLock=1024",
    # What is allocated at once for many of a size: less for what there is one of, and
    # less wasted between inodes, of which there are thousands.
    "slub_min_objects=2",
    "slub_max_order=2",
)
# Linux sizes these tables by memory, for programs; here the memory is for files.
_FILE_TABLES = ("dhash_entries=16384", "ihash_entries=16384")
_FILE_TABLES_MEMORY_BYTES = 48 << 20
_TASKS = b"16384"
_BOOT_MOUNTS = (("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"))
_IGNORE = bytes([1]) + bytes(31)  # SIG_IGN in a struct sigaction
_BOOT_DIRECTORIES = (("/mnt", 0o755), ("/tmp", 0o1777))  # noqa: S108 - the kernel's own, not the host's
_SIZE_UNITS = {
    "": 0,
    "B": 0,
    **{unit + end: 10 * power for power, unit in enumerate("KMGT", 1) for end in ("", "B", "IB")},
}

_faulthandler.install()

# Kernels that are still open when the interpreter ends are closed in order.
_open_kernels: Living[Kernel] = Living()


class Kernel(Actor):
    """A Linux kernel in this process, or with `isolated=True` in one of its own.

    Arguments: `memory` of the kernel, in bytes or as "64M"; `clock` "real", or
    "virtual" for a clock that jumps to the next event when all tasks wait;
    `seed` of all its randomness (int, str or bytes; None takes one from the host,
    to be found in `kernel.seed`); `version` of the kernel ("6.12", "6.1", a
    release, "6.12-debug" for one with fault injection, or an image's path);
    `command_line`, see the kernel document admin-guide/kernel-parameters; `realtime`, the time of day at boot under the
    virtual clock, in nanoseconds since 1970.

    `isolated=True` puts the kernel into a child process that has no rights but to
    work on the disks that it is given, for images that are not to be trusted. It
    is used in the same way; when the child dies, however that comes about, calls
    raise KernelDied. `cpu_seconds` is the processor time, in seconds, after which
    the host ends it (0: no limit). Addresses inside of what arguments point to, and
    futexes, must be in memory of `mmap`.

    With a real clock timers and what arrives wait until somebody is inside, in any
    call; `background=True` keeps a thread of the extension inside (as do links of a
    network to devices), at the price of some microseconds for each call that meets
    it. Such a kernel has no snapshots, and is dead in a child of fork().

    Attributes: `release`, what uname(2) calls so ("6.12.117"); `memory` in bytes;
    `clock`; `isolated`; `seed`, 64 bytes that make the same kernel again; `syscalls`, the numbers
    of its system calls by name.

    As itself it acts as init, process 1 with all rights: `os`, `open`,
    `syscall`, `mmap`, `sysctl`. It is a context manager; `close()` unmounts and
    writes everything back. Safe to use from several threads.

    Raises BuildError when there is no kernel image, ValueError for arguments out
    of range, OSError when the host has not the memory, KernelPanic when the
    kernel does not come up.
    """

    def __init__(
        self,
        memory: int | str = "64M",
        clock: Literal["real", "virtual"] = "real",
        seed: int | str | bytes | None = None,
        isolated: bool = False,
        version: str | None = None,
        *,
        command_line: str = "",
        realtime: int = 0,
        cpu_seconds: int = 0,
        background: bool = False,
    ) -> None:
        if background and clock == "virtual":
            raise ValueError("a virtual clock stands still while nobody is inside; background=True is for clock='real'")
        if background and isolated:
            raise ValueError("the process of an isolated kernel has no room for background=True")
        if clock not in ("real", "virtual"):
            raise ValueError(f"clock must be 'real' or 'virtual', not {clock!r}")
        if cpu_seconds and not isolated:
            raise ValueError("cpu_seconds is a limit of the process of an isolated kernel: add isolated=True")
        self.clock = clock
        self.isolated = isolated
        self.memory = parse_memory(memory)
        self.seed = make_seed(seed)
        options = " ".join((*_boot_options(self.memory), command_line)).encode()
        if len(options) > _COMMAND_LINE_BYTES:
            too_many = len(options) - _COMMAND_LINE_BYTES
            raise ValueError(f"command_line is {too_many} bytes too long: the kernel would cut it without a word")
        self._host_process = os.getpid()
        self._native = _native.Kernel(
            find_image(version),
            memory=self.memory,
            virtual=clock == "virtual",
            seed=self.seed,
            command_line=options,
            realtime=realtime,
            jail=find_jail() if isolated else None,
            cpu_seconds=cpu_seconds,
        )
        # What uname(2) calls the release, "6.12.117"; it outlives the kernel.
        self.release: str = self._native.release
        self._disks: list[Disk] = []
        self._processes: set[Process] = set()
        self._version: str | None = None
        # Threads of the extension that are inside, until they are stopped.
        self._pumps: list[_native.Pump] = []
        self.syscalls: Mapping[str, int] = MappingProxyType(self._native.syscalls)
        self._log = KernelLog(self._native)
        # Called by close() between unmounting and the end: what stands on disks and must be left in order.
        self._at_shutdown: list[Callable[[], None]] = []
        super().__init__(self._native, self._native.init, self._native.syscalls)
        self._is_made = True
        _open_kernels.add(self)
        self._prepare()
        self._log.pump()
        if background:
            self._stay_inside()

    def _stay_inside(self) -> None:
        """Begin a thread that waits in the kernel for ever, and so serves its timers and all that arrives."""
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK
        never, stop = (self.syscall("eventfd2", 0, flags) for _ in range(2))
        ends = (self._process, never, stop, 0), (None, -1, -1, 0)
        self._pumps.append(_native.Pump(*ends, (None, -1, 0, b"")))

    def __repr__(self) -> str:
        state = " isolated" * self.isolated + " closed" * self.closed
        return f"<liblinux.Kernel {self.release}, {self.memory >> 20} MiB, {self.clock} clock{state}>"

    def __del__(self) -> None:
        native = getattr(self, "_native", None)
        if native is None or native.closed or self._host_process != os.getpid():
            return
        if "_is_made" not in vars(self):  # Ctrl-C came while it was: there is nothing but the kernel itself
            native.close()
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        self.close()

    @property
    def version(self) -> str:
        """What uname(2) calls the version: number and options of the build."""
        if self._version is None:
            self._version = self.os.uname().version
        return self._version

    @property
    def closed(self) -> bool:
        """Whether the kernel is gone."""
        return self._native.closed

    @property
    def dead(self) -> str | None:
        """The message of the panic that the kernel died of, or None."""
        return self._native.dead

    @property
    def faults(self) -> Faults:
        """Ways to make parts of this kernel fail; see :class:`Faults`. It must be built for that."""
        from liblinux._faults import Faults  # noqa: PLC0415 - for few programs

        return Faults(self)

    def inject(
        self,
        seed: int = 0,
        *,
        read_error: float = 0.0,
        write_error: float = 0.0,
        torn_write: float = 0.0,
        flush_error: float = 0.0,
        alias_failure: float = 0.0,
        clock_jump: float = 0.0,
        jump_seconds: float = 60.0,
        errno: int = errno.EIO,
    ) -> HostFaults:
        """Let the host misbehave during a `with` statement, on a schedule that `seed` repeats.

        Chances are numbers from 0 to 1, for each occasion: a disk's read, write or
        flush fails with `errno`; a write fails after some of its sectors
        (`torn_write`; of a Python object's disk after none); no memory can be
        mapped (`alias_failure`), which a kernel may not survive; the real clock
        jumps ahead by up to `jump_seconds` when it is read. In any kernel, unlike
        `faults`. Returns a :class:`HostFaults` with what happened in `counts`.
        """
        from liblinux._inject import HostFaults  # noqa: PLC0415 - for few programs

        chances = (read_error, write_error, torn_write, flush_error, alias_failure, clock_jump)
        return HostFaults(self, seed, chances, jump_seconds, errno)

    @property
    def disks(self) -> tuple[Disk, ...]:
        """The disks that are attached."""
        return tuple(self._disks)

    def now(self) -> int:
        """The kernel's monotonic clock, in nanoseconds."""
        return self._native.now()

    def statistics(self) -> dict[str, int]:
        """Counters of the host side: entries, switches, faults; and of frames that cables have carried."""
        return self._native.statistics()

    def attach(
        self,
        source: Any,
        readonly: bool = False,
        overlay: bool = False,
        sector_size: int = 512,
        *,
        lock: bool = True,
    ) -> Disk:
        """Make a block device of an image; returns a :class:`Disk`.

        `source` is the path of an image file or block device, a bytes-like
        object (one that cannot be written becomes a read-only disk), a binary
        file object, or an object that is a device by itself: it has `size` and
        the methods `pread(offset, buffer)`, `pwrite(offset, data, stable)`,
        `flush()` and `discard(offset, length)`, and is asked exactly what the
        kernel asks (`stable`: a write that is not to stay in a cache, FUA).
        `overlay=True` keeps all writes in memory and leaves the source untouched.
        `sector_size` in bytes, 512 to 4096. An image file
        is locked as long as it is attached: one writer or many readers.

        Raises FileNotFoundError, IsADirectoryError, PermissionError (also for a
        file object opened for reading only), BlockingIOError when the image is
        locked by somebody else, ValueError when it is empty or no whole number
        of sectors, TypeError for anything that cannot be a disk.
        """
        self._check_open()
        disk = disks.attach(self, source, readonly=readonly, overlay=overlay, sector_size=sector_size, lock=lock)
        self._disks.append(disk)
        self._log.pump()
        return disk

    def mount(
        self,
        source: Disk | str | None,
        target: str,
        partition: int | str | None = None,
        type: str | None = None,
        options: str = "",
        readonly: bool | None = None,
    ) -> Mount:
        """Mount a file system; returns a :class:`Mount`, which may serve as context manager.

        `source` is a disk, a device of the kernel ("/dev/lda1"), a directory for
        options="bind", or None for a virtual file system (type="tmpfs"). The
        directory `target` is created. `partition` counts from 1, 0 is the whole
        disk; or it is a label or UUID of the partition or of its file system, also
        as "LABEL=root", "UUID=", "PARTLABEL=" or "PARTUUID="; by default it is the
        only one that can be mounted, or the whole disk when there is no partition
        table. Without `type` the one is taken that the
        content looks like; when that cannot be told, all that the kernel has are tried. `options` are those of
        mount(8). A read-only disk is mounted read-only.

        Raises MountError, an OSError with the kernel's errno, with what was
        found and logged. The image of a disk is as it was before, then, even if
        the file system had replayed its journal.
        """
        self._check_open()
        return mounts.mount(self, source, target, partition=partition, type=type, options=options, readonly=readonly)

    def umount(self, target: str | Mount, *, lazy: bool = False, force: bool = False) -> None:
        """Write a file system back and unmount it.

        `lazy` takes it out of sight now and unmounts when it is no longer used;
        `force` is for dead servers. OSError: EBUSY while it is used, EINVAL when
        nothing is mounted there, EIO when something could not be written (it is
        unmounted all the same).
        """
        self._check_open()
        path = target if isinstance(target, str) else target.target
        flags = _abi.MNT_DETACH * lazy | _abi.MNT_FORCE * force
        failed = self._sync_mount(path)
        self.os._on(path, "umount2", path, flags)
        self._log.pump()
        if failed is not None:
            raise failed

    def process(
        self,
        uid: int = 0,
        gid: int = 0,
        groups: Sequence[int] = (),
        namespaces: Iterable[str] = (),
        cwd: str | None = None,
        umask: int | None = None,
    ) -> Process:
        """Start a process with credentials, open files and a working directory of its own.

        `namespaces` are those it does not share with init: "mnt", "uts", "ipc",
        "net", "user", "pid", "cgroup". A new user namespace maps every id to
        itself; "pid" together with "mnt" has its own /proc.
        """
        process = processes.start(self, uid=uid, gid=gid, groups=groups, namespaces=namespaces, cwd=cwd, umask=umask)
        self._processes.add(process)
        return process

    def dmesg(self) -> list[Record]:
        """The kernel's log since boot; every record has also gone to logging "liblinux.kernel"."""
        return self._log.records()

    def snapshot(self) -> Snapshot:
        """Keep the kernel as it is now; returns what :meth:`restore` takes.

        Memory, processes, open files, mounts, clocks, random state and overlays
        are kept; nothing of the host is. So every disk must be readonly or have
        overlay=True. Files that are open for writing are flushed first.

        Raises OSError (EROFS) when a disk writes to what it is made of,
        BlockingIOError while another thread is in a call of this kernel,
        KernelPanic when it is dead.
        """
        self._check_open()
        if self._pumps:
            text = "threads are inside of this kernel for ever: background=True, or links to devices; take one without"
            raise BlockingIOError(errno.EBUSY, text)
        return snapshots.take(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Put the kernel back to `snapshot`, in place; a dead kernel lives again.

        Disks attached and processes started since are gone; files opened since
        raise ValueError when they are used. Those that were closed since are open
        again inside the kernel, without an object for them. With clock="real" the
        time in between has passed. A snapshot can be used any number of times.

        Raises ValueError for a snapshot of another kernel, BufferError while
        mappings made since are in use, OSError (ENODEV) when a disk of then has
        been detached, BlockingIOError while another thread is in a call.
        """
        self._check_open()
        snapshots.restore(self, snapshot)

    def fork(self) -> int:
        """os.fork() with this kernel: parent and child each have their own; returns the child's pid, or 0 there.

        Every kernel of the process is copied, also by a plain os.fork(). What
        this adds: open files are flushed first, so that nothing is written twice,
        and RuntimeError is raised when other threads run, which would not be in
        the child. An image that is written to becomes an overlay in the child:
        the file stays the parent's. The child does not close kernels by itself
        when it ends.
        """
        return snapshots.fork(self)

    def abort(self) -> None:
        """Kill the kernel, from any thread, whatever it is doing; nothing is written back.

        All that are inside or wait get KernelPanic, also one whose call computes
        for ever: `threading.Timer(10, kernel.abort)` bounds what an image can cost.
        Afterwards the kernel can be closed, or put back to a snapshot; an isolated
        one only closed, for its process has ended.
        """
        self._check_open()
        self._native.abort()

    def close(self) -> None:
        """End processes, write back and unmount everything, and drop the kernel. Twice does nothing.

        After a panic it is only dropped. Ctrl-C is raised when all is written; a second
        one at once, and what is not written by then is lost. Raises the first OSError of writing
        back, when all the rest is done; BufferError while slices of a mapping
        are in use, and BlockingIOError while another thread is in a system call:
        all is written back then, and close() can be called again.
        """
        if self.closed:
            return
        problems: list[OSError] = []
        try:
            for pump in self._pumps:
                pump.stop()
            if self.dead is None:
                problems = self._shut_down()
            self._log.pump()
        except BaseException as first:
            # Ctrl-C waits until all is written, unless it comes again.
            if self.dead is None:
                try:
                    self._shut_down()
                except KernelPanic:
                    raise first from None
            raise
        finally:  # also of a kernel that died on the way down
            self._native.close()
        _open_kernels.discard(self)
        self._disks.clear()
        if problems:
            raise problems[0]

    # ---- for the other modules of the package --------------------------------

    def _check_open(self) -> None:
        # The native layer knows how to say it, and refuses by itself everywhere else.
        if self.closed:
            self._process.getpid()

    def _forget_disk(self, disk: Disk) -> None:
        self._disks.remove(disk)
        self._log.pump()

    def _write(self, path: str, data: bytes) -> None:
        fd = self.os.open(path, os.O_WRONLY)
        try:
            self.os.write(fd, data)
        finally:
            # Else the second exception of a kernel that died would hide the first.
            if self.dead is None:
                self.os.close(fd)

    # ---- the way up and the way down -----------------------------------------

    def _prepare(self) -> None:
        """What every program expects to find, in as few calls as possible."""
        call = self.os.call
        for type, target in _BOOT_MOUNTS:
            call("mkdir", target, 0o755)
            error = -call("mount", type, target, type, 0, None)
            # A kernel built without one of them works without it.
            if error not in (0, errno.ENODEV, errno.EBUSY):
                raise OSError(error, f"cannot mount {type} at boot: {os.strerror(error)}", target)
        # The kernel allows as many tasks as its memory could hold with programs in them.
        if (fd := call("open", "/proc/sys/kernel/threads-max", os.O_WRONLY, 0)) >= 0:
            call("write", fd, _TASKS, len(_TASKS))
            call("close", fd)
        for directory, mode in _BOOT_DIRECTORIES:
            call("mkdir", directory, mode)
            call("chmod", directory, mode)
        # As Python does it: a pipe that nobody reads is an error, not the end of a process. Children inherit it.
        call("rt_sigaction", _abi.SIGPIPE, _IGNORE, None, 8)

    def _shut_down(self) -> list[OSError]:
        problems: list[OSError] = []
        for actor in (*self._processes, self):
            try:
                actor._close_files() if actor is self else actor.close()
            except OSError as error:
                problems.append(error)
        call = self.os.call
        call("chdir", "/")
        call("close_range", 0, 0xFFFFFFFF, 0)
        for target in reversed(self._mounted()):
            failed = self._sync_mount(target)
            if failed is not None:
                problems.append(failed)
            if call("umount2", target, 0) == -errno.EBUSY:
                call("umount2", target, _abi.MNT_DETACH)
        for stop in reversed(self._at_shutdown):
            try:
                stop()
            except OSError as error:
                problems.append(error)
        call("sync")
        return problems

    def _mounted(self) -> list[bytes]:
        """What is mounted besides that of the boot, in the order of mounting."""
        own = {b"/", *(target.encode() for _, target in _BOOT_MOUNTS)}
        try:
            lines = self._read_text("/proc/self/mounts").splitlines()
        except OSError:
            return []
        # Blanks and backslashes in them are octal escapes, which are Python's too.
        targets = [os.fsencode(line).split(b" ")[1].decode("unicode_escape").encode("latin-1") for line in lines]
        return [target for target in targets if target not in own]

    def _sync_mount(self, target: str | bytes) -> OSError | None:
        """Write a mounted file system back; the error if something was lost."""
        fd = self.os.call("open", target, os.O_RDONLY | os.O_DIRECTORY, 0)
        if fd < 0:
            return None
        try:
            self.os.syncfs(fd)
        except OSError as error:
            error.filename = os.fsdecode(target)
            return error
        finally:
            self.os.call("close", fd)
        return None


def _boot_options(memory_bytes: int) -> tuple[str, ...]:
    return _BOOT_OPTIONS + (_FILE_TABLES if memory_bytes >= _FILE_TABLES_MEMORY_BYTES else ())


def parse_memory(memory: int | str) -> int:
    """Bytes of "64M", "1G", "65536K" or a number."""
    if isinstance(memory, bool) or not isinstance(memory, int | str):
        raise TypeError(f"memory is a number of bytes or a string as '64M', not {type(memory).__name__}")
    if isinstance(memory, str):
        text = memory.strip().upper()
        digits = text.rstrip("KMGTIB \t")
        shift = _SIZE_UNITS.get(text[len(digits) :].strip())
        if shift is None or not (digits.isascii() and digits.isdecimal()):
            raise ValueError(f"memory {memory!r} is not a size; write it as '64M' or '1G'")
        memory = int(digits) << shift
    if memory < MINIMUM_MEMORY_BYTES:
        raise ValueError(f"memory of {memory} bytes is too little to boot; take 16M or more")
    return memory


def make_seed(seed: int | str | bytes | None) -> bytes:
    """The 64 bytes of a seed: as they are, hashed from anything else, or from the host."""
    if seed is None:
        return os.urandom(SEED_BYTES)
    if isinstance(seed, bytes) and len(seed) == SEED_BYTES:
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | str | bytes):
        raise TypeError(f"a seed is an int, str or bytes, not {type(seed).__name__}")
    raw = seed if isinstance(seed, bytes) else str(seed).encode()
    import hashlib  # noqa: PLC0415 - brings in OpenSSL, and most kernels have no such seed

    return hashlib.sha512(b"liblinux seed " + raw).digest()


def _after_fork() -> None:
    for kernel in _open_kernels:
        kernel._native.forked()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _close_all() -> None:
    for kernel in _open_kernels:
        # A copy made by fork() must not write to its parent's images.
        if kernel._host_process == os.getpid():
            kernel.close()
