"""The kernel's own network selftests, unmodified, on the library; docs/NET-SELFTESTS.md tells of all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import net_programs as programs
import net_run as run
import pytest

_VERSION = os.environ.get("LIBLINUX_KERNEL", "6.12")
_QUICK = [str(name) for name in programs.listed()["quick"]]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.prepare(_VERSION, tmp_path_factory.mktemp("selftests"), programs.listed()["quick_settings"])


@pytest.mark.parametrize("name", [name for name in _QUICK if name in programs.all_tests(_VERSION)])
def test_runs_as_it_is(net: Path, name: str) -> None:
    outcome = programs.run(_VERSION, net, name, timeout=120)
    assert outcome.status == 0 and not outcome.failed, f"{outcome.verdict}\n{outcome.output}"


def test_a_failure_is_seen(net: Path) -> None:
    """The network is the library's: what it does not have is not there, and the test's status says so."""
    script = net / "fails.sh"
    script.write_text("ip link show lo && ! ip link show eth0 && ip route get 10.1.2.3\n", encoding="ascii")
    outcome = programs.run(_VERSION, net, "fails.sh", timeout=60)
    assert outcome.status == 2, outcome.output
    assert "LOOPBACK,UP" in outcome.output and '"eth0" does not exist' in outcome.output


def test_the_document_tells_of_every_test() -> None:
    results = json.loads(run.RESULTS.read_text(encoding="utf-8"))
    assert run.DOCUMENT.read_text(encoding="utf-8") == run.document(results), (
        "python tests/selftests/net_run.py writes it"
    )
    assert "no reason is given" not in run.document(results)
    for name in _QUICK:
        assert all(verdict.startswith("pass") for verdict in results[name].values()), name
