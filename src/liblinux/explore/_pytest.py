"""Trying a test of pytest with one seed, in this process, with fixtures for what explore gives."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from liblinux.explore._plan import Untestable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from liblinux.explore._trial import Given

__all__ = ["run_by_pytest"]

_PLUGIN = "liblinux.pytest_plugin"


def run_by_pytest(test: str, seed: int, given: Given) -> tuple[str, str, str] | None:
    """Run it; returns the exception's type, its message and what pytest shows, None when it passed.

    Its fixtures `seed`, `schedule` and `net` are those of explore; all others are
    pytest's as ever. Untestable when there is no such test, or without pytest.
    """
    try:
        import pytest  # noqa: PLC0415 - only for those who have it
    except ImportError as error:
        raise Untestable(f"{test} is a test of pytest, which is not installed: pip install pytest") from error

    class Fixtures:
        failure: tuple[str, str, str] | None = None
        passed = 0

        @pytest.fixture
        def seed(self) -> int:
            return seed

        @pytest.fixture
        def schedule(self) -> Given:
            return given

        @pytest.fixture
        def net(self) -> Iterator[Any]:
            from liblinux.network import Network  # noqa: PLC0415 - as above

            with Network(clock="virtual", seed=seed) as made:
                yield made

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
            report = yield
            self.passed += report.passed and call.when == "call"
            if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
                if call.excinfo.errisinstance(Untestable):
                    raise call.excinfo.value
                self.failure = call.excinfo.typename, str(call.excinfo.value), report.longreprtext
            return report

    fixtures = Fixtures()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout", "-o", "addopts="]
    # Its fixtures, `kernel` and `network`, have the seed as well.
    if any(one.value == _PLUGIN for one in entry_points(group="pytest11")):
        options.append(f"--liblinux-seed={seed}")
    code = pytest.main([*options, test], plugins=[fixtures])
    if fixtures.failure is not None:
        return fixtures.failure
    if code == pytest.ExitCode.OK and fixtures.passed:
        return None
    raise Untestable(f"pytest does not run {test}: it ended with {code!r}; see what 'pytest {test}' says")
