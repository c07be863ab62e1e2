"""What the images hold, or are given."""

from __future__ import annotations

DATA = bytes(range(256)) * 256
LATIN = "caf\udce9"  # b"caf\xe9"
