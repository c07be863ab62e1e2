"""The steps of a build, in order, and what is reused of earlier builds.

A finished library is known by the hash of everything it is made from; if the
cache has it, nothing runs. Otherwise the object directory of the same source
and configuration is brought up to date, which takes seconds after a small
change.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from liblinux._errors import BuildError
from liblinux._library import DEBUG
from liblinux.builder import _large_pages, _link, kconfig, source
from liblinux.builder._make import Maker, count_objects
from liblinux.builder._progress import Progress, SilentProgress
from liblinux.builder.cache import Cache, safe_name
from liblinux.builder.kconfig import Fragment
from liblinux.builder.port import PORT_DIRECTORY, kernel_directory, port_files, synchronise

__all__ = ["CONFIGURATIONS", "BuildOptions", "BuildResult", "build", "input_digest"]

# The fragments of each configuration, in the order they are merged.
CONFIGURATIONS = {
    "full": ("base", "filesystems", "network", "storage"),
    "minimal": ("base", "minimal"),
}
# How many objects there are, as long as no build has counted them.
_EXPECTED_OBJECTS = {"full": 2280, "minimal": 650}
# Change it when the builder makes something else of the same inputs.
_RECIPE = 4
_KEPT_LIBRARIES = 12
_SERIES = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class BuildOptions:
    """What to build.

    :param kernel: the series, such as ``"6.12"``.
    :param source: a tree, tarball or .deb to build instead of Debian's newest.
    :param config: one of :data:`CONFIGURATIONS`.
    :param fragments: further fragments: names in ``kernel/config``, or paths.
    :param jobs: compilers at once; by default one for each processor.
    :param force: build from nothing, even if the cache has the result.
    :param output: the directory to install into; by default the package's own.
    :param update: look for a newer source package than the cache has.
    """

    kernel: str = "6.12"
    source: Path | None = None
    config: str = "full"
    fragments: Sequence[str] = ()
    jobs: int | None = None
    force: bool = False
    output: Path | None = None
    update: bool = False


@dataclass(frozen=True)
class BuildResult:
    """What was built.

    :param library: the installed shared library.
    :param release: the kernel's release, such as ``"6.12.117"``.
    :param digest: the hash of all inputs.
    :param reused: whether the cache had it.
    :param seconds: how long it took.
    """

    library: Path
    release: str
    digest: str
    reused: bool
    seconds: float


def build(options: BuildOptions, progress: Progress | None = None, cache: Cache | None = None) -> BuildResult:
    """Build a kernel library and install it.

    :raises BuildError: with what failed, the last lines of output, and the log.
    """
    # Late, so that `python -m liblinux.builder.tools` finds its module unloaded.
    from liblinux.builder import tools  # noqa: PLC0415

    progress = progress or SilentProgress()
    cache = cache or Cache.default()
    start = time.monotonic()
    fragments = load_fragments(options)
    if not _SERIES.fullmatch(options.kernel):
        raise BuildError(f"{options.kernel!r} is no series of kernels; give one as 6.12 or 6.1")
    # Not after ten minutes.
    directory = _output_directory(options.output)
    tools.require()
    with cache.locked(on_wait=lambda: progress.step("waiting for another build to finish")):
        progress.step(f"finding the source of Linux {options.kernel if options.source is None else options.source}")
        found = source.find(options.kernel, options.source, cache, update=options.update)
        digest = input_digest(found.identity, kernel_directory() / PORT_DIRECTORY, fragments, _compiler())
        finished = cache.libraries / digest
        reused = _is_whole(finished) and not options.force
        if not reused:
            _Job(options, cache, found, fragments, finished, progress).run()
            _forget_old(cache.libraries)
        release: str = json.loads((finished / "build.json").read_text())["release"]
        library = _install(finished, release, directory, only=options.output is None)
    return BuildResult(library, release, digest, reused, time.monotonic() - start)


def load_fragments(options: BuildOptions) -> list[Fragment]:
    """The fragments that ``options`` ask for, in the order they are merged."""
    if options.config not in CONFIGURATIONS:
        raise BuildError(f"there is no configuration {options.config!r}; choose one of {', '.join(CONFIGURATIONS)}")
    directory = kernel_directory() / "config"
    paths = [directory / f"{name}.config" for name in CONFIGURATIONS[options.config]]
    for name in options.fragments:
        named = directory / f"{name}.config"
        paths.append(named if named.exists() else Path(name))
        if not paths[-1].is_file():
            known = ", ".join(sorted(path.stem for path in directory.glob("*.config")))
            raise BuildError(f"{name!r} is neither a fragment of {directory} ({known}) nor a file")
    return [Fragment.load(path) for path in paths]


def input_digest(identity: str, port: Path, fragments: Iterable[Fragment], compiler: str) -> str:
    """The hash of everything that a library is made from."""
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)

    add(str(_RECIPE), identity, compiler, repr(_link.LINK_OPTIONS), repr(_link.MAKE_TARGETS))
    for fragment in fragments:
        # Comments and line numbers do not count.
        add("fragment", *(f"{s.name}={s.value} {s.at_least} {s.below}" for s in fragment.settings))
    for relative in port_files(port):
        add("file", str(relative), (port / relative).read_bytes())
    return digest.hexdigest()


def _compiler() -> str:
    versions = (
        subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout for tool in ("gcc", "ld")
    )
    return "\n".join(version.partition("\n")[0] for version in versions)


@dataclass(frozen=True)
class _Job:
    """One build that the cache could not answer."""

    options: BuildOptions
    cache: Cache
    found: source.Source
    fragments: Sequence[Fragment]
    finished: Path
    progress: Progress

    def run(self) -> None:
        self.progress.step(f"checking or unpacking the source ({self.found.identity})")
        tree = source.unpack(self.found, self.cache)
        series = ".".join(map(str, tree.version[:2]))
        changed = synchronise(kernel_directory() / PORT_DIRECTORY, tree.path / PORT_DIRECTORY)
        wishes = kconfig.merge(self.fragments, tree.version)
        objects = self._object_directory()
        log = self._new_log()
        maker = Maker(tree.path, objects, log, [*_identity_variables(tree.path), *wishes.make_arguments()])
        self.progress.step(f"configuring Linux {series} ({len(wishes.settings)} options, log in {log})")
        self._configure(maker, wishes)
        self.progress.step(f"compiling ({len(changed)} files of the port are new or changed)")
        self._compile(maker, series)
        release = (objects / "include/config/kernel.release").read_text().strip()
        files = _link.link(objects, release, log, self.progress)
        facts = {
            "release": release,
            "source": self.found.identity,
            "fragments": [fragment.name for fragment in self.fragments],
            "compiler": _compiler().splitlines(),
        }
        with self.cache.new_directory(self.finished) as directory:
            for file in files:
                shutil.copy2(file, directory)
            shutil.copy2(objects / ".config", directory / "config")
            (directory / "build.json").write_text(json.dumps(facts, indent=2) + "\n")

    @property
    def _name(self) -> str:
        extra = "".join(f"+{fragment.name}" for fragment in self.fragments[len(CONFIGURATIONS[self.options.config]) :])
        return safe_name(f"{self.found.identity}-{self.options.config}{extra}")

    def _object_directory(self) -> Path:
        objects = self.cache.objects / self._name
        if self.options.force:
            shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir(parents=True, exist_ok=True)
        return objects

    def _new_log(self) -> Path:
        log = self.cache.logs / f"{self._name}.log"
        log.write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, {self.found.identity}\n")
        return log

    def _configure(self, maker: Maker, wishes: kconfig.Wishes) -> None:
        """Make and verify ``.config``, unless the present one was made from the same."""
        stamp = maker.objects / "liblinux.config-stamp"
        digest = hashlib.sha256(wishes.allconfig().encode() + _compiler().encode() + _RECIPE.to_bytes(1, "little"))
        for file in sorted((maker.tree / PORT_DIRECTORY).rglob("Kconfig*")):
            digest.update(file.read_bytes())
        config = maker.objects / ".config"
        if config.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        stamp.unlink(missing_ok=True)
        wanted = maker.objects / "liblinux.wanted-config"
        wanted.write_text(wishes.allconfig())
        maker.run("allnoconfig", environment={"KCONFIG_ALLCONFIG": str(wanted)})
        kconfig.verify(wishes, kconfig.parse_config(config.read_text()), maker.tree)
        stamp.write_text(digest.hexdigest())

    def _compile(self, maker: Maker, series: str) -> None:
        counts = self.cache.objects / safe_name(f"count-{series}-{self.options.config}")
        expected = int(counts.read_text()) if counts.exists() else _EXPECTED_OBJECTS[self.options.config]
        jobs = self.options.jobs or len(os.sched_getaffinity(0))
        environment = _large_pages.environment(maker.objects, maker.log)
        maker.compile(
            *_link.MAKE_TARGETS, jobs=jobs, progress=self.progress, expected=expected, environment=environment
        )
        counts.write_text(str(count_objects(maker.objects)))


def _identity_variables(tree: Path) -> list[str]:
    """What the kernel says of its own making: fixed, so that equal inputs give equal bytes.

    The date is that of the source, which the package's own archive carries.
    """
    date = datetime.fromtimestamp((tree / "Makefile").stat().st_mtime, UTC)
    return [
        f"KBUILD_BUILD_TIMESTAMP={date:%a %b %e %H:%M:%S UTC %Y}",
        "KBUILD_BUILD_USER=liblinux",
        "KBUILD_BUILD_HOST=liblinux",
        "KBUILD_BUILD_VERSION=1",
    ]


def _is_whole(finished: Path) -> bool:
    """Whether the cache has a library with all that belongs to it; somebody may have tidied up there."""
    try:
        name = f"liblinux-{json.loads((finished / 'build.json').read_text())['release']}.so"
    except (OSError, ValueError, KeyError):
        return False
    return all((finished / part).is_file() for part in (name, f"{name}.debug"))


def _output_directory(output: Path | None) -> Path:
    """Where the library shall be installed, which is made, and can be written to."""
    directory = output or Path(__file__).resolve().parent.parent / "lib"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError as error:
        raise BuildError(
            f"a library cannot be installed into {directory}: {error.strerror}; name another directory with --output"
        ) from error


def _install(finished: Path, release: str, directory: Path, *, only: bool) -> Path:
    """Copy a library there; as the `only` one of its series, in the package."""
    name = f"liblinux-{release}.so"
    try:
        if only:
            _remove_same_series(directory, release)
        # Symbols first: who sees the library finds them.
        for part in (f"{name}.debug", name):
            _copy_atomically(finished / part, directory / part)
    except OSError as error:
        raise BuildError(f"cannot install {name} into {directory}: {error}") from error
    return directory / name


def _remove_same_series(directory: Path, release: str) -> None:
    """One library for each series in the package, and one for debugging, so that the choice is never in doubt."""
    series = ".".join(release.split(".")[:2])
    for old in directory.glob(f"liblinux-{series}.*.so*"):
        of_debug = f"{DEBUG}.so" in old.name
        if of_debug == release.endswith(DEBUG) and not old.name.startswith(f"liblinux-{release}.so"):
            old.unlink()


def _copy_atomically(original: Path, target: Path) -> None:
    """Copied, not linked: a change to the installed file must not reach the cache."""
    if target.exists() and filecmp.cmp(original, target, shallow=False):
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        shutil.copyfile(original, temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _forget_old(libraries: Path) -> None:
    by_age = sorted((path for path in libraries.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in by_age[:-_KEPT_LIBRARIES]:
        shutil.rmtree(old, ignore_errors=True)
