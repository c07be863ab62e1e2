"""The same seed on another machine: other processors, another kernel, other memory; are the bytes the same?

    .venv/bin/python dev/another_machine.py                        on a Nehalem, a Haswell and the least of all x86-64
    .venv/bin/python dev/another_machine.py --cpu qemu64 disk tls  these runs on that one

Each machine is emulated by QEMU, without KVM: so its processor does what that model
did, and an instruction that it has not is an error. It boots a kernel of Debian (the
newest linux-image-cloud-amd64, fetched and unpacked, not installed), with other
memory and more processors than this one has, and a root file system in memory: the
files that the same runs (another_machine_runs.py) open here, as strace tells.

Wants qemu-system-x86, strace and cpio. Ends with 1 when something differs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from prepare import find_program, install

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path(__file__).with_name("another_machine_runs.py")
# None of the first has AVX; the second has what compilers call x86-64 and nothing more.
PROCESSORS = ("Nehalem", "qemu64", "Haswell")
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "strace": "strace", "cpio": "cpio"}
KERNEL_PACKAGE = "linux-image-cloud-amd64"
MEMORY = "1536M"
PROCESSOR_COUNT = 3
MOST_SECONDS = 1800
# What strace says of a file that was found: its name, as a string of C.
OPENED = re.compile(r'^\S*\s*\w+\((?:AT_FDCWD, |\d+, )?"((?:[^"\\]|\\.)*)".*\) = \d')
# Of every program; the kernel opens it itself.
INTERPRETER = "/lib64/ld-linux-x86-64.so.2"
NOT_STORED = ("/proc", "/sys", "/dev", "/run", "/var")

# The whole of the other machine's user space. Its results leave by the second serial line.
INIT = """#!{python}
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp/other")):
    os.makedirs(place, exist_ok=True)
    if libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None):
        print("mount", place, os.strerror(ctypes.get_errno()))
environment = {{**{environment!r}, "TMPDIR": "/tmp/other"}}
try:
    with open("/dev/ttyS1", "w") as results:
        subprocess.run([{python!r}, {runs!r}, *{names!r}], env=environment, stdout=results, check=True)
        results.flush()
        libc.tcdrain(results.fileno())
except BaseException as error:
    print("the other machine:", error)
libc.sync()
libc.reboot(0x4321FEDC)  # power off
"""


def environment() -> dict[str, str]:
    """What is given to the runs here; there it is the same but for the directory for temporary files."""
    given = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    return given | {name: os.environ[name] for name in ("LIBLINUX_KERNEL",) if name in os.environ}


def run_here(names: Iterable[str], trace: Path) -> dict[str, Any]:
    """The runs on this machine, with all that they open in `trace`."""
    command = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=%file", "-e", "signal=none", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, str(RUNS), *names], env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return read_results(done.stdout)


def read_results(text: str) -> dict[str, Any]:
    """By name."""
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {one.pop("name"): one for one in found}


def opened(trace: Path) -> Iterator[Path]:
    """The files that were found, with the links on the way to them."""
    seen = {INTERPRETER}
    for line in trace.read_text(errors="replace").splitlines():
        match = OPENED.match(line)
        if match and match[1].startswith("/") and not match[1].startswith(NOT_STORED):
            seen.add(os.path.normpath(match[1]))
    for name in seen:
        yield from _with_links(Path(name))


def _with_links(path: Path) -> Iterator[Path]:
    """A file, its directories, and where links among these lead."""
    for part in (*reversed(path.parents), path):
        if part.is_symlink():
            yield part
            rest = path.relative_to(part)
            yield from _with_links(Path(os.path.normpath(part.parent / os.readlink(part))) / rest)
            return
        if part.exists():
            yield part


def make_root(paths: Iterable[Path], names: Iterable[str], to: Path) -> None:
    """An archive of the files, for a kernel to unpack; `to` is where."""
    kept = sorted({str(path.relative_to("/")) for path in paths if _storable(path)} - {"."})
    with to.open("wb") as archive:
        command = ["cpio", "--quiet", "--null", "-o", "-H", "newc"]
        subprocess.run([*command, "-D", "/"], input="\0".join(kept).encode(), stdout=archive, check=True)
        with tempfile.TemporaryDirectory() as directory:
            init = Path(directory) / "init"
            values = {"python": sys.executable, "runs": str(RUNS), "names": list(names), "environment": environment()}
            init.write_text(INIT.format(**values))
            init.chmod(0o755)
            subprocess.run([*command, "-D", directory], input=b"init", stdout=archive, check=True)


def _storable(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


def fetch_kernel(directory: Path) -> Path:
    """Debian's kernel for virtual machines, unpacked."""
    depends = subprocess.run(["apt-cache", "depends", KERNEL_PACKAGE], capture_output=True, text=True, check=True)
    package = re.findall(r"Depends: (linux-image-\S+)", depends.stdout)[0]
    subprocess.run(["apt-get", "download", "-qq", package], cwd=directory, check=True, stderr=subprocess.DEVNULL)
    (archive,) = directory.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, directory / "unpacked"], check=True)
    (kernel,) = (directory / "unpacked" / "boot").glob("vmlinuz-*")
    return Path(shutil.copy(kernel, directory / kernel.name))


