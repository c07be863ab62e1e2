"""Helper scripts in Python, such as the kernel's set_sysctls.py, run as they are.

They find the modules `os`, `subprocess` and `sys` and the function `open`, but
what these reach is the library's kernel and the shell of scripts. Whatever a
helper wants besides is an error that names it.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from liblinux.packetdrill._errors import ScriptError
from liblinux.packetdrill.shell._shell import Done

if TYPE_CHECKING:
    from liblinux.packetdrill.shell._shell import Shell

__all__ = ["run_helper"]

_PLAIN = frozenset({"re", "time", "struct", "math", "string", "itertools", "functools", "collections", "__future__"})


class _Module(SimpleNamespace):
    """A module of which only some things lead anywhere."""

    def __getattr__(self, name: str) -> Any:
        raise ScriptError(f"a helper script wants {self._name}.{name}, which does not lead to the library's kernel")


def run_helper(shell: Shell, name: str, text: str, arguments: list[str]) -> Done:
    """Run a Python script with these arguments. Raises ScriptError when it wants what is not there."""
    done = Done()
    output, errors = io.StringIO(), io.StringIO()
    modules = {"os": _os(shell), "subprocess": _subprocess(shell), "sys": _sys(name, arguments, output, errors)}

    def find(module: str, *rest: Any) -> Any:
        if module in modules:
            return modules[module]
        if module in _PLAIN:
            return builtins.__import__(module, *rest)
        raise ScriptError(f"{name}: the module {module} does not lead to the library's kernel")

    own = {**vars(builtins), "__import__": find, "open": shell.kernel.open}
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(text, name, "exec"), {"__name__": "__main__", "__builtins__": own})  # noqa: S102 - its purpose
        except SystemExit as end:
            done.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except (OSError, subprocess.CalledProcessError) as error:
            done.code, done.errors = 1, f"{name}: {error}\n"
    shell.kernel._close_files()
    return Done(done.code, output.getvalue(), errors.getvalue() + done.errors)


def _os(shell: Shell) -> _Module:
    def system(command: str) -> int:
        return shell.run(command).code << 8

    return _Module(
        _name="os",
        environ=shell.variables,
        system=system,
        getpid=shell.kernel.os.getpid,
        path=shell.kernel.os.path,
        listdir=shell.kernel.os.listdir,
        unlink=shell.kernel.os.unlink,
        chmod=shell.kernel.os.chmod,
    )


def _subprocess(shell: Shell) -> _Module:
    def start(command: list[str] | str) -> Done:
        return shell.run(command) if isinstance(command, str) else shell.call(command)

    def check_output(command: list[str] | str, **options: Any) -> Any:
        done = start(command)
        if done.code:
            raise subprocess.CalledProcessError(done.code, command, done.output, done.errors)
        text = options.get("universal_newlines") or options.get("text") or options.get("encoding")
        return done.output if text else done.output.encode()

    def call(command: list[str] | str, **_: Any) -> int:
        return start(command).code

    def check_call(command: list[str] | str, **_: Any) -> int:
        check_output(command)
        return 0

    return _Module(
        _name="subprocess",
        check_output=check_output,
        call=call,
        check_call=check_call,
        CalledProcessError=subprocess.CalledProcessError,
    )


def _sys(name: str, arguments: list[str], output: io.StringIO, errors: io.StringIO) -> _Module:
    return _Module(_name="sys", argv=[name, *arguments], exit=sys.exit, stdout=output, stderr=errors)
