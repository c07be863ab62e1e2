"""Runs one script in one mode: event after event, on the kernel's own clock."""

from __future__ import annotations

import io
import textwrap
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import liblinux
from liblinux.packetdrill._calls import Context, Prepared, Result, prepare, verify
from liblinux.packetdrill._config import Config, Mode, configure
from liblinux.packetdrill._constants import constants
from liblinux.packetdrill._define import defined
from liblinux.packetdrill._errors import Failed, ScriptError
from liblinux.packetdrill._flow import Flows
from liblinux.packetdrill._inject import inbound
from liblinux.packetdrill._interface import bring_up
from liblinux.packetdrill._machine import DEVICE, Machine, Sent
from liblinux.packetdrill._match import describe_datagram, match
from liblinux.packetdrill._notation import notation
from liblinux.packetdrill._outcome import Failure, Outcome
from liblinux.packetdrill._script import Code, Command, Event, Packet, Script, SystemCall
from liblinux.packetdrill._tcp_info import observe
from liblinux.packetdrill._values import Values
from liblinux.packetdrill._worker import Pending, Workers
from liblinux.packetdrill.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["run"]

_MICROSECOND, _SECOND = 1_000, 1_000_000_000
# How long a packet that is overdue is waited for, to say in the report when it came.
_PATIENCE_NS = 130 * _SECOND
_REALTIME = 0
# The kernel looks at the state of links once a second, and IPv6 waits for that.
# With HZ = 1000 a tick is a millisecond; INITIAL_JIFFIES is -300,000 of them.
_WHEEL_NS = 64 * 10**6
_JIFFIES_AT_BOOT_NS = 300 * 10**9 % _WHEEL_NS
_LINK_SECONDS = 2


