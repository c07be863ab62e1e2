"""A plugin of pytest: kernels, networks and images as fixtures, the same every run.

pytest finds it by itself where liblinux is installed (entry point `pytest11`).
What it offers:

    kernel            a Kernel with a virtual clock, as if just booted
    network           a Network with a virtual clock, empty or as `network_setup` made it
    image_factory     makes images of file systems from a dict, a directory or an archive
    liblinux_seed     the seed of the test, an int

`kernel_options`, `network_options` and `network_setup` are there to be overridden:
the arguments of Kernel and Network, and a function that prepares a network.
`@pytest.mark.liblinux_seeds(100)` runs a test under a hundred seeds. A test that
fails shows its seed, the kernel's log and where the capture of its network is.

pytest imports this module in every session, also of people who test something else:
whatever is slow is imported when a fixture is first used.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from liblinux import Kernel, Network
    from liblinux.testing._evidence import Evidence
    from liblinux.testing._images import ImageFactory
    from liblinux.testing._pool import Pool

_KERNEL_VARIABLE = "LIBLINUX_KERNEL"
_EVIDENCE: pytest.StashKey[Evidence] = pytest.StashKey()
_KERNEL_BEFORE: pytest.StashKey[str | None] = pytest.StashKey()
_DEFAULT_SEED = 1
_SECTION = "liblinux"
_WORKER_SEED = "liblinux_seed"


# ---- options -----------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line."""
    group = parser.getgroup("liblinux")
    group.addoption(
        "--liblinux-seed",
        type=_seed,
        default=_DEFAULT_SEED,
        metavar="N",
        help="seed of kernels and networks of fixtures, and the first of @pytest.mark.liblinux_seeds(count); "
        "'random' draws one and prints it (default: 1)",
    )
    group.addoption(
        "--liblinux-pcap",
        choices=("on-failure", "always", "never"),
        default="on-failure",
        help="keep a capture of the fixture `network`: of tests that fail (default), of all, or of none",
    )
    group.addoption(
        "--liblinux-output",
        default="liblinux-failures",
        metavar="DIR",
        help="where captures and kernel logs of failed tests are put (default: liblinux-failures in pytest's rootdir)",
    )
    group.addoption(
        "--liblinux-kernel",
        metavar="VERSION",
        help="the kernel that is taken where no version is asked for: a series (6.1), a release or a file; "
        "sets LIBLINUX_KERNEL",
    )


def _seed(text: str) -> int | str:
    if text == "random":
        return text
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a seed is a number or 'random', not {text!r}")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, draw a seed, choose the kernel."""
    config.addinivalue_line(
        "markers",
        "liblinux_seeds(seeds): run the test under several seeds: a number of them, which begin at --liblinux-seed, "
        "or a list",
    )
    if config.option.liblinux_seed == "random":
        drawn = int.from_bytes(os.urandom(4), "little")
        config.option.liblinux_seed = getattr(config, "workerinput", {}).get(_WORKER_SEED, drawn)
    version = config.option.liblinux_kernel
    if version:
        _check_kernel(version)
        config.stash[_KERNEL_BEFORE] = os.environ.get(_KERNEL_VARIABLE)
        os.environ[_KERNEL_VARIABLE] = version


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers of pytest-xdist take the seed that was drawn."""
    node.workerinput[_WORKER_SEED] = node.config.option.liblinux_seed


def _check_kernel(version: str) -> None:
    from liblinux._errors import BuildError  # noqa: PLC0415 - for those who ask for one
    from liblinux._library import find_image  # noqa: PLC0415 - as above

    try:
        find_image(version)
    except BuildError as error:
        raise pytest.UsageError(f"--liblinux-kernel {version}: {error}") from None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the environment as it was."""
    if _KERNEL_BEFORE in config.stash:
        before = config.stash[_KERNEL_BEFORE]
        if before is None:
            os.environ.pop(_KERNEL_VARIABLE, None)
        else:
            os.environ[_KERNEL_VARIABLE] = before


def pytest_report_header(config: pytest.Config) -> str | None:
    """The seed, where it was asked for."""
    seed = config.option.liblinux_seed
    return f"liblinux: --liblinux-seed {seed}" if seed != _DEFAULT_SEED else None


# ---- seeds -------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each seed of the marker."""
    marker = metafunc.definition.get_closest_marker("liblinux_seeds")
    if marker is None:
        return
    from liblinux.testing._seeds import parse_seeds  # noqa: PLC0415 - for tests that are marked

    try:
        seeds = parse_seeds(marker.args, marker.kwargs, metafunc.config.option.liblinux_seed)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{metafunc.definition.nodeid}: {error}", pytrace=False)
    if "liblinux_seed" not in metafunc.fixturenames:
        pytest.fail(
            f"{metafunc.definition.nodeid} is marked liblinux_seeds and uses no seed: it would be the same test "
            "each time; take one of the fixtures network, kernel, liblinux_seed, or leave the marker out",
            pytrace=False,
        )
    metafunc.parametrize("liblinux_seed", seeds, ids=[f"seed{seed}" for seed in seeds], indirect=True)


