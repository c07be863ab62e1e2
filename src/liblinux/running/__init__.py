"""A network that runs: whose turn it is, what time it is, and what chance says.

    programs of asyncio, trio, or with threads, unchanged
    ──────────────────────────────────────────────────────────────────────
    Run           _run.py      what one network gives to all that runs on it
      Turns       _turns.py    one thread at a time, in an order of the seed
      locks       _locks.py    those of `threading`, which take part in it
      threads     _threads.py  started, joined and ended
      clocks      _clocks.py   `time`; programs that wait for it and do nothing else
      chance      _chance.py   `random`, os.urandom(), from the seed
      patches     _patches.py  where the standard library leads meanwhile
      strict      _strict.py   what is of the machine itself is an error

Everything looks first at which thread it is called in: for those that take part
in a run it is the network's, for all others what it always was.
"""

from __future__ import annotations

from liblinux.running._run import Run
from liblinux.running._turns import Strand, Turns, strand_here

__all__ = ["Run", "Strand", "Turns", "strand_here"]
