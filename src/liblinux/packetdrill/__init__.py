"""packetdrill scripts, run against a kernel of the library on virtual time.

    liblinux packetdrill FILE..., pytest's *.pkt     the faces: _command.py, pytest_plugin.py
    parse() -> Script                                the language: _grammar.py, _parser.py, _script.py
    run() -> Outcome                                 events in time: _runner.py, _worker.py, _machine.py
    packets                                          _flow.py, _match.py, _inject.py, _wire.py, _segment.py
    system calls                                     _calls*.py, _values.py, _constants.py
    set-up lines                                     shell/

Scripts are those of packetdrill (Cardwell et al., USENIX ATC 2013); the runner
is our own. Time is the kernel's virtual clock: an event of the script happens
within a microsecond of its time, and the same seed makes the same run again.
"""

from __future__ import annotations

from liblinux.packetdrill._config import MODES, Config, Mode, modes_of
from liblinux.packetdrill._errors import ScriptError, ScriptSyntaxError
from liblinux.packetdrill._outcome import Failure, Outcome
from liblinux.packetdrill._parser import parse
from liblinux.packetdrill._runner import run
from liblinux.packetdrill._script import Script

__all__ = [
    "MODES",
    "Config",
    "Failure",
    "Mode",
    "Outcome",
    "Script",
    "ScriptError",
    "ScriptSyntaxError",
    "modes_of",
    "parse",
    "run",
]