def run(
    script: Script,
    mode: Mode,
    *,
    directory: Path | None = None,
    options: Iterable[tuple[str, str | None]] = (),
    version: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Run a script; returns what has come of it, whatever that is.

    `directory` is where helper scripts of set-up lines are found; `options` are
    those of the command line; `version` of the kernel as for liblinux.Kernel;
    with the same `seed` a run is the same to the nanosecond.
    """
    outcome = Outcome(script.name, mode)
    try:
        config = configure(script, mode, options)
        with Machine(config, version, seed) as machine:
            outcome.release = machine.kernel.release
            _Run(script, config, machine, directory or Path(), outcome).run()
    except ScriptError as error:
        outcome.status = "error"
        outcome.failure = Failure(error.message, error.line, error.column)
    return outcome


class _Stop(Exception):
    """The run is over; the outcome says why."""


class _Run:
    """The state of a running script."""

    def __init__(self, script: Script, config: Config, machine: Machine, directory: Path, outcome: Outcome) -> None:
        self.script, self.config, self.machine, self.outcome = script, config, machine, outcome
        self.kernel = machine.kernel
        self.flows = Flows(config.bind_port)
        self.context = Context(self.kernel, config, Values(config.symbols), self.flows)
        self.shell = Shell(self.kernel, directory, self._variables(), self._sleep)
        self.workers = Workers(machine)
        self.started = 0  # when the script's time was 0, in nanoseconds of the kernel's clock
        self.exchange: list[tuple[int, str]] = []
        self.script_us = 0  # the script's time of the last event
        self.code_names: dict[str, Any] = dict(constants())

    def _variables(self) -> dict[str, str]:
        """What set-up lines and helpers find in their environment."""
        ipv6 = self.config.wire_version == 6
        return {
            "PPID": "1",
            "PACKETDRILL_PID": "1",
            "xtables": "ip6tables" if ipv6 else "iptables",
            "NFCT_IP_VERSION": "ipv6" if ipv6 else "ipv4",
            "?": "0",
            "$": "1",
        }

    def _sleep(self, seconds: float) -> None:
        self.machine.wait_until(self.machine.now + int(seconds * _SECOND))

    def _turn_of_the_wheel(self) -> None:
        """Wait for the next instant at which all timers of a script begin alike.

        Linux rounds a timer of the network of more than half a second up to the next
        multiple of 64 ticks since boot (kernel/time/timer.c). Where a script begins
        in between decides about milliseconds of its timers, and on a machine that is
        chance. Jiffies begin at -300 s, so this is where they are such a multiple.
        """
        now = self.machine.now
        since = (now - _JIFFIES_AT_BOOT_NS) % _WHEEL_NS
        self.machine.wait_until(now - since + _WHEEL_NS)

    # -- the whole

    def run(self) -> None:
        """All events, then the calls that still wait, then the clean-up."""
        bring_up(self.kernel, DEVICE, self.config)
        self._sleep(_LINK_SECONDS)
        try:
            if self.script.setup is not None:
                self._guard(None, lambda: self._command(self.script.setup))
            self._turn_of_the_wheel()
            self.machine.collect()
            self.machine.sent.clear()
            self.started = self.machine.now
            self.context.real_start = self._time_of_day()
            for event in self.script.events:
                self._guard(event, lambda event=event: self._event(event))
            for pending in self.workers.pending():
                self._guard(pending.event, lambda pending=pending: self._finish(pending))
            if self.script.cleanup is not None:
                self._guard(None, lambda: self._command(self.script.cleanup))
        except _Stop:
            pass
        finally:
            self.outcome.duration_us = self._elapsed_us(self.machine.now)
            self._keep_exchange()
            self.workers.close()

    def _guard(self, event: Event | None, step: Any) -> None:
        """Make a step, and turn what goes wrong into the outcome."""
        try:
            step()
        except Failed as failed:
            self._fail("failed", event, str(failed))
        except liblinux.Deadlock as deadlock:
            message = f"waits for ever: {str(deadlock).splitlines()[0]}"
            waiters = [line.strip() for line in str(deadlock).splitlines()[1:] if "waits" in line]
            self._fail("failed", event, "\n".join([message, *waiters]))
        except ScriptError as error:
            self._fail("error", event, error.message, error.line, error.column)
        except liblinux.KernelPanic as panic:
            self._fail("failed", event, f"the kernel died: {panic}")

    def _fail(self, status: Any, event: Event | None, message: str, line: int = 0, column: int = 0) -> None:
        command = self.script.setup if self.started == 0 else self.script.cleanup
        if event is not None:
            line, column = line or event.line, column or event.column
        elif command is not None:
            line = line or command.line
        text = event.text if event else ""
        failure = Failure(message, line, column, text, self._elapsed_us(self.machine.now) if self.started else None)
        action = event.action if event else None
        kind = "packet" if isinstance(action, Packet) else "syscall" if isinstance(action, SystemCall) else ""
        if status == "failed" and kind in self.config.non_fatal:
            self.outcome.warnings.append(failure)
            self._note(self.machine.now, f"# {message.splitlines()[0]}")
            return
        self.outcome.status, self.outcome.failure = status, failure
        raise _Stop

    def _time_of_day(self) -> int:
        value = bytearray(16)
        self.kernel.syscall("clock_gettime", _REALTIME, value)
        return int.from_bytes(value[:8], "little") * _SECOND + int.from_bytes(value[8:], "little")

    # -- time

    def _elapsed_us(self, instant: int) -> float:
        return (instant - self.started) / _MICROSECOND

    def _instant(self, script_us: int) -> int:
        return self.started + script_us * _MICROSECOND

    def _note(self, instant: int, text: str) -> None:
        self.exchange.append((instant, text))

    def _keep_exchange(self) -> None:
        """What happened in the order in which it did: a packet is looked at later than it was sent."""
        for sent in self.machine.sent:
            self._note(sent.time, f"> {describe_datagram(sent.datagram, self.flows)}  # not looked at")
        self.exchange.sort(key=lambda entry: entry[0])
        self.outcome.exchange = [f"{self._elapsed_us(instant) / 1e6:.7f} {text}" for instant, text in self.exchange]

    def _tolerance_us(self, since_us: int) -> float:
        return self.config.tolerance_us + self.config.tolerance_percent / 100 * max(since_us, 0)

    # -- events

    def _event(self, event: Event) -> None:
        before = self.script_us
        time = event.time
        if time.kind != "any":
            self.script_us = time.start + (before if time.kind == "relative" else 0)
        action = event.action
        if isinstance(action, Packet):
            action = defined(action, self.config.symbols)
        if isinstance(action, Packet) and not action.inbound:
            self._expect_packet(event, action, before)
            return
        self.machine.wait_until(self._instant(self.script_us))
        self._finish_ended()
        match action:
            case SystemCall():
                self._call(event, action)
            case Command():
                self._note(self.machine.now, f"`{action.text.strip()}`")
                self._command(action)
            case Code():
                self._code(event, action)
            case _:
                self._note(self.machine.now, f"< {notation(action)}")
                self.machine.inject(inbound(action, self.flows, self.config))
        # A packet or a call may have ended the wait of another call.
        self.workers.settle()
        self._finish_ended()

    # -- packets

    def _expect_packet(self, event: Event, packet: Packet, before_us: int) -> None:
        expected: Packet | None = packet
        while expected is not None:
            sent = self._next(event, before_us)
            elapsed = self._elapsed_us(sent.time)
            self._note(sent.time, f"> {describe_datagram(sent.datagram, self.flows)}")
            expected = match(expected, sent.datagram, self.flows, self.config, round(elapsed))
            self._check_time(event, sent, before_us)
        if event.time.kind == "any" or event.time.end is not None:
            # What comes after it is relative to when it was, which the script left open.
            self.script_us = round(elapsed)

    def _window(self, event: Event, before_us: int) -> tuple[float, float]:
        """Between which times a packet may be sent, in microseconds of the script, with the tolerance."""
        base = before_us if event.time.kind == "relative" else 0
        end = self.script_us if event.time.end is None else base + event.time.end
        tolerance = self._tolerance_us(self.script_us - before_us)
        return self.script_us - tolerance, end + tolerance

    def _next(self, event: Event, before_us: int) -> Sent:
        """The packet that is to be looked at. Raises Failed when there is none."""
        if event.time.kind == "any":
            sent = self.machine.next_packet(None)
            assert sent is not None
            return sent
        latest = self._window(event, before_us)[1]
        sent = self.machine.next_packet(self.started + int(latest * _MICROSECOND))
        if sent is not None:
            return sent
        late = self.machine.next_packet(self.machine.now + _PATIENCE_NS)
        message = f"nothing was sent until {latest / 1e6:.6f} s"
        if late is None:
            raise Failed(f"{message}, nor in the {_PATIENCE_NS // _SECOND} s after that")
        seen = describe_datagram(late.datagram, self.flows)
        raise Failed(f"{message}; the next packet came at {self._elapsed_us(late.time) / 1e6:.6f} s: {seen}")

    def _check_time(self, event: Event, sent: Sent, before_us: int) -> None:
        if event.time.kind == "any":
            return
        earliest, latest = self._window(event, before_us)
        elapsed = self._elapsed_us(sent.time)
        if not earliest <= elapsed <= latest:
            late = elapsed - self.script_us
            when = f"{self.script_us / 1e6:.6f} s"
            if event.time.end is not None:
                when = f"between {earliest / 1e6:.6f} s and {latest / 1e6:.6f} s"
            raise Failed(
                f"expected the packet at {when}, it was sent at {elapsed / 1e6:.6f} s "
                f"({abs(late):.0f} us too {'late' if late > 0 else 'early'}; "
                f"the tolerance is {latest - self.script_us:.0f} us)"
            )

    # -- system calls

    def _call(self, event: Event, call: SystemCall) -> None:
        prepared = prepare(self.context, call)
        self._note(self.machine.now, f"{event.text.partition(' ')[2]}")
        if call.duration is not None:
            self.workers.start(prepared, event, call, self.script_us)
            return
        started = self.machine.now
        result = prepared.make(self.machine)
        took = (result.time - started) / _MICROSECOND
        self._verify(call, prepared, result)
        if took > self.config.tolerance_us:
            raise Failed(f"{call.name}() took {took:.0f} us; a call that blocks is written with its end: TIME...TIME")

    def _verify(self, call: SystemCall, prepared: Prepared, result: Result) -> None:
        if call.duration is not None:
            self._note(result.time, f"{call.name}() has returned")
        verify(self.context, call, prepared, result)

    def _finish_ended(self) -> None:
        """Look at the blocking calls that have come back."""
        for pending in self.workers.ended():
            self._guard(pending.event, lambda pending=pending: self._finish(pending))

    def _finish(self, pending: Pending) -> None:
        """Wait for a blocking call as long as the script allows, and compare its end and its result."""
        call = pending.call
        assert call.duration is not None
        expected_us = pending.script_us + call.duration
        tolerance = self._tolerance_us(call.duration)
        self.workers.wait(pending, self._instant(expected_us) + int(tolerance * _MICROSECOND))
        if pending.result is None:
            raise Failed(f"{call.name}() still blocks at {expected_us / 1e6:.6f} s, when it should have returned")
        ended = self._elapsed_us(pending.result.time)
        self._verify(call, pending.prepared, pending.result)
        if abs(ended - expected_us) > tolerance:
            raise Failed(f"{call.name}() returned at {ended / 1e6:.6f} s, expected at {expected_us / 1e6:.6f} s")

    # -- commands and code

    def _command(self, command: Command | None) -> None:
        assert command is not None
        done = self.shell.run(command.text)
        if done.code:
            said = (done.errors or done.output).strip() or "it said nothing"
            raise Failed(f"the command exited with status {done.code}: {said}")

    def _code(self, event: Event, code: Code) -> None:
        names = self.code_names
        if self.context.observed is not None:
            try:
                names.update(observe(self.kernel, self.context.observed, code.text))
            except OSError as error:
                names["tcpi_error"] = str(error)
        source = "\n" * (event.line - 1) + textwrap.dedent(code.text).strip()
        output = io.StringIO()
        try:
            with redirect_stdout(output):
                exec(compile(source, self.script.name, "exec"), names)  # noqa: S102 - code of the script's author
        except AssertionError as error:
            raise Failed(f"the assertion failed{f': {error}' if error.args else ''}") from None
        except Exception as error:  # noqa: BLE001 - whatever code of a script raises
            where = traceback.format_exception_only(error)[-1].strip()
            raise Failed(f"the code raised {where}") from None
        finally:
            self.outcome.output += output.getvalue()
