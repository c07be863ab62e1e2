"""Completion, in real shells at a real terminal: which arguments a line has after a tab."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import pytest

from conftest import ENVIRONMENT, Images
from liblinux._image_root import ImageRoot
from looking import write
from until import LONG_SECONDS

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(liblinux completion bash)"'),
    "zsh": (["-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(liblinux completion zsh)"'),
    "fish": (["--no-config", "-i"], "liblinux completion fish | source"),
}
# What is typed, in a directory with disk.img in it; and the arguments after a tab and an X: a word of its own where
# the tab has put a blank.
LINES = {
    "hexd": ["hexdump", "X"],
    "ls --rec": ["ls", "--recursive", "X"],
    "stat dis": ["stat", "disk.img", "X"],
    "cat disk.img:/hel": ["cat", "disk.img:/hello.txt", "X"],
    "ls -l disk.img:/su": ["ls", "-l", "disk.img:/sub/X"],
    "rm disk.img:/hello.txt disk.img:/sub/da": ["rm", "disk.img:/hello.txt", "disk.img:/sub/data.bin", "X"],
    "ln disk.img:/hel": ["ln", "disk.img:/hello.txt", "X"],
    "chmod 644 disk.img:/with,c": ["chmod", "644", "disk.img:/with,comma", "X"],
    "cat disk.img:/co:l": ["cat", "disk.img:/co:lon", "X"],
    "cat disk.img:/with\\ b": ["cat", "disk.img:/with blank", "X"],
    "cat disk.img:/nothing": ["cat", "disk.img:/nothingX"],
}
# Called for a completion it is liblinux, else it writes down what it was called with.
PROGRAM = """#!/bin/sh
if [ -n "$_LIBLINUX_COMPLETE" ] || [ "$1" = completion ]; then
    exec '{python}' -c 'from liblinux.cli import main; main()' "$@"
fi
printf '%s\\n' "$@" > {log}
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(shell: str, images: Images) -> None:
    directory = images.directory
    with ImageRoot(images.ext4("disk.img"), writable=True) as image:
        for name in ("/with,comma", "/co:lon", "/with blank", "/line\nfeed"):
            write(image, name)
    log = directory / "log"
    program = directory / "bin" / "liblinux"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, log=log))
    program.chmod(0o755)
    arguments, setup = SHELLS[shell]
    home = {"PATH": f"{program.parent}:{ENVIRONMENT['PATH']}", "TERM": "dumb", "HOME": str(directory)}
    terminal = pexpect.spawn(
        shell,
        arguments,
        cwd=str(directory),
        env={**ENVIRONMENT, **home},
        timeout=3 * LONG_SECONDS,
        dimensions=(24, 300),
    )
    try:
        terminal.sendline(f"{setup}; echo rea''dy")
        terminal.expect("ready\r\n")
        found = {}
        for line in LINES:
            # The shell takes what is typed in turn, so nothing has to be waited for.
            terminal.send(f"liblinux {line}\tX; echo do''ne\r")
            terminal.expect("done\r\n")
            found[line] = log.read_text().splitlines()
        assert found == LINES
    finally:
        terminal.close(force=True)


def test_nothing_is_asked_while_one_types(tmp_path: Path) -> None:
    """No image there: no item, no message, no failure that a shell would show."""
    done = pexpect.run(
        f"{sys.executable} -c 'from liblinux.cli import main; main()'",
        env={**ENVIRONMENT, "_LIBLINUX_COMPLETE": "zsh_complete", "COMP_LINE": f"liblinux cat {tmp_path}/none.img:/e"},
        timeout=LONG_SECONDS,
    )
    assert done.strip() == b""
