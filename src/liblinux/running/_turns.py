"""Turns: of all threads of a network one runs at a time, and who is next is drawn from the seed.

A thread runs until it waits: for a file of the kernel, an instant, another thread.
Then it draws who is next among those that can go on. When nobody can, it lets the
kernel wait for all of them, in one epoll, and that is when virtual time moves. So
there is never more than one thread inside of the kernel, to which all are the same
one (`become_thread`), and what it does depends on nothing but the seed.

The event loop takes part like any thread: it waits for its own epoll.

Rejected: threads that block in the kernel, with a clock that waits for those
outside. Who comes first to it is then for the host to say, and each system call of
several threads has to wait for the others to settle.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import selectors
import struct
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from liblinux import _native
from liblinux._errors import Deadlock, LiblinuxError
from liblinux.asyncio._current import acting
from liblinux.asyncio._kernels import DESCRIPTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from liblinux._kernel import Kernel
    from liblinux.asyncio._current import Acting
    from liblinux.asyncio._selector import KernelSelector
    from liblinux.running._chance import Chance
    from liblinux.running._clocks import Clock

__all__ = ["Strand", "Turns", "Wait", "strand_here"]

_T = TypeVar("_T")

_ADD, _DELETE, _MODIFY = 1, 2, 3  # of epoll_ctl(2)
_EVENT = struct.Struct("<IQ")
_EVENTS = 64
_TIMER = struct.Struct("=qqqq")
_TIMER_FLAGS = 0o2000000  # TFD_CLOEXEC
_ABSOLUTE = 1
_EVENTFD_FLAGS = 0o2004000  # EFD_CLOEXEC, EFD_NONBLOCK
_CLOCK_MONOTONIC = 1
_SECOND_NS = 10**9
_READING, _WRITING = select.EPOLLIN | select.EPOLLPRI, select.EPOLLOUT
_ALWAYS = select.EPOLLERR | select.EPOLLHUP
# A thread that never waits for a file shall not keep the others from what has come for them.
_LOOK_EVERY = 16
_MAIN = "main"

_strands: dict[int, Strand] = {}  # by the number of their threads


def strand_here() -> Strand | None:
    """What the calling thread is in a run; None when it takes part in none."""
    return _strands.get(_thread.get_ident())


class _Interrupted(BaseException):
    """Raised through a wait in the kernel."""


class Wait:
    """What a thread waits for; `ready` says that it has come."""

    __slots__ = ("deadline", "files", "ready", "strand", "what")

    def __init__(self, strand: Strand, files: Sequence[tuple[int, int]], deadline: int | None, what: str) -> None:
        self.strand = strand
        self.files = files
        self.deadline = deadline
        self.what = what
        self.ready = False


class Strand:
    """A thread that takes turns: `name`, and what it waits for (`wait`)."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.turns = turns
        self.name = name
        self.gate = _thread.allocate_lock()
        self.gate.acquire()
        self.wait: Wait | None = None
        self.failure: BaseException | None = None  # to be raised where it waits
        self.finished = False
        self.joining: list[Wait] = []
        self.ident = 0
        self.host: Acting | None = None

    def __repr__(self) -> str:
        return f"<liblinux thread {self.name}>"