@pytest.fixture
def liblinux_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: that of its marker, or of --liblinux-seed."""
    seed: int = getattr(request, "param", request.config.option.liblinux_seed)
    _evidence(request.node).seed = seed
    request.node.user_properties.append(("liblinux_seed", seed))
    return seed


# ---- kernels and networks ----------------------------------------------------


@pytest.fixture(scope="session")
def kernel_options() -> dict[str, Any]:
    """Override it: arguments of Kernel for the fixture `kernel`, as {"memory": "256M"}."""
    return {}


@pytest.fixture(scope="session")
def network_options() -> dict[str, Any]:
    """Override it: arguments of Network for the fixture `network`, as {"strict": True}."""
    return {}


@pytest.fixture(scope="session")
def network_setup() -> Callable[[Network], object] | None:
    """Override it: a function that is called with a network that has just been made.

    It is called once for each seed; each test then finds the network put back to
    how it was after that. The fixture wants the scope "module" or "session", else
    the function is another one each time.
    """
    return None


@pytest.fixture(scope="session")
def _liblinux_pool() -> Iterator[Pool]:
    """Kernels and networks that are booted once and put back for each test."""
    from liblinux.testing._pool import Pool  # noqa: PLC0415 - not for everybody

    with Pool() as pool:
        yield pool


@pytest.fixture
def kernel(
    request: pytest.FixtureRequest, _liblinux_pool: Pool, kernel_options: dict[str, Any], liblinux_seed: int
) -> Iterator[Kernel]:
    """A kernel as if it had just been booted, with a virtual clock and the test's seed.

    It is one of few that were booted before and are put back by a snapshot. At the
    end its file systems are written back and unmounted, as by `close()`.
    """
    options = {"clock": "virtual", "seed": liblinux_seed, **kernel_options}
    with _liblinux_pool.kernel(options) as lent:
        _evidence(request.node).add_kernel(lent)
        yield lent


@pytest.fixture
def network(
    request: pytest.FixtureRequest,
    _liblinux_pool: Pool,
    network_options: dict[str, Any],
    network_setup: Callable[[Network], object] | None,
    liblinux_seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    """A network with a virtual clock and the test's seed: empty, or what `network_setup` made of it.

    What crosses its links is captured, from when it first comes up (or from the end
    of `network_setup`), unless --liblinux-pcap=never.
    """
    options = {"clock": "virtual", "seed": liblinux_seed, **network_options}
    with _liblinux_pool.network(options, network_setup) as lent:
        evidence = _evidence(request.node)
        wanted = request.config.option.liblinux_pcap != "never"
        evidence.capture(lent, tmp_path_factory.mktemp("liblinux") / "network.pcapng" if wanted else None)
        evidence.add_network(lent)
        yield lent


@pytest.fixture
def image_factory(
    tmp_path: os.PathLike[str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> ImageFactory:
    """Makes images of file systems: image_factory({"etc/hostname": "penguin"}, "ext4"); see :class:`ImageFactory`."""
    from liblinux.testing._images import ImageFactory  # noqa: PLC0415 - not for everybody

    base = tmp_path_factory.getbasetemp()
    # Workers of xdist have directories of their own in one for all.
    shared = base.parent if hasattr(request.config, "workerinput") else base
    return ImageFactory(tmp_path, shared / "liblinux-images")


# ---- what is left of a test that failed ----------------------------------------


def _evidence(item: pytest.Item) -> Evidence:
    from liblinux.testing._evidence import Evidence  # noqa: PLC0415 - not for everybody

    if _EVIDENCE not in item.stash:
        item.stash[_EVIDENCE] = Evidence()
    return item.stash[_EVIDENCE]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a section to the report of a test that failed, and keep files."""
    report = yield
    evidence = item.stash.get(_EVIDENCE, None)
    if evidence is not None:
        from liblinux.testing._evidence import attach  # noqa: PLC0415 - not for everybody

        attach(evidence, item, report, _SECTION)
        if report.when == "teardown":
            del item.stash[_EVIDENCE]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where the files of failed tests are."""
    reports = [report for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, ())]
    if any(name == _SECTION for report in reports for name, _ in report.sections):
        directory = config.rootpath / config.option.liblinux_output
        terminalreporter.write_line(f"liblinux: captures and kernel logs of failed tests are in {directory}")
