"""From a file's values to an :class:`Experiment`, or to all that is wrong with them."""

from __future__ import annotations

import copy
import difflib
import itertools
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from liblinux.experiments import _model as model
from liblinux.experiments._errors import Path, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Variant", "put", "suggest", "validate", "variants"]

# What stands behind a key that holds a table, or a list of them.
_PARTS: dict[str, type[BaseModel]] = {
    "nodes": model.Nodes, "link": model.LinkPart, "event": model.Event, "record": model.Record, "plot": model.Plot,
    "discipline": model.Discipline,
}  # fmt: skip
_FLOWS: dict[str, type[BaseModel]] = {
    kind: part for part in get_args(get_args(model.Flow)[0]) for kind in get_args(part.model_fields["kind"].annotation)
}
_NAMED = ("link", "flow")


def validate(values: Mapping[str, Any]) -> tuple[model.Experiment | None, list[Problem]]:
    """The experiment that the values describe; None, and what is wrong with them."""
    try:
        return model.Experiment.model_validate(values), []
    except ValidationError as error:
        return None, [_translate(one) for one in error.errors(include_url=False)]


def _translate(error: Any) -> Problem:
    """One error of pydantic in the words of this file's users."""
    path = tuple(key for number, key in enumerate(error["loc"]) if not _is_tag(error["loc"], number))
    *above, last = path or ("",)
    match error["type"]:
        case "missing":
            return Problem(path, f"{_describe(tuple(above))} needs {last!r}")
        case "extra_forbidden":
            known = _keys(tuple(error["loc"])[:-1])
            return Problem(path, f"{_describe(tuple(above))} has no {last!r}{suggest(str(last), known)}")
        case "value_error":
            return Problem(path, f"{last}: {error['ctx']['error']}")
        case "union_tag_not_found":
            given = difflib.get_close_matches("kind", [str(key) for key in error["input"]], 1, 0.6)
            instead = f"; it has {given[0]!r}" if given else ""
            return Problem(path, f"{_describe(path)} needs a 'kind': one of {', '.join(_FLOWS)}{instead}")
        case "union_tag_invalid":
            kind = error["ctx"]["tag"]
            return Problem((*path, "kind"), f"there are no flows of kind {kind!r}{suggest(kind, _FLOWS)}")
    return Problem(path, f"{last}: {error['msg'][0].lower()}{error['msg'][1:]}, not {_short(error['input'])}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _is_tag(location: tuple[str | int, ...], number: int) -> bool:
    """Whether this is not a key of the file, but the kind of a flow, by which pydantic chose."""
    return number == 2 and location[0] == "flow" and location[number] in _FLOWS


def _keys(location: tuple[str | int, ...]) -> Iterable[str]:
    """The keys that a table may have."""
    if location[:1] == ("flow",) and len(location) > 2:
        part = _FLOWS[str(location[2])]
    else:
        names = [key for key in location if isinstance(key, str)]
        part = _PARTS[names[-1]] if names else model.Experiment
    return [field.alias or name for name, field in part.model_fields.items()]


def _describe(path: Path) -> str:
    match path:
        case ():
            return "an experiment"
        case (str(name), int(number)):
            return f"[[{name}]] number {number + 1}"
    return f"[{'.'.join(str(key) for key in path if isinstance(key, str))}]"


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that there is not: the one that was meant, or all."""
    names = list(dict.fromkeys(known))
    if close := difflib.get_close_matches(name, names, 1, 0.6):
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(names[:20])}" if names else "; there are none"


# ---- sweeps -------------------------------------------------------------------


class Variant:
    """One combination of a sweep's values: `parameters`, and the `values` of the experiment with them."""

    def __init__(self, parameters: dict[str, Any], values: dict[str, Any]) -> None:
        self.parameters = parameters
        self.values = values

    def __repr__(self) -> str:
        return f"<Variant {self.parameters}>"


def variants(values: Mapping[str, Any]) -> Iterator[Variant]:
    """All combinations of what is swept, the last key quickest; KeyError for one that leads nowhere."""
    sweep = values.get("sweep") or {}
    for chosen in itertools.product(*sweep.values()):
        changed = copy.deepcopy(dict(values))
        parameters = dict(zip(sweep, chosen, strict=True))
        for key, value in parameters.items():
            put(changed, key, value)
        yield Variant(parameters, changed)


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set what a key such as "link.bottleneck.queue" leads to; KeyError says why it leads nowhere."""
    head, _, rest = key.partition(".")
    if head in _NAMED:
        name, _, rest = rest.partition(".")
        named = [part for part in values.get(head, ()) if isinstance(part, dict) and part.get("name") == name]
        if not named:
            known = [part["name"] for part in values.get(head, ()) if isinstance(part, dict) and part.get("name")]
            raise KeyError(f"{key!r}: no {head} is named {name!r}{suggest(name, known)}")
        for part in named:
            _put(part, rest, value, key)
    elif head == "sysctl":
        values.setdefault("sysctl", {})[rest] = value
    else:
        _put(values, key, value, key)


def _put(part: dict[str, Any], rest: str, value: Any, key: str) -> None:
    head, _, rest = rest.partition(".")
    if not head:
        raise KeyError(f"{key!r} leads to a table; it ends with the name of a value, as in 'link.bottleneck.queue'")
    if not rest:
        part[head] = value
        return
    inner = part.setdefault(head, {})
    if not isinstance(inner, dict):
        raise KeyError(f"{key!r}: {head} is {inner!r}, and no table")
    _put(inner, rest, value, key)
