"""The report: in a browser, and as what a browser is given."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from observed import observed_run

from full_disk import full_disk
from liblinux import Network
from liblinux.cli import cli
from liblinux.observing import Recording, write_report

if TYPE_CHECKING:
    from pathlib import Path

_FIGURE = re.compile(r'<script type="application/json" id="(figure-\d+)">(.*?)</script>', re.DOTALL)


def figures(path: Path) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in _FIGURE.findall(path.read_text())}


@pytest.fixture
def run() -> tuple[Recording, Path]:
    return observed_run()


@pytest.fixture
def report(run: tuple[Recording, Path], tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(path, run[0], title="a <run>")
    return path


def test_a_full_disk_keeps_what_was_there(run: tuple[Recording, Path], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(OSError, match="too large"), full_disk(100):
        write_report(path, run[0])
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def test_parts(report: Path, run: tuple[Recording, Path]) -> None:
    text = report.read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles[:9] == [
        "Topology",
        "TCP connections",
        "Events and logs",
        "Throughput of links",
        "Packets",
        "Congestion window",
        "Round-trip time",
        "Queues",
        "Drops and retransmissions",
    ]
    # By names of hosts, though the capture knows addresses alone.
    assert re.match(r"Sequence numbers, a:\d+ -&gt; b:", titles[9]) and titles[-1] == "Log"
    assert "In flight, and the receiver&#x27;s window" in titles
    assert "<h1>a &lt;run&gt;</h1>" in text
    drawn = figures(report)
    assert len(drawn) == text.count('class="plot"') == len(titles) - 2
    # Nothing of it is fetched, and all diagrams have one axis of time.
    assert not re.findall(r'(?:src|href)="(?!data:)', text.split("<script>")[0])
    ranges = {tuple(figure["layout"]["xaxis"]["range"]) for name, figure in drawn.items() if name != "figure-0"}
    assert len(ranges) == 1
    assert run[0].duration == pytest.approx(max(ranges)[1], rel=0.02)


def test_what_is_drawn_is_what_was_recorded(report: Path, run: tuple[Recording, Path]) -> None:
    np = pytest.importorskip("numpy")
    base64 = pytest.importorskip("base64")
    (queue,) = (
        trace
        for figure in figures(report).values()
        for trace in figure["data"]
        if figure["layout"]["yaxis"].get("title", {}).get("text") == "packets" and trace["name"] == "r -> b"
    )
    drawn = np.frombuffer(base64.b64decode(queue["y"]["bdata"]), queue["y"]["dtype"])
    assert drawn.tolist() == list(run[0]["queue", "r -> b"].values)


def test_logs_cannot_do_anything(report: Path) -> None:
    """What programs say is text, in the table and in the figures."""
    text = report.read_text()
    assert "info: service: a line with &lt;/script&gt;&lt;b&gt;markup&lt;/b&gt; &amp; more" in text
    assert "a line with </script>" not in text and "<b>markup" not in text
    assert any("<b>markup" in json.dumps(figure) for figure in figures(report).values())


@pytest.mark.parametrize(("width", "scheme"), [(1280, 1), (500, 0)])
def test_in_a_browser(report: Path, tmp_path: Path, width: int, scheme: int) -> None:
    """Chromium draws all of it, in the light and in the dark, wide and narrow, without a word of complaint."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing; python3 dev/prepare.py --test-programs"
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", "--disable-dev-shm-usage", f"--window-size={width},1200",
        f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=4000", "--dump-dom", report.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # That this machine has no graphics processor is no complaint about the page.
    assert [line for line in console if "WebGL" not in line] == []
    page = done.stdout
    assert f'data-drawn="{len(figures(report))}"' in page
    # Curves, their names, and marks of events are there.
    assert page.count('class="main-svg"') >= 2 * len(figures(report))
    assert "lost on the line" in page and 'class="shapelayer"' in page


def test_of_a_capture(run: tuple[Recording, Path], tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["report", str(run[1]), "-o", str(output), "--title", "mine"])
    assert (done.exit_code, done.output) == (0, f"{output}\n")
    titles = re.findall(r"<h2>(.*?)</h2>", output.read_text())
    assert titles[:4] == ["TCP connections", "Throughput", "Packets", "Time until acknowledged"]
    assert any(title.startswith("Sequence numbers, fd00:") or "10.0." in title for title in titles)


def test_command_names_the_page_itself(run: tuple[Recording, Path], tmp_path: Path) -> None:
    capture = tmp_path / "x.pcapng"
    shutil.copy(run[1], capture)
    assert CliRunner().invoke(cli, ["report", str(capture)]).output == f"{tmp_path / 'x.html'}\n"
    refused = CliRunner().invoke(cli, ["report", str(capture), "-o", str(capture)])
    assert refused.exit_code == 2 and "written over the capture" in refused.output
    assert capture.stat().st_size == run[1].stat().st_size


def test_command_on_what_is_no_capture(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("nothing of the kind, and long enough for a header")
    for path, why in ((bad, "no capture"), (tmp_path / "nowhere", "No such file")):
        done = CliRunner().invoke(cli, ["report", str(path)])
        assert done.exit_code == 1 and why in done.output


def test_of_a_network_without_anything(tmp_path: Path) -> None:
    with Network(clock="virtual", seed=1) as net:
        net.host("lonely")
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            net.report(tmp_path / "x.html")
        with net.record():
            net.kernel.syscall("getpid")
        net.report(tmp_path / "x.html")
    assert re.findall(r"<h2>(.*?)</h2>", (tmp_path / "x.html").read_text()) == ["Topology"]
    with pytest.raises(ValueError, match="give one of them"):
        write_report(tmp_path / "x.html")


def test_without_the_libraries(run: tuple[Recording, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r"pip install 'liblinux\[plots\]'"):
        write_report(tmp_path / "x.html", run[0])
    assert not (tmp_path / "x.html").exists()


def test_levels_are_put_back() -> None:
    before = logging.root.level, list(logging.root.handlers)
    with Network(clock="virtual", seed=1) as net:
        net.host("a")
        with net.record(log_level=logging.DEBUG):
            pass
    assert (logging.root.level, logging.root.handlers) == before
