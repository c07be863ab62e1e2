"""The programs of set-up lines that need nothing but files of the kernel."""

from __future__ import annotations

import importlib
import os
import re

from liblinux.packetdrill.shell._shell import Done, Program, Shell

__all__ = ["find"]

# Programs that are worth a module; loaded when they are called.
_ELSEWHERE = {
    "ip": "_routing:ip",
    "tc": "_routing:tc",
    "nstat": "_counters:nstat",
    "iptables": "_filter:iptables",
    "ip6tables": "_filter:ip6tables",
    "conntrack": "_conntrack:conntrack",
}


def find(name: str) -> Program | None:
    """The program of that name; None when there is none."""
    base = name.rpartition("/")[2] if name.startswith(("/bin/", "/sbin/", "/usr/")) else name
    if base in _ELSEWHERE:
        module, _, attribute = _ELSEWHERE[base].partition(":")
        program: Program = getattr(importlib.import_module(f"liblinux.packetdrill.shell.{module}"), attribute)
        return program
    return _PROGRAMS.get(base)


def _sysctl(shell: Shell, arguments: list[str], _: str) -> Done:
    done = Done()
    options = "".join(one[1:] for one in arguments if one.startswith("-"))
    for argument in (one for one in arguments if not one.startswith("-")):
        name, equals, value = argument.partition("=")
        try:
            if equals:
                shell.kernel.sysctl[name.strip()] = value.strip()
            shown = shell.kernel.sysctl[name.strip()]
        except KeyError:
            if "e" not in options:
                done.code = 1
                done.errors += f"sysctl: there is no setting {name} in this kernel\n"
        except OSError as error:
            done.code = 1
            done.errors += f"sysctl: setting {name} to {value!r}: {os.strerror(error.errno or 0)}\n"
        else:
            if "q" not in options or not equals:
                done.output += f"{shown}\n" if "n" in options else f"{name} = {shown}\n"
    return done


def _cat(shell: Shell, arguments: list[str], given: str) -> Done:
    done = Done(output="" if arguments else given)
    for name in arguments:
        try:
            done.output += shell.read_file(name)
        except OSError as error:
            done.code, done.errors = 1, f"{done.errors}cat: {name}: {error.strerror}\n"
    return done


def _echo(_: Shell, arguments: list[str], __: str) -> Done:
    newline = not (arguments and arguments[0] == "-n")
    return Done(output=" ".join(arguments if newline else arguments[1:]) + "\n" * newline)


def _grep(shell: Shell, arguments: list[str], given: str) -> Done:
    options, rest = "", []
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        if arguments[position] == "--":
            position += 1
            break
        options += arguments[position][1:]
        position += 1
    rest = arguments[position:]
    if not rest:
        return Done(2, errors="grep: no pattern\n")
    unknown = set(options) - set("qvciEFho")
    if unknown:
        return Done(2, errors=f"grep: unknown options {''.join(sorted(unknown))}\n")
    matcher = re.compile(_pattern(rest[0], options), re.IGNORECASE if "i" in options else 0)
    done = Done(code=1)
    texts = [("", given)]
    if len(rest) > 1:
        texts = []
        for name in rest[1:]:
            try:
                texts.append((f"{name}:" if len(rest) > 2 and "h" not in options else "", shell.read_file(name)))
            except OSError as error:
                done.errors += f"grep: {name}: {error.strerror}\n"
    found = [
        prefix + line
        for prefix, text in texts
        for line in text.splitlines()
        if bool(matcher.search(line)) != ("v" in options)
    ]
    done.code = 0 if found else 1
    if "c" in options:
        done.output = f"{len(found)}\n"
    elif "q" not in options:
        done.output = "".join(f"{line}\n" for line in found)
    return done


def _pattern(text: str, options: str) -> str:
    """A pattern of grep as one of Python: in basic ones some characters are plain without a backslash."""
    if "F" in options:
        return re.escape(text)
    if "E" in options:
        return text
    return re.sub(r"\\([+?|(){}])|([+?|(){}])", lambda found: found[1] or "\\" + found[2], text)


def _sleep(shell: Shell, arguments: list[str], _: str) -> Done:
    shell.sleep(sum(float(one) for one in arguments))
    return Done()


def _chmod(shell: Shell, arguments: list[str], _: str) -> Done:
    mode, *names = arguments
    for name in names:
        old = shell.kernel.os.stat(name).st_mode
        shell.kernel.os.chmod(name, int(mode, 8) if mode.isdigit() else old | (0o111 if "x" in mode else 0))
    return Done()


def _rm(shell: Shell, arguments: list[str], _: str) -> Done:
    done = Done()
    for name in (one for one in arguments if not one.startswith("-")):
        try:
            shell.kernel.os.unlink(name)
        except OSError as error:
            if "-f" not in arguments:
                done.code, done.errors = 1, f"rm: {name}: {error.strerror}\n"
    return done


def _modprobe(shell: Shell, arguments: list[str], _: str) -> Done:
    """There are no modules: what is built in is there, and nothing else can be."""
    missing = [
        name
        for name in arguments
        if not name.startswith("-") and not shell.kernel.os.path.isdir(f"/sys/module/{name.replace('-', '_')}")
    ]
    quiet = "-q" in arguments
    errors = "" if quiet else "".join(f"modprobe: {name} is not built into this kernel\n" for name in missing)
    return Done(int(bool(missing)), errors=errors)


def _export(shell: Shell, arguments: list[str], _: str) -> Done:
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals:
            shell.variables[name] = value
    return Done()


def _source(shell: Shell, arguments: list[str], _: str) -> Done:
    name = arguments[0] if "/" in arguments[0] else f"./{arguments[0]}"
    return shell.call([name, *arguments[1:]])


def _interpreter(shell: Shell, arguments: list[str], _: str) -> Done:
    """`sh FILE` and `python3 FILE`: what the file says at its head is what counts."""
    if arguments and arguments[0] == "-c":
        return shell.run(arguments[1])
    return _source(shell, arguments, "")


_PROGRAMS: dict[str, Program] = {
    "sysctl": _sysctl,
    "cat": _cat,
    "echo": _echo,
    "grep": _grep,
    "sleep": _sleep,
    "chmod": _chmod,
    "rm": _rm,
    "modprobe": _modprobe,
    "export": _export,
    "true": lambda *_: Done(),
    ":": lambda *_: Done(),
    "false": lambda *_: Done(1),
    "source": _source,
    ".": _source,
    "sh": _interpreter,
    "bash": _interpreter,
    "python3": _interpreter,
}
