"""What becomes of a call that has no result here."""

from __future__ import annotations


class Passed(Exception):
    """The call is this machine's."""


class Gone(Exception):
    """The program does not wait for the answer any more."""
