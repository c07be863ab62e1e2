"""What importing the package brings in, and the values that are no dataclasses because of it."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import liblinux

# Each of them takes longer to import than the kernel takes for most things.
SLOW = {
    "typing",
    "dataclasses",
    "inspect",
    "logging",
    "re",
    "pathlib",
    "hashlib",
    "difflib",
    "contextlib",
    "rich",
    "fsspec",
}


def test_slow_modules_are_not_imported() -> None:
    # -S: what the site module brings in is not ours.
    program = f"import sys; sys.path = {sys.path!r}; import liblinux; liblinux.Kernel; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert SLOW & set(done.stdout.split()) == set()


def partition(**changes: object) -> liblinux.Partition:
    values = {"number": 1, "type": "ext4", "label": "", "start": 0, "size": 512, "path": "/dev/lda1", **changes}
    return liblinux.Partition(**values)  # type: ignore[arg-type]  # built of pieces


def test_a_value_has_fields_and_defaults() -> None:
    assert partition().mountable is True
    assert partition(mountable=False).mountable is False
    assert "number=1, type='ext4'" in repr(partition())


def test_values_are_compared_and_hashed_by_their_fields() -> None:
    assert partition() == partition()
    assert partition() != partition(number=2)
    assert len({partition(), partition(), partition(number=2)}) == 2
    assert pickle.loads(pickle.dumps(partition())) == partition()  # noqa: S301 - our own


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="number"):
        partition().number = 2  # type: ignore[misc]  # that is the point
    with pytest.raises(AttributeError, match="number"):
        del partition().number


@pytest.mark.parametrize("changes", [{"number_": 1}, {"nothing": None}])
def test_an_unknown_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="unexpected"):
        partition(**changes)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(TypeError, match="needs the argument 'type'"):
        liblinux.Partition(1)  # type: ignore[call-arg]  # that is the point