class Turns:
    """The turns of one network's threads.

    `random` draws who is next; `selector` makes one for files of all kernels of the
    network, of which `kernel` is the first.
    """

    def __init__(self, kernel: Kernel, random: Random, selector: Callable[[], KernelSelector]) -> None:
        self.chance: Chance
        self.clock: Clock
        self.strict = False
        self._make_selector = selector
        self._far: KernelSelector | None = None  # for files of other kernels, whose numbers are higher
        self._kernel = kernel
        self._syscall = kernel.syscall
        self._draw = random.randrange
        self._ready: list[Strand] = []
        self._files: dict[int, list[Wait]] = {}
        self._timed: list[Wait] = []
        self._woken: deque[Wait | Strand] = deque()  # by threads and signal handlers whose turn it is not
        self._then: deque[Callable[[], None]] = deque()  # what handlers of signals could not do at once
        self._looks = 0
        self._thread_id = 0
        self._inside = False
        self._epoll = -1
        self.strands: list[Strand] = []  # without the main one
        self.main: Strand | None = None
        self.current: Strand | None = None
        self._paused: dict[Acting, list[Strand]] = {}  # threads that could go on if their host was not paused

    @property
    def alone(self) -> bool:
        """There are no other threads: nobody to give turns to."""
        return not self.strands

    # ---- the main thread -------------------------------------------------------

    def enter(self) -> None:
        """The calling thread is the main one from now on; it is its turn."""
        if self.main is not None:
            raise RuntimeError("this network runs already; start more with host.create_task() or host.thread()")
        if strand_here() is not None:
            raise RuntimeError("this thread runs another network; run one after the other")
        self.main = self.current = Strand(self, _MAIN)
        self._thread_id = _native.become_thread(0)
        _native.become_thread(self._thread_id)
        self.main.ident = _thread.get_ident()
        _strands[self.main.ident] = self.main

    def leave(self) -> None:
        """It is over; the other threads stay where they are until the next run."""
        assert self.main is not None
        del _strands[self.main.ident]
        self.main = self.current = None

    # ---- other threads -----------------------------------------------------------

    def start(
        self,
        start: Callable[..., Any],
        name: str,
        context: Context | None,
        function: Callable[..., object],
        *rest: Any,
        **options: Any,
    ) -> Strand:
        """Start a thread by `start(function, *rest, **options)`, which gets its turn like any other."""
        strand = Strand(self, name)
        around = context or copy_context()
        strand.host = around.get(acting)

        def run(*arguments: Any, **named: Any) -> None:
            self._live(strand, lambda: around.run(function, *arguments, **named))

        self.strands.append(strand)
        self._ready.append(strand)
        try:
            start(run, *rest, **options)
        except BaseException:
            self.strands.remove(strand)
            self._ready.remove(strand)
            raise
        return strand

    def _live(self, strand: Strand, body: Callable[[], object]) -> None:
        """What a thread does from its first turn to its last."""
        strand.gate.acquire()
        strand.ident = _thread.get_ident()
        own = _native.become_thread(self._thread_id)
        _strands[strand.ident] = strand
        try:
            if strand.failure is None:
                body()
        except SystemExit:
            pass  # as `threading` has it
        finally:
            strand.finished = True
            self.strands.remove(strand)
            for wait in strand.joining:
                self._wake(wait)
            following = self._next(strand)
            del _strands[strand.ident]
            _native.become_thread(own)
            self.current = following
            following.gate.release()

    def join(self, strand: Strand, deadline: int | None = None) -> bool:
        """Wait until a thread has ended; False when the time is over before."""
        while not strand.finished:
            wait = self._new_wait(deadline=deadline, what=f"the end of thread {strand.name}")
            strand.joining.append(wait)
            if not self._do(wait):
                strand.joining.remove(wait)
                return False
        return True

    # ---- waiting -------------------------------------------------------------------

    def now(self) -> int:
        """The kernel's clock in nanoseconds."""
        return self._kernel.now()

    def wait_files(self, files: Sequence[tuple[int, int]], deadline: int | None = None, what: str = "files") -> bool:
        """Wait for events of epoll of files of the kernel; False when the time is over before."""
        return self._do(self._new_wait(files, deadline, what))

    def sleep(self, nanoseconds: int) -> None:
        """Let time pass."""
        self._do(self._new_wait(deadline=self.now() + max(nanoseconds, 0), what="time.sleep()"))

    def wait_in(self, queue: deque[Wait], deadline: int | None, what: str) -> bool:
        """Wait in a queue until somebody takes it out of there with :meth:`wake`; False when the time is over."""
        wait = self._new_wait(deadline=deadline, what=what)
        queue.append(wait)
        try:
            return self._do(wait)
        finally:
            if not wait.ready:
                queue.remove(wait)

    def wake(self, wait: Wait | Strand) -> None:
        """Somebody's wait is over; may be called by any thread, and by handlers of signals."""
        if strand_here() is self.current and isinstance(wait, Wait):
            self._wake(wait)
            return
        if isinstance(wait, Wait):
            wait.ready = True
        self._woken.append(wait)
        if self._epoll < 0:
            return
        # The thread whose turn it is may be inside of the kernel: to that, this is somebody else.
        own = _native.become_thread(0)
        try:
            self._syscall("write", self._kick, (1).to_bytes(8, "little"), 8)
        finally:
            _native.leave_tasks()
            _native.become_thread(own)

    def pause(self) -> None:
        """Let others that can run have their turn."""
        me = self.current
        assert me is not None
        self._looks += 1
        if self._looks % _LOOK_EVERY == 0:
            self._look(block=False)
        if self._ready or self._woken:
            self._ready.append(me)
            self._hand_over(me)
            if me.failure is not None:
                self._raise(me)

    def _new_wait(self, files: Sequence[tuple[int, int]] = (), deadline: int | None = None, what: str = "") -> Wait:
        me = strand_here()
        if me is None or me is not self.current:
            raise RuntimeError("a thread waited in a network's run that is not one of its threads, or out of turn")
        if me.failure is not None:
            self._raise(me)
        return Wait(me, files, deadline, what)

    def _do(self, wait: Wait) -> bool:
        strand = wait.strand
        strand.wait = wait
        for fd, _ in wait.files:
            self._files.setdefault(fd, []).append(wait)
            self._control(fd)
        if wait.deadline is not None:
            self._timed.append(wait)
        try:
            self._hand_over(strand)
        finally:
            strand.wait = None
            if wait.deadline is not None:
                self._timed.remove(wait)
            for fd, _ in wait.files:
                self._files[fd].remove(wait)
                self._control(fd)
            if strand.failure is not None:
                self._raise(strand)
        return wait.ready

    def _raise(self, strand: Strand) -> None:
        failure = strand.failure
        assert failure is not None
        if not isinstance(failure, SystemExit):  # which is for good
            strand.failure = None
        raise failure

    def _wake(self, wait: Wait) -> None:
        wait.ready = True
        if wait.strand.wait is wait and wait.strand not in self._ready:
            self._ready.append(wait.strand)

    # ---- whose turn it is --------------------------------------------------------

    def fail(self, strand: Strand, failure: BaseException) -> None:
        """Raise an exception where a thread waits."""
        strand.failure = failure
        if strand not in self._ready:
            self._ready.append(strand)

    def _hand_over(self, me: Strand) -> None:
        """Let the next one run; returns when it is the turn of this one again."""
        following = self._next(me)
        if following is me:
            return
        self.current = following
        following.gate.release()
        while True:
            try:
                me.gate.acquire()
                break
            except BaseException as interruption:  # noqa: BLE001 - of a signal's handler; raised when it is our turn
                me.failure = interruption
                if self.current is me:
                    break
                self.wake(me)

    def _next(self, me: Strand) -> Strand:
        """Who runs next, when somebody can."""
        while True:
            self._take_woken()
            if self._paused:
                self._hold_back()
            if self._ready:
                ready = self._ready
                return ready.pop(self._draw(len(ready)) if len(ready) > 1 else 0)
            try:
                self._look(block=True)
            except BaseException as failure:  # whoever has to be told: the main thread
                if me is self.main or self.main is None:
                    raise
                self.fail(self.main, failure)

    def hold(self, host: Acting) -> None:
        """Threads of a host get no turn until :meth:`release`."""
        self._paused.setdefault(host, [])

    def release(self, host: Acting) -> None:
        """They go on."""
        for strand in self._paused.pop(host, ()):
            if strand not in self._ready:
                self._ready.append(strand)

    def _hold_back(self) -> None:
        for strand in [one for one in self._ready if one.host in self._paused]:
            self._ready.remove(strand)
            held = self._paused[strand.host]  # type: ignore[index]  # it is in there
            if strand not in held:
                held.append(strand)
            # What is ready for it is no reason to wake up any more.
            for fd, _ in strand.wait.files if strand.wait is not None else ():
                with contextlib.suppress(OSError):
                    self._syscall("epoll_ctl", self._epoll, _DELETE, fd, _EVENT.pack(0, fd))

    def _is_held(self, strand: Strand) -> bool:
        return bool(self._paused) and strand.host is not None and strand in self._paused.get(strand.host, ())

    def _take_woken(self) -> None:
        while self._then:
            self._then.popleft()()
        while self._woken:
            woken = self._woken.popleft()
            strand = woken.strand if isinstance(woken, Wait) else woken
            if (strand is woken or strand.wait is woken) and strand not in self._ready:
                self._ready.append(strand)

    def _look(self, block: bool) -> None:
        """Ask the kernel whose files are ready; when nobody can run, until somebody can."""
        self.open()
        # What was ready before it was asked for says nothing by itself.
        if self._far is not None and self._far.get_map() and self._look_far():
            block = False
        if block:
            soonest = min(
                (wait.deadline for wait in self._timed if wait.deadline is not None and not self._is_held(wait.strand)),
                default=0,
            )
            # A timer of 0 is none, and an instant that has passed is one.
            self._syscall(
                "timerfd_settime", self._timer, _ABSOLUTE, _TIMER.pack(0, 0, *divmod(soonest, _SECOND_NS)), None
            )
        patience = -1 if block else 0
        count = self.inside(self._syscall, "epoll_wait", self._epoll, self._events, _EVENTS, patience) or 0
        for events, fd in list(_EVENT.iter_unpack(memoryview(self._events)[: count * _EVENT.size])):
            if fd == self._kick:
                with contextlib.suppress(BlockingIOError):
                    self._syscall("read", self._kick, bytearray(8), 8)
            if self._far is not None and fd == self._far.fileno():
                self._look_far()
            for wait in self._files.get(fd, ()):
                if any(fd == wanted and events & (mask | _ALWAYS) for wanted, mask in wait.files):
                    self._wake(wait)
        now = self.now()
        for wait in self._timed:
            due = wait.deadline is not None and wait.deadline <= now
            if due and wait.strand not in self._ready and not self._is_held(wait.strand):
                self._ready.append(wait.strand)

    def inside(self, call: Callable[..., _T], *arguments: Any) -> _T | None:
        """A call that waits in the kernel; None when :meth:`interrupt` ends it. A Deadlock says which programs wait."""
        self._inside = True
        try:
            return call(*arguments)
        except _Interrupted:
            if self.main is not None and self.main.wait is not None:
                self._ready.append(self.main)
            return None
        except Deadlock as deadlock:
            from liblinux.running._stuck import describe  # noqa: PLC0415 - for the unlucky

            deadlock.programs = tuple(describe(self))
            raise
        finally:
            self._inside = False

    def interrupt(self, then: Callable[[], None] | None = None) -> bool:
        """For a handler of a signal: end the main thread's wait, and do `then`; False when it does not wait.

        A handler that is called while its thread waits in the kernel can make no
        calls there, but it can raise an exception.
        """
        if self.main is None or strand_here() is not self.main:
            return False
        waits = self.current is not self.main
        if then is not None and (waits or self._inside):
            self._then.append(then)
        if waits:
            self.wake(self.main)
            return True
        if self._inside:
            self._inside = False
            raise _Interrupted
        return False

    # ---- the kernel's side -----------------------------------------------------------

    def open(self) -> None:
        """Make what the kernel is waited with, once."""
        if self._epoll >= 0:
            return
        self._epoll = self._syscall("epoll_create1", select.EPOLL_CLOEXEC)
        self._events = bytearray(_EVENT.size * _EVENTS)
        # The timeout of epoll_wait(2) may be late by a thousandth of itself; a timer is not.
        self._timer = self._syscall("timerfd_create", _CLOCK_MONOTONIC, _TIMER_FLAGS)
        self._kick = self._syscall("eventfd2", 0, _EVENTFD_FLAGS)
        for fd, mask in ((self._timer, select.EPOLLIN | select.EPOLLET), (self._kick, select.EPOLLIN)):
            self._syscall("epoll_ctl", self._epoll, _ADD, fd, _EVENT.pack(mask, fd))

    def _look_far(self) -> bool:
        """The same for files of other kernels; whether there is one that somebody waits for."""
        assert self._far is not None
        ready = self._far.select(0)
        for key, _ in ready:
            for wait in list(self._files.get(key.fd, ())):
                self._wake(wait)
        return bool(ready)

    def _control_far(self, fd: int) -> None:
        if self._far is None:
            self._far = self._make_selector()
            far = self._far.fileno()
            self._syscall("epoll_ctl", self._epoll, _ADD, far, _EVENT.pack(select.EPOLLIN, far))
        waits = self._files[fd]
        with contextlib.suppress(KeyError):
            self._far.unregister(fd)
        if not waits:
            del self._files[fd]
            return
        events = 0
        for wait in waits:
            for wanted, mask in wait.files:
                if wanted == fd:
                    events |= selectors.EVENT_READ * bool(mask & _READING) | selectors.EVENT_WRITE * bool(
                        mask & _WRITING
                    )
        self._far.register(fd, events)

    def _control(self, fd: int) -> None:
        """Tell epoll what is wanted of a file now; one that was closed meanwhile is unknown to it."""
        self.open()
        if fd >= DESCRIPTORS:
            self._control_far(fd)
            return
        waits = self._files[fd]
        mask = 0
        for wait in waits:
            for wanted, events in wait.files:
                mask |= events * (wanted == fd)
        if not waits:
            del self._files[fd]
            with contextlib.suppress(OSError, LiblinuxError):
                self._syscall("epoll_ctl", self._epoll, _DELETE, fd, _EVENT.pack(0, fd))
            return
        packed = _EVENT.pack(mask, fd)
        if len(waits) > 1:
            with contextlib.suppress(FileNotFoundError):
                self._syscall("epoll_ctl", self._epoll, _MODIFY, fd, packed)
                return
        try:
            self._syscall("epoll_ctl", self._epoll, _ADD, fd, packed)
        except FileExistsError:
            self._syscall("epoll_ctl", self._epoll, _MODIFY, fd, packed)

    def end_all(self) -> None:
        """End all threads, whose time it is over; by the main one."""
        for strand in list(self.strands):
            for _ in range(_PATIENCE):
                if strand.finished:
                    break
                self.fail(strand, SystemExit("the network is closed"))
                self.pause()


_PATIENCE = 100  # how often a thread may go on waiting, after it was told to end


def _forked() -> None:
    """In a child there is only the thread that forked."""
    for ident, strand in list(_strands.items()):
        strand.turns.strands.clear()
        strand.turns._ready.clear()
        if ident != _thread.get_ident():
            del _strands[ident]


os.register_at_fork(after_in_child=_forked)
