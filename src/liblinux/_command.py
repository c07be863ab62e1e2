"""The entry point of the installed command: starts quickly, then `liblinux.cli`.

Python looks for garbage after every 700 new objects. While click and the modules of a
command are imported there is none to find; the 25 times that it looked took 9 to 13
milliseconds of a short command on a busy machine. So it is done seldom, which has to be
said before anything is imported.
"""

from __future__ import annotations

import gc

__all__ = ["main"]

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Run the command line of this process."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from liblinux import cli  # noqa: PLC0415 - the point of this module

    cli.main()


if __name__ == "__main__":
    main()
