"""The shell of set-up lines: a small language and the programs that scripts call.

Nothing here runs on the host. A line is read by `_language.py`, words are
expanded by `_words.py`, and each program is a function that asks the library's
kernel: `sysctl`, `cat`, `grep` (`_programs.py`), `ip`, `tc` (`_routing.py`),
`nstat` (`_counters.py`), `iptables` (`_filter.py`), `conntrack`
(`_conntrack.py`). Helpers written in Python run with modules that lead to the
library's kernel (`_helper.py`).
"""

from __future__ import annotations

from liblinux.packetdrill.shell._shell import Done, Shell

__all__ = ["Done", "Shell"]
