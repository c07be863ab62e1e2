"""The shell of set-up lines: its language, its programs, and that all of it is the library's kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from liblinux.packetdrill import ScriptError
from liblinux.packetdrill.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        yield Shell(kernel, tmp_path, {"name": "value", "two": "a b"}, lambda _: None)


LINES = [
    ("echo $name ${name} '$name' \"$name\" \\$name", "value value $name value $name\n"),
    ('echo $two "$two" | cat', "a b a b\n"),
    ('echo "" a', " a\n"),
    ("echo ${none:-default} ${name:-default}", "default value\n"),
    ("echo $((15*1024*1024)) $((1 << 4 | 3)) $(( (2+3)*-2 ))", "15728640 19 -10\n"),
    ("echo $(echo inner $(echo most))", "inner most\n"),
    ("true && echo yes || echo no", "yes\n"),
    ("false && echo yes || echo no", "no\n"),
    ("! false && echo not", "not\n"),
    ("false; echo $?", "1\n"),
    ("a=1 b=$a; echo $b", "1\n"),
    ("echo one; echo two # three\n# four\necho five", "one\ntwo\nfive\n"),
    ("echo a\\\n b", "a b\n"),
    ("echo x > /tmp/f; echo y >> /tmp/f; cat < /tmp/f", "x\ny\n"),
    ("cat /no/such/file 2>/dev/null || echo missing", "missing\n"),
    ("cat /no/such/file 2>&1 | grep -c 'No such'", "1\n"),
    ("echo 'a.c abc' | grep -F a.c; echo abc | grep -E 'a|x'", "a.c abc\nabc\n"),
    ("echo A | grep -i a; echo q | grep -v q || echo none", "A\nnone\n"),
    ("echo 'x+y' | grep x+y; echo xxy | grep 'x\\+y'", "x+y\nxxy\n"),
    ("export k=v; echo $k; chmod 600 /tmp/f2 2>/dev/null; true", "v\n"),
    ("sh -c 'echo from sh'", "from sh\n"),
]


@pytest.mark.parametrize(("text", "output"), LINES)
def test_language(shell: Shell, text: str, output: str) -> None:
    if "f2" in text:
        shell.run("echo > /tmp/f2")
    done = shell.run(text)
    assert (done.output, done.errors) == (output, "")
    assert done.code == 0


WRONG = ["if true", "(true)", "sleep 1 &", "&& true", "echo 'a", 'echo "a', "echo $(a", "echo ${a", "echo ${a#b}"]


@pytest.mark.parametrize("text", [*WRONG, "echo $((1/0))", "echo $((a b))"])
def test_what_the_shell_does_not_have(shell: Shell, text: str) -> None:
    with pytest.raises(ScriptError):
        shell.run(text)


def test_nothing_is_of_the_host(shell: Shell, tmp_path: Path) -> None:
    """A file of the host is not there, its programs are not run, and a file that is written is not the host's."""
    secret = tmp_path / "secret"
    secret.write_text("of the host\n")
    assert shell.run(f"cat {secret}").code == 1
    assert shell.run("/bin/ls").code == 127
    assert shell.run("touch /tmp/of-a-script").code == 127
    shell.run("echo x > /tmp/of-a-script-of-ours")
    assert not Path("/tmp/of-a-script-of-ours").exists()
    assert shell.run("cat /proc/sys/kernel/osrelease").output.strip() == shell.kernel.release


def test_sysctl(shell: Shell) -> None:
    done = shell.run('sysctl net.ipv4.tcp_rmem="4096 8192 16384" net/ipv4/tcp_sack=0; sysctl -n net.ipv4.tcp_sack')
    assert done.output == "net.ipv4.tcp_rmem = 4096\t8192\t16384\nnet/ipv4/tcp_sack = 0\n0\n"
    assert shell.kernel.sysctl["net.ipv4.tcp_sack"] == "0"
    done = shell.run("sysctl -q net.ipv4.tcp_sack=many")
    assert (done.code, done.errors) == (1, "sysctl: setting net.ipv4.tcp_sack to 'many': Invalid argument\n")
    assert shell.run("sysctl -e -q no.such=1").code == 0
    assert shell.run("sysctl -q no.such=1").code == 1


