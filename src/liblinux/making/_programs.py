"""Running mkfs and its like: found where Debian keeps them, and the same bytes each time when it is asked for.

Programs that take their times and identifiers from the system are run under
libfaketime (GPL-2, Debian's package faketime), which gives them a fixed clock, fixed
random numbers and a fixed process number.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Any, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

__all__ = ["Fixed", "find_program", "run_program"]

_SEARCH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_LIBFAKETIME = ("/usr/lib/{}/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")
# libuuid mixes the number of the parent process into its random numbers, which libfaketime does not
# give; as the first process of a namespace a program has the parent 0.
_MIXES_PARENT_IN = ("btrfs-progs", "jfsutils", "nilfs-tools")
_ALONE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
_MACHINES = ("x86_64-linux-gnu", "")


class Fixed(Value):
    """What programs are given in place of the time and of random numbers; `epoch` in seconds."""

    epoch: int
    seed: int

    def environment(self, program: str) -> dict[str, str]:
        """The variables for it. LiblinuxError when libfaketime is not there."""
        paths = [pattern.format(machine).replace("//", "/") for pattern in _LIBFAKETIME for machine in _MACHINES]
        library = next((path for path in paths if os.path.exists(path)), None)
        if library is None:
            raise LiblinuxError(
                f"SOURCE_DATE_EPOCH is set, and {program} takes times and identifiers from the system; "
                "libfaketime gives it fixed ones and is not installed (on Debian: apt install faketime). "
                "Install it, or unset SOURCE_DATE_EPOCH"
            )
        return {
            "LD_PRELOAD": library,
            "FAKETIME": _when(self.epoch),
            "FAKETIME_DONT_RESET": "1",
            "FAKETIME_FAKEPID": "4711",
            "FAKERANDOM_SEED": f"0x{self.seed:016X}",
            "NO_FAKE_STAT": "1",
            # What programs allocate and do not fill is always the same.
            "MALLOC_PERTURB_": "255",
        }


def _can_be_alone() -> bool:
    """Whether this host lets its users have a namespace of processes. (Some containers do not.)"""
    if shutil.which(_ALONE[0], path=_SEARCH) is None:
        return False
    done = subprocess.run([*_ALONE, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def _when(epoch: int) -> str:
    import time  # noqa: PLC0415 - only here

    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(epoch))


def find_program(name: str, package: str) -> str:
    """The path of a program. LiblinuxError with what to install when there is none."""
    found = shutil.which(name, path=_SEARCH)
    if found is None:
        raise LiblinuxError(f"{name} is not installed (on Debian: apt install {package})")
    return found


def run_program(
    command: Sequence[str],
    package: str,
    *,
    fixed: Fixed | None = None,
    epoch: int | None = None,
    input: str | IO[bytes] | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end; what it printed. It is given time and random numbers of `fixed`.

    `epoch` is told to those that understand SOURCE_DATE_EPOCH. Raises LiblinuxError
    with what it said when it is missing or fails.
    """
    program = find_program(command[0], package)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": _SEARCH, **(extra or {})}
    if epoch is not None:
        # e2fsprogs before 1.47.1 has a name of its own for it.
        environment |= {"SOURCE_DATE_EPOCH": str(epoch), "E2FSPROGS_FAKE_TIME": str(epoch)}
    if fixed is not None:
        environment |= fixed.environment(command[0])
    alone = _ALONE if fixed is not None and package in _MIXES_PARENT_IN and _can_be_alone() else []
    given: dict[str, Any] = {"stdin": input or subprocess.DEVNULL}
    if isinstance(input, str):
        given = {"input": input.encode()}
    done = subprocess.run(
        [*alone, program, *command[1:]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **given,
    )
    said: str = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        raise LiblinuxError(f"{command[0]} failed ({done.returncode}): {said or 'it said nothing'}")
    return said
