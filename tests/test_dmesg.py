"""The kernel's log: parsed, and in Python's logging."""

from __future__ import annotations

import logging
from typing import Literal

import pytest

import liblinux
from liblinux._dmesg import parse

RECORDED = (
    b"5,0,0,-;Linux version 6.12.117\n"
    b"6,339,5140900,-;NET: Registered protocol family 10\n"
    b" SUBSYSTEM=net\n"
    b" DEVICE=+net:lo\n"
    b"30,340,5690716,-;udevd[80]: starting version 181\n"
    b"3,341,6000000,c;two\\x0alines \\xc3\\xbc\n"
)


def test_parse() -> None:
    records = parse(RECORDED)
    assert [record.text for record in records] == [
        "Linux version 6.12.117",
        "NET: Registered protocol family 10",
        "udevd[80]: starting version 181",
        "two\nlines ü",
    ]
    assert [record.level for record in records] == [5, 6, 6, 3]
    assert [record.facility for record in records] == [0, 0, 3, 0]
    assert [record.sequence for record in records] == [0, 339, 340, 341]
    assert records[1].timestamp == pytest.approx(5.1409)
    assert records[1].fields == {"SUBSYSTEM": "net", "DEVICE": "+net:lo"}
    assert records[3].logging_level == logging.ERROR
    assert str(records[1]) == "[    5.140900] NET: Registered protocol family 10"


def test_parse_what_is_no_record() -> None:
    assert parse(b"") == []
    assert parse(b" KEY=without a record\n") == []
    assert [record.text for record in parse(b"plain text\n6,1;short\n")] == ["plain text", "6,1;short"]


def test_boot_messages(kernel: liblinux.Kernel) -> None:
    records = kernel.dmesg()
    assert any(record.text.startswith("Linux version " + kernel.release) for record in records)
    numbers = [record.sequence for record in records]
    assert numbers == sorted(set(numbers))


def test_a_message_of_ours(kernel: liblinux.Kernel, caplog: pytest.LogCaptureFixture) -> None:
    """/dev/kmsg: what is written there is a record with level and facility, and reaches logging."""
    with caplog.at_level(logging.DEBUG, "liblinux.kernel"):
        with kernel.open("/dev/kmsg", "wb", buffering=0) as kmsg:
            kmsg.write(b"<12>from the test\n")
        record = kernel.dmesg()[-1]
    assert (record.text, record.level, record.facility) == ("from the test", 4, 1)
    assert ("liblinux.kernel", logging.WARNING, "from the test") in caplog.record_tuples
    assert kernel.dmesg()[-1] == record
    assert sum(line[2] == "from the test" for line in caplog.record_tuples) == 1


def test_boot_messages_reach_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "liblinux.kernel"), liblinux.Kernel() as kernel:
        release = kernel.release
    assert any(release in record.getMessage() for record in caplog.records)


def test_the_log_outlives_the_kernel() -> None:
    with liblinux.Kernel() as kernel:
        pass
    assert kernel.dmesg()


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_boot_has_nothing_to_complain_about(clock: Literal["real", "virtual"]) -> None:
    with liblinux.Kernel(clock=clock) as kernel:
        assert [record.text for record in kernel.dmesg() if "WARNING" in record.text or "cut here" in record.text] == []
