"""libguestfs, where it is installed and its appliance starts: a virtual machine with a kernel of the host's.

    python3 dev/prepare.py --bench-guestfs      installs it, and a kernel for it (root; 300 MB)

Where the processor's virtualisation cannot be used it is emulated, as libguestfs does it by itself where
there is none: its figures are then those of emulation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from measure import Skipped
from programs import program, timed

__all__ = ["guestfish", "guestfs"]

# It takes some ten seconds to start, emulated a minute: not in every round.
_ROUNDS = 2
_SETTINGS = "LIBGUESTFS_BACKEND_SETTINGS"


Command = Sequence[str | Path]


def guestfish(image: Path, *command: str | Path, through: Callable[[Command], Command] = list) -> Callable[[], float]:
    """A player: seconds of one command of guestfish, the whole process; `through` may put a pipe behind it."""
    return guestfs(["guestfish", "--ro", "-a", image, "-m", "/dev/sda", *command], through)


def guestfs(command: Command, through: Callable[[Command], Command] = list) -> Callable[[], float]:
    """The same of any program of libguestfs; Skipped when it does not start."""
    done: list[float] = []

    def play() -> float:
        if len(done) <= _ROUNDS:
            done.append(_once(command, through))
        return done[-1]

    return play


def _once(command: Command, through: Callable[[Command], Command]) -> float:
    try:
        name = program(str(command[0]))
    except Skipped:
        raise Skipped(f"{command[0]} is not installed (python3 dev/prepare.py --bench-guestfs)") from None
    try:
        return timed(through([name, *command[1:]]))
    except RuntimeError as error:
        if _SETTINGS in os.environ:
            raise Skipped(f"it did not start here: {error}") from None
    # Some hosts have a /dev/kvm that does not work.
    os.environ[_SETTINGS] = "force_tcg"
    return _once(command, through)