def test_ip_and_tc(shell: Shell) -> None:
    run = shell.run
    assert (
        run("ip link set lo up && ip addr add 10.1.0.1/24 dev lo && ip -6 addr add fd00::1/64 dev lo nodad").code == 0
    )
    assert "10.1.0.1" in run("cat /proc/net/fib_trie").output
    assert "fd000000000000000000000000000001" in run("cat /proc/net/if_inet6").output
    assert run("ip route add 10.2.0.0/16 dev lo mtu 1400 rto_min 5ms && ip route del 10.2.0.0/16 dev lo").code == 0
    again = run("ip addr add 10.1.0.1/24 dev lo")
    assert (again.code, again.errors) == (2, "ip addr add 10.1.0.1/24 dev lo: File exists\n")
    assert "there is no device 'eth9'" in run("ip link set eth9 up").errors
    assert "not served here" in run("ip netns add x").errors
    assert run("ip tcp_metrics flush all").code == 0
    assert run("tc qdisc add dev lo root fq && tc qdisc replace dev lo root netem delay 1000").code == 0
    assert run("tc qdisc del dev lo root").code == 0
    assert "No such file" in run("tc qdisc add dev lo root nosuchqdisc").errors


def test_iptables_and_conntrack(shell: Shell) -> None:
    run = shell.run
    assert run("iptables -A INPUT -p tcp -m conntrack --ctstate INVALID,NEW -j DROP").code == 0
    assert run("iptables -I INPUT -p tcp --dport 80 --syn -s 10.0.0.0/8 -i lo").code == 0
    assert run("iptables -v -S INPUT").output == (
        "-A INPUT -p tcp --dport 80 --syn -s 10.0.0.0/8 -i lo -c 0 0\n"
        "-A INPUT -p tcp -m conntrack --ctstate INVALID,NEW -c 0 0 -j DROP\n"
    )
    assert run("iptables -S OUTPUT").output == ""
    assert run("ip6tables -S").output == ""
    assert run("iptables -D INPUT -p tcp -m conntrack --ctstate INVALID,NEW -j DROP").code == 0
    assert "chain INPUT has no such rule" in run("iptables -D INPUT -p udp").errors
    assert "unknown state ODD" in run("iptables -A INPUT -m conntrack --ctstate ODD").errors
    assert run("iptables -F && iptables -S").output == ""
    # A packet that is counted, and a connection that is seen.
    run("ip link set lo up; iptables -A OUTPUT -p udp -m conntrack --ctstate NEW")
    shell.kernel.syscall(
        "sendto", shell.kernel.syscall("socket", 2, 2, 0), b"x", 1, 0, bytes.fromhex("02000035 7f000001") + bytes(8), 16
    )
    assert run("iptables -v -S OUTPUT").output == "-A OUTPUT -p udp -m conntrack --ctstate NEW -c 1 29\n"
    listed = run("conntrack -f ipv4 -L -p udp --dport 53").output
    assert "src=127.0.0.1 dst=127.0.0.1" in listed
    assert "dport=53 [UNREPLIED]" in listed


def test_nstat(shell: Shell) -> None:
    shell.run("ip link set lo up; nstat -n")
    shell.kernel.syscall(
        "sendto", shell.kernel.syscall("socket", 2, 2, 0), b"x", 1, 0, bytes.fromhex("02000035 7f000001") + bytes(8), 16
    )
    counted = dict(line.split()[:2] for line in shell.run("nstat").output.splitlines()[1:])
    assert counted["UdpOutDatagrams"] == "1"
    assert "TcpOutSegs" not in counted
    assert "TcpOutSegs" in shell.run("nstat -az Tcp*").output


def test_scripts_are_found_beside_ours(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "set.sh").write_text("#!/bin/bash\nsysctl -q net.ipv4.tcp_sack=0\nhere=yes\n")
    assert shell.run("./set.sh && echo $here").output == "yes\n"
    assert shell.kernel.sysctl["net.ipv4.tcp_sack"] == "0"
    assert "not found" in shell.run("./none.sh").errors
    (tmp_path / "odd.pl").write_text("#!/usr/bin/perl\n")
    with pytest.raises(ScriptError, match="no shell or Python script"):
        shell.run("./odd.pl")


def test_helpers_in_python(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "help.py").write_text(
        "#!/usr/bin/env python3\n"
        "import os, subprocess, sys\n"
        "open('/tmp/written', 'w').write(sys.argv[1])\n"
        "print(subprocess.check_output(['cat', '/tmp/written'], text=True), os.environ['name'])\n"
        "sys.exit(os.system('false') >> 8)\n"
    )
    done = shell.run("./help.py word")
    assert (done.output, done.code) == ("word value\n", 1)
    assert not Path("/tmp/written").exists()
    (tmp_path / "escape.py").write_text("#!/usr/bin/env python3\nimport socket\n")
    with pytest.raises(ScriptError, match="the module socket does not lead to the library's kernel"):
        shell.run("./escape.py")
    (tmp_path / "escape.py").write_text("#!/usr/bin/env python3\nimport os\nos.kill(1, 9)\n")
    with pytest.raises(ScriptError, match=r"wants os\.kill"):
        shell.run("./escape.py")
