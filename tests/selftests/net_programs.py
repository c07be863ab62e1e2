"""The selftests of tools/testing/selftests/net as programs: copied out of the source, compiled, run on a kernel.

Nothing in them is changed. C programs are compiled with the machine's headers, or with those of their own kernel.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmodified.server import Server

import liblinux
from liblinux import _library
from liblinux.builder.cache import Cache
from liblinux.builder.source import find, unpack

_SELFTESTS = Path("tools/testing/selftests")
_SKIPPED = 4  # KSFT_SKIP
# Checks as tests tell of them: by marks for people, or in TAP; some do so both ways, which is one check each.
_GOOD = (
    re.compile(r"\[ *(?i:OK) *\]|^PASS\b|TEST.*\bPASS\b", re.MULTILINE),
    re.compile(r"(?m)^ok \d+(?!.*# SKIP)"),
)
_BAD = (re.compile(r"\[ *(?i:FAIL) *\]|^FAIL\b|TEST.*\bFAIL\b", re.MULTILINE), re.compile(r"^not ok \d+", re.MULTILINE))
# Checks that a test leaves out, for want of a program's version mostly, or of which it says itself that they fail.
_LEFT_OUT = (re.compile(r"\[ *(?i:SKIP) *\]|SKIP: .*\[ *OK *\]"), re.compile(r"^ok \d+.*# SKIP", re.MULTILINE))
_EXPECTED = re.compile(r"\[ *XFAIL *\]")
# A script that goes on without a program or a library of its own, and then says that all is well.
_LACKS = re.compile(r"line \d+: \S+: command not found", re.MULTILINE)
_NOT_FOUND = 127
_OWN_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
_DIRECTORIES = ("/run/netns", "/var", "/etc/netns")
_KINDS = ("ping", "tcp", "udp", "bind", "runtime", "netfilter")
# What programs are linked with, as in their Makefiles.
_LIBRARIES = {"nf_queue": ("-lmnl",), "conntrack_dump_flush": ("-lmnl",)}
_DEFINED = {"icmps-accept": ("-DTEST_ICMPS_ACCEPT",)}
# Directories of programs that are compiled for each family.
_BOTH_FAMILIES = ("tcp_ao",)
_FAMILIES = {"_ipv4": (), "_ipv6": ("-DIPV6_TEST",)}
_SYMBOLS = "/proc/kallsyms"
# Scripts that can run a part of what they have, and would take an hour for all of it.
_FCNAL = (*(f"{family}_{kind}" for family in ("ipv4", "ipv6") for kind in _KINDS), "use_cases")
_PARTS = {"fcnal-test.sh": tuple(f"-t {part}" for part in _FCNAL)}
LIST = Path(__file__).with_name("net.toml")
_HELPER = Path(__file__).with_name("helper.sh")


def _count(ways: Sequence[re.Pattern[str]], output: str) -> int:
    return max(len(way.findall(output)) for way in ways)


@dataclass(frozen=True)
class Outcome:
    """What became of a test: its exit status, what it took, and what it wrote, in which its checks are counted."""

    name: str
    status: int
    seconds: float
    output: str

    @property
    def passed(self) -> int:
        """Checks that passed."""
        return _count(_GOOD, _LEFT_OUT[0].sub("", self.output))

    @property
    def failed(self) -> int:
        """Checks that failed."""
        return _count(_BAD, self.output)

    @property
    def verdict(self) -> str:
        """One word or two, for a table."""
        if not self.failed and (self.status == 0 or (self.status == _SKIPPED and self.passed)):
            return (f"pass ({self.passed})" if self.passed > 1 else "pass") + self._other_checks()
        if self.status == _SKIPPED and not self.failed:
            return "skips itself"
        why = "too slow" if self.status < 0 else f"exit {self.status}"
        return f"{why}: {self.passed} passed, {self.failed} failed{self._other_checks()}"

    def _other_checks(self) -> str:
        left_out, expected = _count(_LEFT_OUT, self.output), len(_EXPECTED.findall(self.output))
        said = f", {left_out} left out" if left_out else ""
        return said + (f", {expected} expected to fail" if expected else "")


@functools.cache
def listed() -> dict[str, Any]:
    """The list of tests."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))


