"""Kconfig fragments: read them, merge them, and prove that they were honoured.

A fragment is a list of wishes in the syntax of ``.config``, with two additions
(described for their authors at the head of ``kernel/config/base.config``)::

    CONFIG_X=y  # >=6.6                only for kernels of those versions
    # CONFIG_X is not compiled         selected by others, objects left out

Everything not wished for is off: the merged wishes are the exceptions to
``allnoconfig``. Kconfig drops a wish whose dependencies are not met without a
word, so :func:`verify` compares the result with the wishes and explains every
difference (:mod:`liblinux.builder._kconfig_tree` knows the dependencies).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from liblinux._errors import BuildError
from liblinux.builder._kconfig_tree import KconfigTree

__all__ = ["Fragment", "Setting", "Version", "Wishes", "merge", "parse_config", "parse_fragment", "verify"]

Version = tuple[int, ...]

# What a wish can ask for besides a literal value.
OFF = "n"
NOT_COMPILED = "not compiled"

_SET = re.compile(r"CONFIG_(?P<name>\w+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s#\"]+)\s*(?:#(?P<when>.*))?")
_UNSET = re.compile(r"#\s*CONFIG_(?P<name>\w+) is not (?P<what>set|compiled)\s*(?:#(?P<when>.*))?")
_CONDITION = re.compile(r"(?P<operator>>=|<)(?P<version>\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class Setting:
    """One wish: the option without ``CONFIG_``, its value, and where it stands."""

    name: str
    value: str
    origin: str
    at_least: Version | None = None
    below: Version | None = None

    def applies_to(self, version: Version) -> bool:
        """Whether this wish is meant for a kernel of ``version``."""
        return (self.at_least is None or version >= self.at_least) and (self.below is None or version < self.below)


@dataclass(frozen=True)
class Fragment:
    """A parsed fragment; ``name`` is the file name without its suffix."""

    name: str
    settings: tuple[Setting, ...]

    @classmethod
    def load(cls, path: Path) -> Fragment:
        """Read the fragment at ``path``, or raise :class:`BuildError`."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BuildError(f"cannot read the configuration fragment {path}: {error}") from error
        return cls(path.stem, parse_fragment(text, str(path)))


@dataclass(frozen=True)
class Wishes:
    """All fragments of a build merged for one kernel version."""

    settings: Mapping[str, Setting]

    def allconfig(self) -> str:
        """The text that ``KCONFIG_ALLCONFIG`` is pointed at."""
        lines = (
            f"# CONFIG_{name} is not set" if setting.value == OFF else f"CONFIG_{name}={setting.value}"
            for name, setting in sorted(self.settings.items())
            if setting.value != NOT_COMPILED
        )
        return "\n".join(lines) + "\n"

    def make_arguments(self) -> list[str]:
        """Command-line variables for ``make``, which leave selected objects out.

        A variable of the command line overrides the ``auto.conf`` that all of
        Kbuild reads, so ``obj-$(CONFIG_X)`` becomes ``obj-``. No file is edited.
        """
        return sorted(f"CONFIG_{name}=" for name, s in self.settings.items() if s.value == NOT_COMPILED)


def parse_fragment(text: str, origin: str = "<fragment>") -> tuple[Setting, ...]:
    """Parse the text of a fragment.

    :param origin: the name to use in messages, usually the path.
    :raises BuildError: a line is neither a wish nor a comment.
    """
    settings = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        place = f"{origin}:{number}"
        if match := _SET.fullmatch(line):
            name, value = match["name"], match["value"]
        elif match := _UNSET.fullmatch(line):
            name, value = match["name"], OFF if match["what"] == "set" else NOT_COMPILED
        elif not line or (line.startswith("#") and not line.startswith("# CONFIG_")):
            continue
        else:
            raise BuildError(f"{place}: cannot understand {line!r} (see the head of base.config for the syntax)")
        at_least, below = _parse_condition(match["when"], place)
        settings.append(Setting(name, value, place, at_least, below))
    return tuple(settings)


def _parse_condition(text: str | None, place: str) -> tuple[Version | None, Version | None]:
    bounds: dict[str, Version] = {}
    for word in (text or "").split():
        match = _CONDITION.fullmatch(word)
        if match is None:
            raise BuildError(f"{place}: {word!r} is not a kernel version condition such as '>=6.6' or '<6.10'")
        bounds[match["operator"]] = tuple(int(part) for part in match["version"].split("."))
    return bounds.get(">="), bounds.get("<")


def merge(fragments: Iterable[Fragment], version: Version) -> Wishes:
    """Merge ``fragments`` for a kernel of ``version``; a later wish wins."""
    return Wishes({s.name: s for fragment in fragments for s in fragment.settings if s.applies_to(version)})


def parse_config(text: str) -> dict[str, str]:
    """Parse a ``.config``: option to value; options that are off are absent."""
    matches = (_SET.fullmatch(line) for line in text.splitlines())
    return {match["name"]: match["value"] for match in matches if match and match["value"] != OFF}


def verify(wishes: Wishes, config: Mapping[str, str], tree: Path, *, arch: str = "lib") -> None:
    """Compare the wishes with what Kconfig made of them.

    :param config: the resulting ``.config``, parsed.
    :param tree: the kernel tree, read only to explain what was lost.
    :raises BuildError: names every option that was lost or came on, and why.
    """
    lost = [setting for setting in wishes.settings.values() if not _honoured(setting, config)]
    if not lost:
        return
    kconfig = KconfigTree(tree, arch)
    lines = [f"  {s.origin}: {_difference(s, config)}{_reason(s, config, kconfig)}" for s in lost]
    raise BuildError(
        "the kernel configuration is not what was asked for; correct the fragment or the dependency:\n"
        + "\n".join(lines)
    )


def _honoured(setting: Setting, config: Mapping[str, str]) -> bool:
    if setting.value == NOT_COMPILED:
        return True
    return config.get(setting.name, OFF) == setting.value or (setting.value == '""' and setting.name not in config)


def _difference(setting: Setting, config: Mapping[str, str]) -> str:
    wanted = "off" if setting.value == OFF else setting.value
    found = config.get(setting.name)
    return f"CONFIG_{setting.name} should be {wanted} but is {found or 'off'}"


def _reason(setting: Setting, config: Mapping[str, str], kconfig: KconfigTree) -> str:
    if setting.name not in kconfig:
        return ": this kernel has no such option (mark it with a version, such as '# >=6.6')"
    if setting.value == OFF:
        selectors = kconfig.selected_by(setting.name, config)
        return f": selected by {', '.join(selectors)}" if selectors else ""
    unmet = kconfig.unmet(setting.name, config)
    return f": needs {'; '.join(unmet)}" if unmet else ""
