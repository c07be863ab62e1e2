"""Fixtures: kernels, and images made by the file systems' own tools."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from click.testing import CliRunner, Result

import fuse_mounts
import liblinux
from liblinux.cli import cli

pytest_plugins = ["pytester", "tap13", "big_files", "liblinux.packetdrill.pytest_plugin"]

# Debian keeps mkfs and fsck where users' PATH does not lead.
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
MIB = 1 << 20

# How long an example takes is for the machine to say, which may be busy with something else.
hypothesis.settings.register_profile(
    "of any speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("of any speed")

# Tests of kernels of `liblinux build --with debug`. `make test-debug` builds and names them; elsewhere they are no
# part of the suite, instead of a skipped one.
DEBUG_KERNELS = [name for name in os.environ.get("LIBLINUX_BUILT", "").split() if name.endswith("-debug")]
collect_ignore_glob = [] if DEBUG_KERNELS else ["debug/test_*.py"]
# Where nothing can be mounted, commands/test_mount_refused.py tests that `liblinux mount` says so.
_OF_FUSE = ["commands/test_mount.py", "commands/test_mount_ends.py", "readahead/test_slow_disk.py"]
collect_ignore = _OF_FUSE if fuse_mounts.why_not() else []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--isolated", action="store_true", help="every Kernel() of the tests in a process of its own")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in the background so that it ignores Ctrl-C, which is tested here.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "in_process(why): about something that isolated kernels do not have")
    if config.getoption("--isolated"):
        initialise = liblinux.Kernel.__init__
        initialise.__defaults__ = (*(initialise.__defaults__ or ())[:3], True, None)


def pytest_report_header() -> str:
    reason = fuse_mounts.why_not()
    return f"FUSE: cannot mount here, only the error is tested: {reason}" if reason else "FUSE: mounts are tested"


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("in_process")
    if marker and item.config.getoption("--isolated"):
        pytest.skip(f"not for isolated kernels: {marker.args[0]}")


def run(*command: str | Path, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    """Run a program; its output, or a failure that shows it."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Images:
    """Makes images in a directory of the test's own."""

    directory: Path

    def empty(self, name: str = "disk.img", size: int = 32 * MIB) -> Path:
        """A sparse file of zeros."""
        path = self.directory / name
        with path.open("wb") as file:
            file.truncate(size)
        return path

    def ext4(
        self, name: str = "ext4.img", size: int = 32 * MIB, *, label: str = "", options: tuple[str, ...] = ()
    ) -> Path:
        """An ext4 file system with `hello.txt` and `sub/data.bin` in it."""
        content = self.directory / "content"
        if not content.exists():
            (content / "sub").mkdir(parents=True)
            (content / "hello.txt").write_text("hello from the image\n")
            (content / "sub" / "data.bin").write_bytes(bytes(range(256)) * 256)
        path = self.empty(name, size)
        run("mkfs.ext4", "-q", "-F", "-L", label, "-d", content, *options, path)
        return path

    def partitioned(self, table: str, parts: list[Path], name: str = "parts.img") -> Path:
        """A disk whose partitions, of a "gpt" or "dos" table, are the given images."""
        size = 2 * MIB + sum(part.stat().st_size for part in parts)
        path = self.empty(name, size)
        script = [f"label: {table}"]
        start = MIB
        for number, part in enumerate(parts, 1):
            named = f", name=part-{number}" if table == "gpt" else ""
            script.append(f"start={start // 512}, size={part.stat().st_size // 512}{named}")
            start += part.stat().st_size
        subprocess.run(
            ["sfdisk", "-q", path], input="\n".join(script), text=True, env=ENVIRONMENT, check=True, capture_output=True
        )
        with path.open("r+b") as file:
            file.seek(MIB)
            for part in parts:
                file.write(part.read_bytes())
        return path


@pytest.fixture(scope="session")
def loaded() -> None:
    """What changes the standard library for runs is loaded, once: pytester forgets what was imported since it began."""
    for name in ("asyncio._run", "running._run", "testing._pool"):
        importlib.import_module(f"liblinux.{name}")


@pytest.fixture
def sessions(loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Sessions of pytest inside of tests: with our plugin and xdist, for those of some other packages are slow."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # Also the warnings are those of a session of its own, not errors as in this one.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p liblinux.pytest_plugin -p xdist.plugin -W default")
    # Dask leaves it in the environment, and the plugin would say so.
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    return pytester


@pytest.fixture
def burning() -> Iterator[Callable[[], None]]:
    """A function that starts other programs, which want the processors until the end of the test."""
    busy: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        count = max((os.cpu_count() or 1) - 1, 1)
        busy.extend(subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count))

    yield start
    for process in busy:
        process.kill()
        process.wait()


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)


@pytest.fixture
def kernel() -> Iterator[liblinux.Kernel]:
    """A kernel of the test's own."""
    with liblinux.Kernel() as booted:
        yield booted


@pytest.fixture
def isolated() -> Iterator[liblinux.Kernel]:
    """The same in a process of its own."""
    with liblinux.Kernel(isolated=True) as booted:
        yield booted


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def either(request: pytest.FixtureRequest) -> Iterator[liblinux.Kernel]:
    """For what must be the same in both: once as `kernel`, once as `isolated`."""
    with liblinux.Kernel(isolated=request.param) as booted:
        yield booted


@pytest.fixture(scope="module")
def shared_kernel() -> Iterator[liblinux.Kernel]:
    """One kernel for all tests of a module that do not get in each other's way."""
    with liblinux.Kernel() as booted:
        yield booted


@pytest.fixture(scope="module")
def shared_isolated() -> Iterator[liblinux.Kernel]:
    """The same in a process of its own."""
    with liblinux.Kernel(isolated=True) as booted:
        yield booted


@pytest.fixture(params=["here", "isolated"])
def either_kernel(
    request: pytest.FixtureRequest, shared_kernel: liblinux.Kernel, shared_isolated: liblinux.Kernel
) -> liblinux.Kernel:
    """A shared kernel in this process, and one in its own."""
    return shared_kernel if request.param == "here" else shared_isolated


@pytest.fixture(params=DEBUG_KERNELS)
def debug_kernel(request: pytest.FixtureRequest) -> Iterator[liblinux.Kernel]:
    """One with fault injection, and the virtual clock, under which a task that hangs for ever is found."""
    with liblinux.Kernel(version=request.param, clock="virtual", seed=1) as booted:
        yield booted


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Without the rights of root on the host, so that permissions matter."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def e2fsck(path: Path) -> None:
    """The checker of ext4 finds nothing, not even a journal to replay."""
    run("e2fsck", "-fn", path)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Copy an image under another name."""

    def make(path: Path, name: str) -> Path:
        return Path(shutil.copyfile(path, tmp_path / name))

    return make


# Arguments of `liblinux`, and `input=` for bytes of standard input.
Command = Callable[..., Result]


@pytest.fixture
def command() -> Command:
    """Runs `liblinux` in this process: command("cat", "disk.img:/a"); its result has exit_code, stdout and stderr."""

    def run(*arguments: object, input: bytes | None = None) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