def reason(name: str) -> str | None:
    """Why a test is not run; None for one that nobody has thought of."""
    groups = listed()["beyond"]
    return next((str(g["reason"]) for g in groups if any(fnmatch.fnmatch(name, one) for one in g["names"])), None)


@functools.cache
def source(version: str) -> Path:
    """The kernel's source, unpacked."""
    cache = Cache.default()
    trees = sorted(cache.sources.glob(f"{version}.*/linux"))
    if trees:
        return trees[-1]
    with cache.locked():
        return Path(unpack(find(version, None, cache), cache).path)


def all_tests(version: str) -> list[str]:
    """Every script and C program of the directory and of those below, by the name of what is run."""
    net = source(version) / _SELFTESTS / "net"
    found = {*net.glob("*"), *net.glob("*/*")}
    names = {str(path.relative_to(net)) for path in found if path.suffix in (".sh", ".c", ".py", "") and path.is_file()}
    other = {"Makefile", "config", "settings", ".gitignore"}
    programs = {name.removesuffix(".c") for name in names if Path(name).name not in other}
    of_both = {name for name in programs if str(Path(name).parent) in _BOTH_FAMILIES}
    whole = of_both | (programs & _PARTS.keys())
    parts = {f"{name} {part}" for name in programs & _PARTS.keys() for part in _PARTS[name]}
    return sorted(programs - whole | parts | {name + family for name in of_both for family in _FAMILIES})


def prepare(version: str, directory: Path, settings: Mapping[str, str] | None = None) -> Path:
    """Copy the tests; returns the directory that they are in.

    Arguments: `settings` beyond those that forwarding/forwarding.config.sample has, which is made the configuration
    as its README says.
    """
    tree = source(version)
    net = directory / "selftests/net"
    if not net.exists():
        shutil.copytree(tree / _SELFTESTS / "net", net, symlinks=True)
        for name in ("kselftest", "kselftest.h", "kselftest_harness.h"):
            copy = shutil.copytree if (tree / _SELFTESTS / name).is_dir() else shutil.copy
            copy(tree / _SELFTESTS / name, net.parent / name)
        for path in net.rglob("*.sh"):
            path.chmod(0o755)
        sample = (net / "forwarding/forwarding.config.sample").read_text(encoding="utf-8")
        more = "".join(f"{name}={value}\n" for name, value in (settings or {}).items())
        (net / "forwarding/forwarding.config").write_text(f"{sample}\n{more}", encoding="utf-8")
    return net


def compile_program(version: str, net: Path, name: str) -> None:
    """Compile a C program of the tests, and those that a script needs (named in it).

    With the machine's headers where these are enough; those of the kernel's source take a while to make.
    CalledProcessError when a program cannot be compiled.
    """
    directory = (net / name).parent
    wanted = _called_by(net, name) if name.endswith(".sh") else {Path(name).name}
    for program in sorted(wanted):
        stem, defined = _of_family(directory, program)
        source_of = next((at / f"{stem}.c" for at in (directory, net) if (at / f"{stem}.c").exists()), None)
        if source_of is None or source_of.with_name(program).exists():
            continue
        parts = [source_of.name, *(str(path) for path in sorted(source_of.parent.glob("lib/*.c")))]
        command = ["gcc", "-O1", "-w", "-D_GNU_SOURCE=", *defined, "-I..", "-I.", f"-I{net.parent}", "-iquote", "lib"]
        # Headers of the source that are named by the way up to them.
        there = source(version) / _SELFTESTS / "net" / directory.relative_to(net)
        command += ["-iquote", str(there / "lib"), "-iquote", str(there)]
        # As in the Makefile of tcp_ao; for the others those of the machine are enough, or come first.
        command += ["-I" if defined else "-idirafter", str(source(version) / "tools/include"), "-o", program]
        command += [*(parts if source_of.parent != net else parts[:1]), "-lpthread", *_LIBRARIES.get(program, ())]
        if subprocess.run(command, cwd=source_of.parent, check=False, capture_output=True).returncode:
            command[1:1] = ["-isystem", str(_headers(version, net))]
            subprocess.run(command, cwd=source_of.parent, check=True, capture_output=True)


