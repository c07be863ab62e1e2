"""Fuzzing without end, guided by coverage: needs atheris (`pip install -e .[fuzz]`).

    .venv/bin/python fuzz/guided.py builder -runs=100000
    .venv/bin/python fuzz/guided.py calls -max_total_time=600
    .venv/bin/python fuzz/guided.py calls crash-<hash>         once more what was found

The first argument names the target (see fuzz/fuzzing.py), the others are
libFuzzer's. A corpus directory that is named is read and grows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["liblinux"]):
    import fuzzing


class AtherisChoices:
    """Choices out of the bytes that libFuzzer has thought of."""

    def __init__(self, data: bytes) -> None:
        self._provider = atheris.FuzzedDataProvider(data)

    def integer(self, low: int, high: int) -> int:
        """See :class:`choices.Choices`."""
        number: int = self._provider.ConsumeIntInRange(low, high)
        return number

    def data(self, length: int) -> bytes:
        """See :class:`choices.Choices`."""
        taken: bytes = self._provider.ConsumeBytes(self.integer(0, length))
        return taken


def main() -> None:
    """Run the target that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in fuzzing.TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(fuzzing.TARGETS)} [options of libFuzzer]")
    target = fuzzing.TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: target(AtherisChoices(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
