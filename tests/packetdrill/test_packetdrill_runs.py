"""Runs that end badly say how; runs are exact, and the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from liblinux.packetdrill import MODES, Mode, Outcome, parse, run

HERE = Path(__file__).parent
LISTEN = """`sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_rmem="4096 540000 15728640"`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
"""
SYN_ACK = "+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
CONNECTED = LISTEN + SYN_ACK + "+.01 < . 1:1(0) ack 1 win 257\n+0 accept(3, ..., ...) = 4\n"


def outcome_of(text: str, mode: Mode = "ipv4", **options: str) -> Outcome:
    return run(parse(text, "script.pkt"), mode, options=list(options.items()))


# ---- what is said of failures ------------------------------------------------

FAILURES = [
    # the script, its line, and what the report must say
    (
        LISTEN + "+0 > S. 0:0(0) ack 2 <mss 1460,nop,nop,sackOK,nop,wscale 7>",
        6,
        [
            "expected S. 0:0(0) ack 2 <mss 1460,",
            "was sent S. 0:0(0) ack 1 win 65535 <mss",
            "differs: ack 1, not 2; options",
        ],
    ),
    (LISTEN + "+.2 > S. 0:0(0) ack 1 <...>", 6, ["expected the packet at 0.2", "us too early"]),
    (
        LISTEN + SYN_ACK + "+.1 > . 1:1(0) ack 1",
        7,
        ["nothing was sent until 0.10", "the next packet came at 1.", "S. 0:0(0)"],
    ),
    (LISTEN + "+0 > udp (5)", 6, ["expected udp (5)", "was sent S. 0:0(0)"]),
    (LISTEN + "+0 > [ce] S. 0:0(0) ack 1 <...>", 6, ["ECN noecn, not ce"]),
    (CONNECTED + "+0 write(4, ..., 10) = 11", 9, ["write() returned 10, expected 11"]),
    (CONNECTED + "+0 read(4, ..., 10) = 5", 9, ["waits for ever", "system call read"]),
    (CONNECTED + "+0...0.1 read(4, ..., 10) = 5", 9, ["read() still blocks at 0.11"]),
    (
        CONNECTED + "+0...0.1 read(4, ..., 10) = 5\n+.05 < P. 1:6(5) ack 1 win 257\n+0 > . 1:1(0) ack 6",
        9,
        ["read() returned at 0.060", "expected at 0.110"],
    ),
    (
        CONNECTED
        + "+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, [0, 50000], 16) = 0\n+0 read(4, ..., 10) = -1 EAGAIN (x)",
        10,
        ["read() took"],
    ),
    (
        CONNECTED + "+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EBADF (x)",
        10,
        ["read() returned -1 EAGAIN (Resource temporarily unavailable), expected -1 EBADF"],
    ),
    (
        CONNECTED + '+0 < P. 1:4(3) ack 1 win 257\n+0 read(4, "abc", 10) = 3',
        10,
        ["expected the data b'abc', got b'\\x00"],
    ),
    (CONNECTED + "+0 %{ assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd }%", 9, ["the assertion failed: 10"]),
    (CONNECTED + "+0 %{ no_such_name }%", 9, ["the code raised NameError"]),
    (
        CONNECTED + "+0 `sysctl -q net.ipv4.nothing=1`",
        9,
        ["exited with status 1", "there is no setting net.ipv4.nothing"],
    ),
    (CONNECTED + "+0 `rsync a b`", 9, ["exited with status 127", "there is no such program in the shell of scripts"]),
    (CONNECTED + "+0 poll([{fd=4, events=POLLIN, revents=POLLOUT}], 1, 0) = 0", 9, ["poll(), revents"]),
    (
        CONNECTED + "+0 getsockopt(4, SOL_TCP, TCP_MAXSEG, [7], [4]) = 0",
        9,
        ["getsockopt(): expected 7 (0x7), got 1000"],
    ),
    (CONNECTED + "* > . 1:1(0) ack 7", 9, ["waits for ever"]),
]


@pytest.mark.parametrize(("text", "line", "said"), FAILURES, ids=range(len(FAILURES)))
def test_a_failure_names_line_and_difference(text: str, line: int, said: list[str]) -> None:
    outcome = outcome_of(text)
    assert outcome.status == "failed", outcome.report()
    assert outcome.failure is not None
    assert outcome.failure.line == line
    report = outcome.report()
    for words in said:
        assert words in report
    assert f"script.pkt:{line}:" in report
    assert "what happened before" in report


ERRORS = [
    (CONNECTED + "+0 frobnicate(3) = 0", 9, "unknown system call frobnicate(); there are accept,"),
    (
        CONNECTED + "+0 setsockopt(4, SOL_TCP, TCP_NODELYA, [1], 4) = 0",
        9,
        "unknown constant TCP_NODELYA; did you mean TCP_NODELAY",
    ),
    (CONNECTED + "+0 listen(4) = 0", 9, "listen() takes 2 arguments, not 1"),
    (CONNECTED + "+0 write(4, 5, 5) = 5", 9, "data is ... or a string, not 5"),
    (CONNECTED + "+0 close(4) = -1 ENOSUCH (x)", 9, "unknown error ENOSUCH"),
    (CONNECTED + "+0 < icmp unreachable beyond [1:1(0)]", 9, "'beyond' is no ICMP code"),
    (CONNECTED + "+0 `if true; then echo; fi`", 9, "the shell of scripts has no 'if'"),
    (CONNECTED + "+0 `sleep 1 &`", 9, "the shell of scripts has no '&'"),
    (LISTEN + "+0 < S 0:0(0) win 1 <FO COOKIE>", 6, "COOKIE is not defined; give it with --define=COOKIE="),
    ("--no_such_option=1\n" + LISTEN, 1, "unknown option --no_such_option; there are --bind_port"),
    ("--mtu=many\n" + LISTEN, 1, "--mtu=many"),
    ("--local_ip=fd00::1\n" + LISTEN, 1, "an IPv4 address is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said"), ERRORS, ids=range(len(ERRORS)))
def test_what_cannot_be_run_is_an_error(text: str, line: int, said: str) -> None:
    outcome = outcome_of(text)
    assert outcome.status == "error", outcome.report()
    assert outcome.failure is not None
    assert outcome.failure.line == line
    assert said in outcome.failure.message


def test_a_wait_for_ever_beside_a_call_that_blocks() -> None:
    """Both are named; the thread of the call does not keep anything from ending."""
    text = "0 socket(..., SOCK_DGRAM, 0) = 3\n+0 bind(3, ..., ...) = 0\n+0...5 read(3, ..., 9) = 3\n* > udp (3)"
    outcome = outcome_of(text)
    assert outcome.failure is not None
    assert outcome.failure.line == 4
    assert "waits for ever" in outcome.failure.message
    assert outcome.failure.message.count("waits in the system call") == 2


def test_an_error_beside_a_call_that_blocks() -> None:
    text = "0 socket(..., SOCK_DGRAM, 0) = 3\n+0 bind(3, ..., ...) = 0\n+0...5 read(3, ..., 9) = 3\n+0 nonsense() = 0"
    assert outcome_of(text).status == "error"


def test_packets_that_do_not_matter() -> None:
    """With --non_fatal=packet a wrong packet is a warning."""
    text = LISTEN + "+0 > S. 0:0(0) ack 77 <...>\n+.01 < . 1:1(0) ack 1 win 257\n+0 accept(3, ..., ...) = 4"
    outcome = outcome_of(text, non_fatal="packet")
    assert outcome.passed
    assert [warning.line for warning in outcome.warnings] == [6]


def test_segments_may_be_strict() -> None:
    text = CONNECTED + "+0 write(4, ..., 4000) = 4000\n+0 > P. 1:4001(4000) ack 1\n"
    text = text.replace("+.01 <", "+.1 <")
    assert outcome_of(text).passed
    strict = run(parse("--strict_segments\n" + text, "script.pkt"), "ipv4")
    assert strict.failure is not None
    assert "length 2000, not 4000" in strict.failure.message


# ---- exact, and the same again -----------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_is_the_same_run(mode: Mode) -> None:
    """To the tenth of a microsecond, with threads that block."""
    script = parse((HERE / "blocking.pkt").read_text(), "blocking.pkt")
    first, again = run(script, mode, seed=7), run(script, mode, seed=7)
    assert first.passed, first.report()
    assert first.exchange == again.exchange
    assert first.duration_us == again.duration_us


def test_an_event_is_within_a_microsecond_of_its_time() -> None:
    """Of its own time, plus what the calls of the script itself cost: a tenth of a microsecond each."""
    events = "".join(f"+.{number:06} write(3, ..., 1) = 1\n+0 > udp (1)\n" for number in range(1, 900_000, 50_021))
    text = (
        "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n+0 connect(3, ..., ...) = 0\n" + events
    )
    script = parse("--tolerance_usecs=1\n--tolerance_percent=0\n" + text, "script.pkt")
    outcome = run(script, "ipv4")
    assert outcome.passed, outcome.report()
    at = 0
    for number in range(1, 900_000, 50_021):
        at += number
        (sent,) = [
            line for line in outcome.exchange if "> udp" in line and abs(float(line.split()[0]) * 1e6 - at) < 1000
        ]
        assert 0 <= float(sent.split()[0]) * 1e6 - at < 1


def test_time_is_the_kernels_alone() -> None:
    """An hour of waiting takes no time, and retransmissions happen in it."""
    text = LISTEN + SYN_ACK + "* > S. 0:0(0) <...>\n".replace("0:0(0)", "0:0(0) ack 1") * 5 + "+3600 close(3) = 0\n"
    outcome = outcome_of(text)
    assert outcome.passed, outcome.report()
    assert outcome.duration_us > 3600e6


@pytest.mark.parametrize(
    ("mode", "family", "counter"),
    [("ipv4", 2, "IpInReceives"), ("ipv6", 10, "Ip6InReceives"), ("ipv4-mapped-ipv6", 10, "IpInReceives")],
)
def test_a_mode_is_what_it_says(mode: Mode, family: int, counter: str) -> None:
    """Mapped: the sockets are of IPv6, and what crosses the wire is IPv4."""
    told = LISTEN.replace("+0 bind", f"+0 getsockopt(3, SOL_SOCKET, SO_DOMAIN, [{family}], [4]) = 0\n+0 bind")
    other = {"IpInReceives": "Ip6InReceives", "Ip6InReceives": "IpInReceives"}[counter]
    assert outcome_of(f"{told}+0 `nstat -a -z -s {counter} | grep -q '{counter} *1 '`\n", mode).passed
    assert outcome_of(f"{told}+0 `nstat -a -z -s {other} | grep -q '{other} *0 '`\n", mode).passed
