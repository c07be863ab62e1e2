"""The kernel's own network selftests, unmodified, on the library; docs/NET-SELFTESTS.md tells of all of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path

import net_programs as programs
import net_run as run
import pytest
from unmodified import server as serving
from unmodified.outcomes import Gone
from unmodified.server import Server

import liblinux

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


_SENDS_A_FILE = """\
import os, socket
server = socket.create_server(("127.0.0.1", 0))
with socket.create_connection(server.getsockname()) as client, open("net_helper.sh", "rb") as file:
    copy = socket.socket(fileno=os.dup(client.fileno()))
    assert (copy.family, copy.getpeername()) == (socket.AF_INET, server.getsockname()), copy
    assert os.sendfile(copy.fileno(), file.fileno(), 2, 20) == 20 and file.tell() == 0
    assert os.sendfile(copy.fileno(), file.fileno(), None, 11) == 11 and file.tell() == 11
    copy.close()
accepted = server.accept()[0]
print(b"".join(iter(lambda: accepted.recv(100), b"")))
"""


def test_a_copy_of_a_socket_sends_a_file(net: Path) -> None:
    """dup(2) and sendfile(2) are the kernel's, and the other end is closed when both descriptors are."""
    said = (net / "net_helper.sh").read_bytes()
    (net / "sends.py").write_text(_SENDS_A_FILE, encoding="ascii")
    (net / "sends.sh").write_text("python3 sends.py\n", encoding="ascii")
    outcome = programs.run(_VERSION, net, "sends.sh", timeout=60)
    assert outcome.output == f"{said[2:22] + said[:11]!r}\n"


def test_a_kernel_that_dies_ends_its_programs(net: Path) -> None:
    """Nobody would answer them; and who runs them is told why."""
    with liblinux.Kernel(memory="128M", version=_VERSION, background=True) as kernel:
        threading.Timer(0.5, kernel.abort).start()
        forever = ["bash", "-c", "while ip link show > /dev/null; do sleep 0.1; done"]
        with pytest.raises(liblinux.KernelPanic, match="aborted"):
            Server(kernel).run(forever, cwd=net, env=dict(os.environ), timeout=60)


def test_a_program_that_has_ended_is_no_caller() -> None:
    """It was taken for process 0, and the first call that met it failed with EINVAL."""
    beyond_the_last = 1 << 23  # PID_MAX_LIMIT is half of it
    with liblinux.Kernel(memory="128M", version=_VERSION, background=True) as kernel, pytest.raises(Gone):
        Server(kernel).caller(beyond_the_last)


def test_a_child_may_end_while_its_parent_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who changes its namespaces has its children asked for first; one of them ends between two questions."""
    relations = serving._relations
    asked: list[int] = []
    with (
        liblinux.Kernel(memory="128M", version=_VERSION, background=True) as kernel,
        subprocess.Popen(["sleep", "600"]) as child,
    ):
        try:
            server = Server(kernel)
            server.caller(os.getpid())

            def ends(pid: int) -> tuple[int, int, int]:
                if pid == child.pid:
                    asked.append(pid)
                    if len(asked) == 2:
                        return 0, 0, 0
                return relations(pid)

            monkeypatch.setattr(serving, "_relations", ends)
            server.before_leaving(os.getpid())
            assert asked == [child.pid] * 2
        finally:
            child.kill()


def test_a_child_may_have_the_lower_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's numbers begin anew after the highest; and a child's child is asked for after the child."""
    with (
        liblinux.Kernel(memory="128M", version=_VERSION, background=True) as kernel,
        contextlib.ExitStack() as sleeping,
    ):
        programs_of_it = [sleeping.enter_context(subprocess.Popen(["sleep", "600"])) for _ in range(3)]
        try:
            grandchild, child, parent = sorted(program.pid for program in programs_of_it)
            makers = {grandchild: child, child: parent}
            relations = serving._relations

            def made(pid: int) -> tuple[int, int, int]:
                group, maker, inner = relations(pid)
                return group, makers.get(pid, maker), inner

            monkeypatch.setattr(serving, "_relations", made)
            server = Server(kernel)
            server.caller(parent)
            server.before_leaving(parent)
            assert list(server._callers) == [parent, child, grandchild]
        finally:
            for program in programs_of_it:
                program.kill()


def test_the_document_tells_of_every_test() -> None:
    results = json.loads(run.RESULTS.read_text(encoding="utf-8"))
    assert run.DOCUMENT.read_text(encoding="utf-8") == run.document(results), (
        "python tests/selftests/net_run.py writes it"
    )
    assert "no reason is given" not in run.document(results)
    for name in _QUICK:
        assert all(verdict.startswith("pass") for verdict in results[name].values()), name
