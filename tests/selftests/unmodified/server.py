"""Answers the system calls of programs: threads that take a call, make it in the kernel and send the result.

    with Server(kernel) as server:
        result = server.run(["bash", "rtnetlink.sh"], cwd=..., timeout=300)

One thread takes the calls and answers them, for most are over at once, and to wake another thread costs more than
they do. When a call has to wait, its thread lets another one take the calls (let_others). Each process of a program
has a process of the kernel, made as the child of its parent's when it first calls; all of them share the kernel's
table of descriptors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import liblinux
from liblinux import _native
from unmodified import calls, paths
from unmodified.call import Call
from unmodified.files import Files
from unmodified.filter import NUMBERS
from unmodified.outcomes import Gone, Passed

_RECEIVE, _SEND, _VALID, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
_WAKE_ON_THE_SAME_PROCESSOR = 1
_NOTIFICATION = struct.Struct("<QIIiIQ6Q")
_ANSWER = struct.Struct("<QqiI")
_CONTINUE = 1
_SPARE_THREADS = 2  # for calls that wait and come in bursts
_CLONE_FILES, _CLONE_NEWNET = 0x400, 0x40000000
_LEAVING = ("unshare", "setns")
_RING_MILLISECONDS = 20  # so late is seen what arrives in a ring, when nothing asks for it
_NAMES = {number: name for name, number in NUMBERS.items()}
_WALL = 0x40000000
_IGNORED, _SIGNAL_SET_BYTES = struct.pack("<QQQQ", 1, 0, 0, 0), 8  # struct sigaction with SIG_IGN
_PRLIMIT_NOFILE = 7
_MOST_FILES = 65536


@dataclass
class Caller:
    """A thread of a program, and who it is in the kernel."""

    pid: int
    process: _native.Process
    lock: threading.Lock = field(default_factory=threading.Lock)
    identity: int = 0
    moved: bool = False  # to other namespaces


class Server:
    """Programs on one kernel; made with the kernel, ended with it."""

    def __init__(self, kernel: liblinux.Kernel) -> None:
        self.kernel = kernel
        self.numbers = kernel.syscalls
        self.init = kernel._process
        self.init.call(
            self.numbers["prlimit64"], 0, _PRLIMIT_NOFILE, struct.pack("<QQ", _MOST_FILES, _MOST_FILES), None
        )
        # Nothing is done to the groups of processes of this machine: they have their own in the kernel.
        self.init.call(self.numbers["mkdir"], paths.CGROUPS + b"\0", 0o755)
        self.init.call(self.numbers["mount"], b"none\0", paths.CGROUPS + b"\0", b"cgroup2\0", 0, None)
        self.files = Files(self.init, self.numbers)
        self.trace: list[str] | None = None
        self._processes: dict[int, tuple[_native.Process, int]] = {}
        self._pidfds: dict[int, int] = {}
        self._ends = select.epoll()
        self._callers: dict[int, Caller] = {}
        self._lock = threading.Lock()
        self._taking = threading.Lock()  # had by the thread that takes calls
        self._mine = threading.local()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._listener = -1
        self._group = 0  # of the processes that run
        self._failure: BaseException | None = None

    # ---- programs -----------------------------------------------------------

    def run(
        self,
        program: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
        shown: Mapping[str, Path] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end; returns its exit status and what it wrote.

        Arguments: `timeout` in seconds; after it all of its processes are ended, and the status is that of a kill;
            `shown` has files of this machine, by the paths at which the programs are to see them.
        Raises what ended a thread that answers: KernelPanic when the kernel died.
        """
        ours, theirs = socket.socketpair()
        own = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"]
        launch = [sys.executable, str(Path(__file__).with_name("launch.py")), str(theirs.fileno())]
        launch += [*(f"{file}={path}" for path, file in (shown or {}).items()), "--", *program]
        with subprocess.Popen(
            [*own, *launch], cwd=cwd, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as running:  # fmt: skip
            theirs.close()
            _, listeners, _, _ = socket.recv_fds(ours, 64, 1)
            ours.close()
            if not listeners:
                said = running.communicate()[0].decode(errors="replace")
                raise OSError(
                    errno.EPERM,
                    "programs cannot be run here: they need namespaces of users (unshare --user) and a seccomp "
                    f"filter with notifications (Linux 5.14); what was said: {said}",
                )
            self._listener, self._group = listeners[0], running.pid
            with contextlib.suppress(OSError):  # Linux 6.6; without it all is slower
                fcntl.ioctl(self._listener, _SET_FLAGS, _WAKE_ON_THE_SAME_PROCESSOR)
            self._more_threads()
            try:
                output, _ = running.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                output, _ = running.communicate()
        for thread in self._threads:  # a list that may grow meanwhile
            thread.join()
        os.close(self._listener)
        if self._failure is not None:
            raise self._failure
        self.sweep()
        return subprocess.CompletedProcess(program, running.returncode, output)

    # ---- threads ------------------------------------------------------------

    def _more_threads(self) -> None:
        with self._lock:
            self._idle += 1
            thread = threading.Thread(target=self._serve_or_end, args=(self._listener,), daemon=True)
            self._threads.append(thread)
        thread.start()

    def _serve_or_end(self, listener: int) -> None:
        """Without an answer the programs would wait for ever."""
        try:
            self._serve(listener)
        except Exception as error:  # noqa: BLE001 - run() raises it
            self._failure = self._failure or error
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
            if self._mine.taking:
                self._taking.release()

    def _serve(self, listener: int) -> None:
        poll = select.poll()
        for number in (listener, self.files.ends, self._ends):
            poll.register(number, select.POLLIN)
        while True:
            self._taking.acquire()
            self._mine.taking = True
            with self._lock:
                self._idle -= 1
            while self._mine.taking:
                request = self._receive(listener, poll)
                if request is None:
                    self._taking.release()
                    return
                self._answer(listener, request)
            with self._lock:
                if self._idle > _SPARE_THREADS:
                    return
                self._idle += 1

    def let_others(self) -> None:
        """Before a call waits: another thread takes the calls from now on."""
        if not self._mine.taking:
            return
        self._mine.taking = False
        self._taking.release()
        with self._lock:
            few = self._idle == 0
        if few:
            self._more_threads()

    def _receive(self, listener: int, poll: select.poll) -> bytearray | None:
        """The next call; None when all programs have ended (older kernels do not say so while one waits for a call)."""
        request = bytearray(_NOTIFICATION.size)
        while True:
            rings = list(self.files.rings)
            events = dict(poll.poll(_RING_MILLISECONDS if rings else None)).get(listener)
            if events is None:  # something was closed, and others may see that: the end of a connection
                self.sweep()
                for ring in rings:
                    ring.after()
                continue
            if events & (select.POLLHUP | select.POLLNVAL | select.POLLERR):
                return None
            try:
                fcntl.ioctl(listener, _RECEIVE, request)
            except OSError as error:
                if error.errno not in (errno.EINTR, errno.ENOENT):  # the program was ended meanwhile
                    raise
                continue
            return request

    def _answer(self, listener: int, request: bytearray) -> None:
        notification, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(request)
        value = flags = 0
        call = Call(self, listener, notification, pid, _NAMES[number], arguments)
        try:
            value = calls.make(call)
        except Gone:
            return
        except Passed:
            flags = _CONTINUE
        except OSError as error:
            value = -(error.errno or errno.EIO)
        if not flags:
            for ring in list(self.files.rings):
                ring.after()
        if self.trace is not None:
            self.trace.append(f"{pid} {call.name}({', '.join(map(hex, arguments))}) = {'host' if flags else value}")
        answer = _ANSWER.pack(notification, max(value, 0), min(value, 0), flags)
        with contextlib.suppress(FileNotFoundError):  # a signal came: the call is over
            fcntl.ioctl(listener, _SEND, answer)

    @staticmethod
    def valid(listener: int, notification: int) -> bool:
        """Whether the program still waits for the answer."""
        try:
            fcntl.ioctl(listener, _VALID, struct.pack("<Q", notification))
        except FileNotFoundError:
            return False
        return True

    # ---- who calls ----------------------------------------------------------

    def caller(self, pid: int) -> Caller:
        """The kernel's side of a thread of a program; Gone when that has ended."""
        with self._lock:
            caller = self._callers.get(pid)
            if caller is None:
                caller = Caller(pid, self._process(pid))
                self._follow(caller)
                self._callers[pid] = caller
            return caller

    def _follow(self, caller: Caller) -> None:
        """A new thread is in the network namespace of the one that made it: of the first one of the process, mostly."""
        leader = self._callers.get(_relations(caller.pid)[0])
        if leader is None or not leader.moved:
            return
        own = self._as(leader, "gettid")
        path = f"/proc/{leader.process.pid}/task/{own}/ns/net".encode() + b"\0"
        fd = self._as(caller, "openat", -100, path, 0, 0)
        self._as(caller, "setns", fd, _CLONE_NEWNET)
        self._as(caller, "close", fd)

    def before_leaving(self, pid: int) -> None:
        """Before a thread changes its namespaces: who was made by it, and has not called yet, is in those of now."""
        group = _relations(pid)[0]
        for thread in os.listdir(f"/proc/{group}/task"):
            self.caller(int(thread))
        running = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        makers = {pid: _relations(pid)[1] for pid in running if pid not in self._callers}
        while made := [pid for pid, maker in makers.items() if maker in self._callers]:  # then those that they made
            for child in made:
                del makers[child]
                with contextlib.suppress(Gone):  # it ends meanwhile
                    self.caller(child)

    def number(self, inner: int) -> int:
        """The number in the kernel of a process, which programs know by `inner`; 0 for one that never called."""
        with self._lock:
            return next((process.pid for process, known in self._processes.values() if known == inner), 0)

    def call(self, pid: int, name: str, *arguments: int | bytes | bytearray | None) -> int:
        """A call by a thread of a program; returns its result, -errno when it failed."""
        caller = self.caller(pid)
        if name in _LEAVING:
            self.before_leaving(pid)
            caller.moved = True
        return self._as(caller, name, *arguments)

    def _as(self, caller: Caller, name: str, *arguments: int | bytes | bytearray | None) -> int:
        with caller.lock:
            before = _native.become_thread(caller.identity)
            try:
                return caller.process.call(self.numbers[name], *arguments)
            finally:
                caller.identity = _native.become_thread(before)

    def _process(self, pid: int) -> _native.Process:
        group, parent, inner = _relations(pid)
        if not group:
            raise Gone
        if group not in self._processes:
            self._watch(group)
            self._processes[group] = self._spawn(self._ancestor(parent)), inner
        return self._processes[group][0]

    def _watch(self, group: int) -> None:
        """Its end is to be seen before the next call: numbers of processes are used again."""
        try:
            pidfd = os.pidfd_open(group)
        except ProcessLookupError as error:
            raise Gone from error
        self._pidfds[pidfd] = group
        self._ends.register(pidfd, select.EPOLLIN)

    def sweep(self) -> None:
        """Close the files and end the processes that no program has any more."""
        self.files.sweep()
        with self._lock:  # also while asking: the number of one that another thread has closed may be a new one's
            for pidfd, _ in self._ends.poll(0):
                group = self._pidfds.pop(pidfd)
                self._ends.unregister(pidfd)
                os.close(pidfd)
                self._end(group)

    def _end(self, group: int) -> None:
        process, _ = self._processes.pop(group)
        for pid in [pid for pid, caller in self._callers.items() if caller.process is process]:
            del self._callers[pid]
        number = process.pid
        process.exit()
        self.kernel.os.call("wait4", number, None, _WALL, None)

    def _ancestor(self, pid: int) -> Caller | None:
        while pid > 1 and pid not in self._callers:
            pid = _relations(pid)[1]
        return self._callers.get(pid)

    def _spawn(self, parent: Caller | None) -> _native.Process:
        if parent is None:
            process = self.init.spawn(namespaces=_CLONE_FILES)
            # Theirs, and that of all who come from it: children that end leave nothing to be waited for.
            process.call(self.numbers["rt_sigaction"], signal.SIGCHLD, _IGNORED, None, _SIGNAL_SET_BYTES)
            return process
        with parent.lock:
            before = _native.become_thread(parent.identity)
            try:
                return parent.process.spawn(namespaces=_CLONE_FILES)
            finally:
                parent.identity = _native.become_thread(before)


def _relations(pid: int) -> tuple[int, int, int]:
    """The process of a thread, the process that made it, and what it is called inside; zeros when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return 0, 0, 0
    values = dict(line.split(":\t", 1) for line in lines[:20] if ":\t" in line)
    return int(values["Tgid"]), int(values["PPid"]), int(values["NStgid"].split()[-1])