def run_there(cpu: str, kernel: Path, root: Path, directory: Path) -> dict[str, Any]:
    """The runs on a machine with such a processor. RuntimeError with what it said when it does not come to an end."""
    results, console = directory / f"{cpu}.json", directory / f"{cpu}.console"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-smp", str(PROCESSOR_COUNT), "-m", MEMORY]
    command += ["-display", "none", "-no-reboot", "-nic", "none"]
    # The last is a variable of the first program, which starts before the machine has random numbers.
    line = "console=ttyS0 panic=-1 quiet PYTHONHASHSEED=815"
    command += ["-kernel", str(kernel), "-initrd", str(root), "-append", line]
    command += ["-serial", f"file:{console}", "-serial", f"file:{results}"]
    # It warns of features of the model that it does not emulate, such as transactional memory.
    done = subprocess.run(command, timeout=MOST_SECONDS, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stderr}")
    found = read_results(results.read_text())
    if not found:
        raise RuntimeError(
            f"a machine with {cpu} had no result; it said:\n{console.read_text(errors='replace')[-4000:]}"
        )
    return found


def compare(here: dict[str, Any], there: dict[str, Any]) -> dict[str, str]:
    """Which runs differ, and how."""
    wrong = {}
    for name, one in here.items():
        other = there.get(name, {"status": "no result", "problem": ""})
        different = [what for what in ("printed", "left") if one[what] != other.get(what)]
        if other["status"] != 0:
            wrong[name] = f"it ended with {other['status']}: {other['problem']}"
        elif different:
            wrong[name] = "; ".join(f"what it {what}: {one[what]} and {other[what]}" for what in different)
    return wrong


@click.command(help=__doc__)
@click.option(
    "--cpu", "processors", multiple=True, default=PROCESSORS, show_default=True, help="see qemu-system-x86_64 -cpu help"
)
@click.option("--kernel", type=click.Path(exists=True, path_type=Path), help="a vmlinuz, instead of Debian's newest")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="keep results and consoles there")
@click.argument("names", nargs=-1)
def main(processors: tuple[str, ...], kernel: Path | None, keep: Path | None, names: tuple[str, ...]) -> None:
    """Do what the command line asks for."""
    install(package for program, package in PROGRAMS.items() if find_program(program) is None)
    equal = True
    with tempfile.TemporaryDirectory() as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        here = run_here(names, directory / "trace")
        for name, one in here.items():
            if one["status"]:
                sys.exit(f"{name} fails on this machine: {one['problem']}")
        kernel = kernel or fetch_kernel(Path(temporary))
        make_root(opened(directory / "trace"), names, directory / "root.cpio")
        for cpu in processors:
            there = run_there(cpu, kernel, directory / "root.cpio", directory)
            wrong = compare(here, there)
            equal &= not wrong
            seconds = sum(one["seconds"] for one in there.values())
            print(
                f"{cpu}, {kernel.name}: {len(here) - len(wrong)} of {len(here)} runs are the same, in {seconds:.0f} s"
            )
            print(*(f"  {name}: {text}\n" for name, text in wrong.items()), sep="", end="", flush=True)
    sys.exit(not equal)


if __name__ == "__main__":
    main()
