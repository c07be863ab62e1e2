"""The command, its exit status and its output; and the scripts as tests of pytest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from full_disk import full_disk
from liblinux.cli import cli
from liblinux.packetdrill._table import write_table

HERE = Path(__file__).parent
GOOD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 %{ print('fd', 3) }%\n"
BAD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = -1 EPERM (x)\n"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "good.pkt").write_text(GOOD)
    (tmp_path / "bad.pkt").write_text(BAD)
    (tmp_path / "broken.pkt").write_text("0 socket(\n")
    (tmp_path / "only.pkt").write_text("--ip_version=ipv6\n" + GOOD)
    return tmp_path


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["packetdrill", *map(str, arguments)])


def test_exit_status(scripts: Path) -> None:
    assert command(scripts / "good.pkt").exit_code == 0
    assert command(scripts / "good.pkt", scripts / "bad.pkt").exit_code == 1
    assert command(scripts / "bad.pkt", scripts / "broken.pkt").exit_code == 2
    assert command(scripts / "none.pkt").exit_code == 2
    assert command("-o", "nonsense=1", scripts / "good.pkt").exit_code == 2
    assert command().exit_code == 2
    assert command("--kernel", "5.99", scripts / "good.pkt").exit_code == 2


def test_what_is_said(scripts: Path) -> None:
    result = command(scripts)
    assert "4 passed, 3 failed, 1 not run on Linux" in result.output
    assert result.output.count("fd 3") == 4
    assert "bad.pkt:1:1: ipv6: failed" in result.output
    assert "expected -1 EPERM (Operation not permitted)" in result.output
    assert "broken.pkt:1:10: all modes: error" in result.output
    assert "unexpected the end of the script" in result.output
    missing = command(scripts / "none.pkt")
    assert "cannot be read: No such file or directory" in missing.output
    assert "no kernel image of version 5.99" in command("--kernel", "5.99", scripts / "good.pkt").output


def test_json(scripts: Path) -> None:
    result = command("--json", "--ip-version", "ipv4", scripts / "good.pkt", scripts / "bad.pkt")
    good, bad = [json.loads(line) for line in result.stdout.splitlines()]
    assert (good["status"], good["mode"], good["output"]) == ("passed", "ipv4", "fd 3\n")
    assert (bad["status"], bad["failure"]["line"], bad["failure"]["text"]) == ("failed", 1, BAD.strip())
    assert good["release"]
    assert any("socket(" in line for line in good["exchange"])


def test_several_processes_find_the_same(scripts: Path) -> None:
    alone, together = (command("-j", jobs, "--json", HERE / "blocking.pkt", HERE / "udp.pkt") for jobs in (1, 2))
    assert alone.exit_code == together.exit_code == 0
    assert alone.stdout == together.stdout


def test_a_script_says_which_mode_it_is_for(scripts: Path) -> None:
    assert "1 passed" in command(scripts / "only.pkt").output
    assert "no scripts found" in command("--ip-version", "ipv4", scripts / "only.pkt").output


def test_verbose_shows_what_happened() -> None:
    output = command("-v", "--ip-version", "ipv4", HERE / "udp.pkt").output
    assert "> udp (100)" in output
    assert "0.0100002 < udp (50)" in output


def test_a_full_disk_keeps_the_table(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    before = "before\n<!-- begin table -->\nold\n<!-- end table -->\nafter\n"
    table.write_text(before)
    with pytest.raises(OSError, match="too large"), full_disk(10):
        write_table(table, [])
    assert table.read_text() == before and [*tmp_path.iterdir()] == [table]


def test_table(scripts: Path) -> None:
    table = scripts / "table.md"
    table.write_text("before\n<!-- begin table -->\nold\n<!-- end table -->\nafter\n")
    command("--table", table, "--ip-version", "ipv4", scripts / "good.pkt", scripts / "bad.pkt")
    text = table.read_text()
    assert text.startswith("before\n<!-- begin table -->\n| script |")
    assert "old" not in text
    assert "| `good.pkt` | passed |" in text
    assert "| `bad.pkt` | **failed**, line 1 |" in text
    assert text.endswith("<!-- end table -->\nafter\n")


def test_pytest_collects_scripts(scripts: Path, pytester: pytest.Pytester) -> None:
    for name in ("good", "bad", "only"):
        pytester.path.joinpath(f"{name}.pkt").write_text((scripts / f"{name}.pkt").read_text())
    result = pytester.runpytest_inprocess("-p", "liblinux.packetdrill.pytest_plugin", "-p", "no:cacheprovider", "-v")
    result.assert_outcomes(passed=4, failed=3)
    result.stdout.fnmatch_lines(["*bad.pkt::ipv6 FAILED*", "*only.pkt::ipv6 PASSED*", "*bad.pkt:1:1: ipv4: failed*"])


def test_pytest_says_what_is_no_script(scripts: Path, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("broken.pkt").write_text("0 socket(\n")
    result = pytester.runpytest_inprocess("-p", "liblinux.packetdrill.pytest_plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*broken.pkt:1:10: unexpected the end of the script*"])
