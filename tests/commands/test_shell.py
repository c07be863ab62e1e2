"""`liblinux shell`: its language, its own commands, and that the others are those of the command line."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import liblinux
from conftest import Command, Images, e2fsck
from liblinux._image_root import ImageRoot
from liblinux.commands._inside import Inside, LiteralPath
from liblinux.shell._prompt import ShellCompleter
from liblinux.shell._session import Session
from liblinux.shell._words import LineError, parse, split

LIBLINUX = [sys.executable, "-m", "liblinux.cli"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ls -l  /etc", ["ls", "-l", "/etc"]),
        ("echo 'a b' \"c d\" e\\ f", ["echo", "a b", "c d", "e f"]),
        ("""echo "it's" 'say "x"' "a\\"b" 'a\\b'""", ["echo", "it's", 'say "x"', 'a"b', "a\\b"]),
        ("a;b&&c||d|e>f>>g<h", ["a", ";", "b", "&&", "c", "||", "d", "|", "e", ">", "f", ">>", "g", "<", "h"]),
        ("echo '>' '' x# # rest", ["echo", ">", "", "x#"]),
        ("a\\\nb \\\nc", ["ab", "c"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert list(split(text)) == words


def test_what_is_quoted_is_no_pattern_and_no_operator() -> None:
    plain, quoted, escaped = split("a* 'a*' a\\*")
    assert not isinstance(plain, LiteralPath)
    assert isinstance(quoted, LiteralPath)
    assert isinstance(escaped, LiteralPath)
    assert parse("echo '>' x")[0].stages[0].words == ("echo", ">", "x")


@pytest.mark.parametrize("text", ["'open", "a |", "a &&", '"open', "a > ", "| a", "a & b", "; a", "> f", "a > b > c"])
def test_lines_that_are_none(text: str) -> None:
    with pytest.raises(LineError):
        parse(text)


def test_looking(images: Images, command: Command) -> None:
    image = images.ext4()
    before = image.read_bytes()
    result = command("shell", image, "-c", "pwd; cd sub; pwd; ls; ls ..; cat ../hello.txt")
    assert result.exit_code == 0
    assert result.stdout == "/\n/sub\ndata.bin\nhello.txt\nlost+found\nsub\nhello from the image\n"
    assert image.read_bytes() == before


def test_writing(images: Images, command: Command) -> None:
    image = images.ext4()
    script = """
    echo one > file; echo two >> file
    mkdir -p deep/er && cp file deep/er/copy
    mv file moved; ln -s moved link; ln moved hard; chmod 600 moved; chown 5:6 moved
    touch 'a*b' ab; rm 'a*b'
    xattr --set user.note=kept moved; rmdir lost+found; touch gone; rm gone
    """
    result = command("shell", "--rw", "-e", image, "-c", script)
    assert (result.exit_code, result.stderr) == (0, "")
    with liblinux.open_image(image) as inside:
        assert sorted(inside.os.listdir("/")) == ["ab", "deep", "hard", "hello.txt", "link", "moved", "sub"]
        assert inside.cat("/deep/er/copy") == b"one\ntwo\n"
        assert inside.os.readlink("/link") == "moved"
        status = inside.os.stat("/hard")
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777, status.st_nlink) == (5, 6, 0o600, 2)
        assert inside.os.getxattr("/moved", "user.note") == b"kept"
    e2fsck(image)


def test_pipes_and_redirections(images: Images, command: Command) -> None:
    image = images.ext4()
    (images.directory / "input").write_text("3\n1\n2\n")
    script = (
        "cat < host:input | grep -v 2 | tail -n 1; echo a b > host:output; "
        "grep -c hello hello.txt sub/data.bin; head -c 5 hello.txt"
    )
    done = subprocess.run(
        [*LIBLINUX, "shell", image, "-c", script], cwd=images.directory, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\nhello.txt:1\nsub/data.bin:0\nhello".replace("hello.txt:", "/hello.txt:").replace(
        "sub/", "/sub/"
    )
    assert (images.directory / "output").read_text() == "a b\n"


def test_exit_codes(images: Images, command: Command) -> None:
    image = images.ext4()
    assert command("shell", image, "-c", "cat nothing").exit_code == 1
    assert command("shell", image, "-c", "ls --no-such-option").exit_code == 2
    assert command("shell", image, "-c", "echo 'open").exit_code == 2
    assert command("shell", image, "-c", "nonsense").exit_code == 127
    assert command("shell", image, "-c", "cat nothing; pwd").exit_code == 0
    stopped = command("shell", "-e", image, "-c", "cat nothing; pwd")
    assert (stopped.exit_code, stopped.stdout) == (1, "")
    handled = command("shell", "-e", image, "-c", "cat nothing || echo handled; pwd")
    assert (handled.exit_code, handled.stdout) == (0, "handled\n/\n")
    left = command("shell", image, "-c", "exit; echo never")
    assert (left.exit_code, left.stdout) == (0, "")


def test_ctrl_c_ends_a_script(images: Images) -> None:
    command = [*LIBLINUX, "shell", "--rw", str(images.ext4()), "-c", "echo begun; cat > half; echo never"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2)  # until it waits for input
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 130
    e2fsck(images.directory / "ext4.img")


def test_a_script_on_standard_input(images: Images, command: Command) -> None:
    result = command("shell", images.ext4(), input=b"# a comment\ncat hello.txt |\n  grep image &&\n  echo found\n")
    assert (result.exit_code, result.stdout) == (0, "hello from the image\nfound\n")


def test_without_rw_nothing_is_written(images: Images, command: Command) -> None:
    image = images.ext4()
    before = image.read_bytes()
    for line in ("echo x > new", "touch new", "rm hello.txt", "cp hello.txt new", "rmdir lost+found"):
        result = command("shell", image, "-c", line)
        assert result.exit_code == 1
        assert "start it with --rw" in result.stderr, line
    assert image.read_bytes() == before


def test_to_and_from_the_host(images: Images) -> None:
    image = images.ext4()
    (images.directory / "tree" / "below").mkdir(parents=True)
    (images.directory / "tree" / "below" / "file").write_text("of the host")
    script = "put tree; cat tree/below/file > host:seen; mkdir -p x; cp host:tree x; get sub hello.txt; cp sub/* host:."
    subprocess.run([*LIBLINUX, "shell", "--rw", "-e", image, "-c", script], cwd=images.directory, check=True)
    assert (images.directory / "seen").read_text() == "of the host"
    assert (images.directory / "hello.txt").read_text() == "hello from the image\n"
    assert (images.directory / "sub" / "data.bin").read_bytes() == (images.directory / "data.bin").read_bytes()
    with liblinux.open_image(image) as inside:
        assert inside.cat("/x/tree/below/file") == b"of the host"
    e2fsck(image)


def test_the_kernel_inside(images: Images, command: Command) -> None:
    image = images.ext4()
    result = command("shell", image, "-c", "uname; sysctl kernel.ostype; dmesg | grep -q EXT4 && mount; id; df; help")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == ["Linux", "kernel.ostype = Linux"]
    assert " on / type ext4 (ro," in lines[2]
    assert lines[3] == "uid=0(0) gid=0(0)"
    assert lines[5].endswith(" ext4")
    assert {line.split()[0] for line in lines[6:] if line} >= {"ls", "cd", "grep", "edit", "xattr", "exit"}
    assert command("shell", image, "-c", "sysctl no.such.setting").exit_code == 1
    assert "--get NAME" in command("shell", image, "-c", "help xattr").stdout


def test_it_starts_in_a_directory(images: Images, command: Command) -> None:
    assert command("shell", f"{images.ext4()}:/sub", "-c", "ls").stdout == "data.bin\n"
    assert command("shell", f"{images.ext4()}:/nothing", "-c", "ls").exit_code == 1


def test_completion(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    content = images.directory / "content"
    (content / "with space").mkdir(parents=True)
    (content / "with space" / "file").write_text("")
    (content / "hello").mkdir()
    monkeypatch.chdir(images.directory)
    (images.directory / "of-the-host").write_text("")
    image = images.ext4()
    with ImageRoot(image) as root:
        completer = ShellCompleter(Session(Inside(str(image), root)))

        def completed(text: str) -> list[str]:
            found = completer.get_completions(Document(text), CompleteEvent())
            return [text[: len(text) + each.start_position] + each.text for each in found]

        assert completed("hel") == ["help "]
        assert completed("cat hel") == ["cat hello/"]
        assert completed("ls; cat wi") == ["ls; cat 'with space/"]
        assert completed("cat 'with space/f") == ["cat 'with space/file' "]
        assert completed("cat with\\ space/f") == ["cat 'with space/file' "]
        assert completed("put host:of") == ["put host:of-the-host "]
        assert "grep --help " not in completed("grep -")
        assert "grep -v " in completed("grep -")
        assert completed("cat nowhere/x") == []
        assert completed("ls | gr") == ["ls | grep "]


def test_a_terminal(images: Images, tmp_path: Path) -> None:
    """Lines typed, one of them over two, and the history that is left."""
    image = images.ext4()
    control, terminal = pty.openpty()
    state = tmp_path / "state"
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "TERM": "dumb", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [*LIBLINUX, "shell", image], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    shown = _talk(control, [b"cat hello.txt\r", b"echo 'one\r", b"two'\r", b"exit\r"])
    assert process.wait(30) == 0
    os.close(control)
    assert b"hello from the image" in shown
    history = (state / "liblinux" / "shell-history").read_text()
    assert "+cat hello.txt" in history
    assert (state / "liblinux" / "shell-history").stat().st_mode & 0o077 == 0


def _talk(control: int, lines: list[bytes]) -> bytes:
    shown = b""
    for line in lines:
        shown += _until_prompt(control)
        os.write(control, line)
    return shown


def _until_prompt(control: int) -> bytes:
    """What comes until nothing has come for a moment after a prompt."""
    shown = b""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        shown += os.read(control, 4096)
        if b"> " in shown or b"... " in shown:
            return shown
    raise AssertionError(shown)
