"""What is counted in the words of a selftest, on lines as tests of both kernels write them."""

from __future__ import annotations

import net_programs as programs
import pytest

_MARKS = """\
TEST: ping                                                          [ OK ]
TEST: Weighted MP 2:1                                               [FAIL]
"""
_SMALL_MARKS = """\
004 single subflow                       syn[ ok ] - synack[ ok ] - ack[ ok ]
                                         add[ ok ] - echo  [fail] got 0 ADD_ADDR echo[s] expected 1
"""
_LEFT_OUT = """\
TEST: ping                                                          [ OK ]
TEST: NH stats test: ip doesn't support HW stats                    [SKIP]
"""
_BOTH_WAYS = """\
05 all listen sockets                                [ OK ]
06 after MPC handshake                               [ OK ]
07 ....chk last_data_sent                            [SKIP] Feature probably not supported
ok 5 - diag: all listen sockets # time=24ms
ok 6 - diag: after MPC handshake # time=69ms
ok 7 - diag: ....chk last_data_sent # SKIP time=578ms
"""


@pytest.mark.parametrize(
    ("output", "status", "verdict"),
    [
        (_MARKS, 1, "exit 1: 1 passed, 1 failed"),
        (_SMALL_MARKS, 1, "exit 1: 4 passed, 1 failed"),
        (_SMALL_MARKS.replace("fail", " ok "), 0, "pass (5)"),
        (_LEFT_OUT, 0, "pass, 1 left out"),
        (_BOTH_WAYS, 0, "pass (2), 1 left out"),
        (_MARKS, -9, "too slow: 1 passed, 1 failed"),
        ("SKIP: mausezahn not installed\n", 4, "skips itself"),
        ("", 0, "pass"),
    ],
)
def test_checks_are_counted_as_each_test_marks_them(output: str, status: int, verdict: str) -> None:
    assert programs.Outcome("some.sh", status, 1.0, output).verdict == verdict


def test_a_failed_check_is_a_failure_whatever_the_status() -> None:
    """Some tests end with 0 all the same."""
    assert programs.Outcome("some.sh", 0, 1.0, _SMALL_MARKS).verdict == "exit 0: 4 passed, 1 failed"
