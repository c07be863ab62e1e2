"""What is a script, and what is said of one that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liblinux.packetdrill import ScriptSyntaxError, parse
from liblinux.packetdrill._script import Code, Command, Icmp, Quoted, SystemCall, Tcp, TcpOption, Time, Udp

WRONG = [
    ("0 > . 1:1(0) akc 1", 1, 14, "unexpected 'akc'; expected"),
    ("0 > . 1:1(0) ack 1\n+0 foo(3", 2, 9, "the end of the script"),
    ("", 1, 1, "the end of the script"),
    ("0 > S 0:0(0)\n  +0 < S 0:0(0) <mss 1000>", 2, 8, "an inbound TCP packet needs a window"),
    ("* < . 1:1(0) ack 1 win 3", 1, 1, "* is for outbound packets only"),
    ("+0~+1 read(3, ..., 1) = 1", 1, 1, "a range of times is for outbound packets only"),
    ("0 > S 1:3(4)", 1, 7, "1:3 is not a packet of 4 bytes"),
    ("0 > Q 1:1(0)", 1, 5, "unknown TCP flags Q"),
    ("+0 read(3, ..., 1) =", 1, 21, "expected '...', a hexadecimal number (0x...), a name or a number"),
    ("2~1 > S 0:0(0)", 1, 1, "the range of times is backwards"),
    ("-1 > S 0:0(0)", 1, 1, "negative time -1"),
    ("0 > S 0:0(0) <mss 70000>", 1, 19, "mss 70000 is out of range, 0 to 65535"),
    ("0 > S 0:0(0) <FO abc>", 1, 18, "FO has an odd number of hexadecimal digits"),
    ("0 < . 1:1(0) ack 1 win 1 <...>", 1, 5, "<...> for TCP options is for outbound packets only"),
    ("0 < [ect01] . 1:1(0) ack 1 win 1", 1, 3, "[ect01] is for outbound packets only"),
    ("0 socket(..., {a=, 1) = 3", 1, 18, "unexpected ','"),
    ("0 > S 0:0(0) win 99999", 1, 18, "window 99999 is out of range"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ScriptSyntaxError) as caught:
        parse(text, "wrong.pkt")
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"wrong.pkt:{line}:{column}: ")


@given(st.text(alphabet='01+*~<>.:()[]{}|=,"`% \nSackwinmsTSvalecrudpicmp/-', max_size=60))
def test_garbage_is_an_error_and_nothing_else(text: str) -> None:
    try:
        parse(text)
    except ScriptSyntaxError as error:
        assert error.line >= 1


def test_everything_is_read() -> None:
    script = parse(
        """// comment
--ip_version=ipv4
--define=CC="reno"
/* another
   one */
`set up`
0.5 socket(..., SOCK_STREAM|SOCK_CLOEXEC, 0x6) = 3
+.01...0.2 read(3, "abc"..., 10) = -1 EAGAIN (Resource temporarily unavailable)
+0~+.5 > [ect0,flowlabel 0x1f] SEW. 1:11(10) ack 5 win 6 urg 7 <mss 1460,nop,sack 1:2 3:4,TS val 1 ecr 2,FO ab12>
* > - 0:0(0) <...>
1~2 > udp 53 > 1024 (100)
+0 < icmp unreachable frag_needed mtu 1200 [1:11(10)]
+0 %{ assert True }%
+0 `middle`
+0 poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 0) = 1 (note)
`clean up`
""",
        "all.pkt",
    )
    assert [(option.name, option.value) for option in script.options] == [
        ("ip_version", "ipv4"),
        ("define", 'CC="reno"'),
    ]
    assert script.setup == Command("set up", 6)
    assert script.cleanup == Command("clean up", 16)
    times = [event.time for event in script.events]
    assert times[:5] == [
        Time("absolute", 500_000),
        Time("relative", 10_000),
        Time("relative", 0, 500_000),
        Time("any"),
        Time("absolute", 1_000_000, 2_000_000),
    ]
    call, blocking, tcp, bare, udp, icmp, code, middle, poll = [event.action for event in script.events]
    assert isinstance(call, SystemCall)
    assert isinstance(blocking, SystemCall)
    assert (blocking.duration, blocking.error) == (200_000, "EAGAIN")
    assert isinstance(tcp, Tcp)
    assert (tcp.flags, tcp.sequence, tcp.length, tcp.ack, tcp.window, tcp.urgent) == ("SEW.", 1, 10, 5, 6, 7)
    assert (tcp.ip.ecn, tcp.ip.flow_label) == ("ect0", 31)
    assert tcp.options == (
        TcpOption("mss", (1460,)),
        TcpOption("nop"),
        TcpOption("sack", (1, 2, 3, 4)),
        TcpOption("TS", (1, 2)),
        TcpOption("FO", data=b"\xab\x12"),
    )
    assert isinstance(bare, Tcp)
    assert (bare.flags, bare.options) == ("", None)
    assert udp == Udp(inbound=False, length=100, ports=(53, 1024))
    assert icmp == Icmp(True, "unreachable", "frag_needed", 1200, None, Quoted("tcp", 1, 10))
    assert code == Code(" assert True ")
    assert middle == Command("middle", 14)
    assert isinstance(poll, SystemCall)
    assert script.events[2].line == 9