def _of_family(directory: Path, program: str) -> tuple[str, tuple[str, ...]]:
    """The name of a program's source, and what is defined for it."""
    if directory.name not in _BOTH_FAMILIES:
        return program, ()
    stem, family = program[:-5], program[-5:]
    return stem, ("-O2", *_FAMILIES[family], *_DEFINED.get(stem, ()))


def _headers(version: str, net: Path) -> Path:
    objects = net.parent.parent / "objects"
    if not (objects / "usr/include/linux").exists():
        command = ["make", "-s", "-C", str(source(version)), f"O={objects}", "ARCH=x86", "headers"]
        subprocess.run(command, check=True, capture_output=True)
    return objects / "usr/include"


def _called_by(net: Path, script: str) -> set[str]:
    text = (net / script).read_text(encoding="utf-8", errors="replace")
    here = {*net.glob("*.c"), *(net / script).parent.glob("*.c")}
    return {path.stem for path in here if re.search(rf"\b{re.escape(path.stem)}\b", text)}


def symbols(version: str, net: Path) -> Path:
    """The symbols of the kernel as /proc/kallsyms has them, where it is built in: tests look for functions in there."""
    found = net.parent.parent / f"kallsyms-{version}"
    if not found.exists():
        image = _library.find_image(version)
        everywhere = _external(version)
        lines = (line.split() for line in _names("--numeric-sort", f"{image}.debug"))
        said = (f"{at} {'T' if kind == 't' and name in everywhere else kind} {name}\n" for at, kind, name in lines)
        found.write_text("".join(said), encoding="ascii")
    return found


def _external(version: str) -> set[str]:
    """Functions that are not static: by the objects, for in the image all are local. None if it came ready made."""
    archive = Cache.default().objects / f"{source(version).parent.name}-full/vmlinux.a"
    lines = _names("--extern-only", "--quiet", str(archive)) if archive.exists() else []
    return {line.split()[2] for line in lines if " T " in line}


def _names(*arguments: str) -> list[str]:
    command = ["nm", "--defined-only", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def run(version: str, net: Path, name: str, *, timeout: float) -> Outcome:
    """Run a test on a new kernel of the version.

    Arguments: `net` is what prepare() returned, `name` the test's path in there, with its arguments if it has some;
        `timeout` in seconds.
    """
    whole = name
    name, *arguments = whole.split()
    compile_program(version, net, name)
    command = ["bash", f"./{Path(name).name}"] if name.endswith(".sh") else [f"./{Path(name).name}"]
    command += arguments
    environment = {
        # Python with pyroute2, which a test of Open vSwitch wants.
        "PATH": f"{Path(__file__).parent}/bin:{(net / name).parent}:{Path(sys.executable).parent}"
        ":/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(net),
        "LC_ALL": "C",
    }
    environment |= {key: value for key, value in os.environ.items() if key == "TMPDIR"}
    if name in listed()["with_helper"]:
        environment["BASH_ENV"] = str(_HELPER)
    if name in listed()["with_tunnels"]:
        command = [*_OWN_NETWORK, *command]
    start = time.monotonic()
    with liblinux.Kernel(memory="256M", version=version, background=True) as kernel:
        kernel.socket.if_nameindex()  # sets the loopback device up
        kernel.sysctl["net.core.fb_tunnels_only_for_init_net"] = 0
        if name.startswith("forwarding/"):  # as without the module br_netfilter, which drops what pedit_ip.sh makes
            kernel.sysctl["net.bridge.bridge-nf-call-iptables"] = 0
            kernel.sysctl["net.bridge.bridge-nf-call-ip6tables"] = 0
        for directory in _DIRECTORIES:
            kernel.os.makedirs(directory, exist_ok=True)
        kernel.os.symlink("/run", "/var/run")  # of sockets that are bound there (teamd's)
        done = Server(kernel).run(
            command, cwd=(net / name).parent, env=environment, timeout=timeout, shown={_SYMBOLS: symbols(version, net)}
        )
    output = done.stdout.decode(errors="replace")
    seconds = time.monotonic() - start
    status = _NOT_FOUND if done.returncode == 0 and _LACKS.search(output) else done.returncode
    return Outcome(whole, status, seconds, output)
