"""Names of `typing` that stand in running code, without importing it.

`typing` takes 9 ms to import, `dataclasses` 14, `logging` 12 and `re` 6: together
four boots of the kernel, and most of the time of a program that gets one file
out of an image. Nothing of theirs is needed before such a program ends, so the
modules of this package take these names from here, derive from `Value` where
they would use a dataclass, and import the others where they need them. For a
type checker all names are what they are in `typing`.
"""

from __future__ import annotations

__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Any",
    "AnyStr",
    "BinaryIO",
    "Generic",
    "Literal",
    "NoReturn",
    "Protocol",
    "Self",
    "TextIO",
    "TypeVar",
    "Value",
    "dataclass_transform",
    "overload",
]

# A type checker takes a name like this for true, wherever it comes from.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import (
        IO,
        Any,
        AnyStr,
        BinaryIO,
        Generic,
        Literal,
        NoReturn,
        Protocol,
        Self,
        TextIO,
        TypeVar,
        dataclass_transform,
        overload,
    )
else:

    class Generic:
        """Can be subscribed, by anything, and is itself then; so are all below."""

        __slots__ = ()

        def __class_getitem__(cls, parameters):
            return cls

    class Literal(Generic):
        """Only for annotations."""

    IO = Protocol = Generic
    Any = AnyStr = BinaryIO = NoReturn = Self = TextIO = object
    TypeVar = str

    def overload(function):
        """The implementation that follows takes its place."""
        return function

    def dataclass_transform(**options):
        """Only for type checkers."""
        return lambda decorated: decorated


class _Fields(type):
    """Makes slots of the annotated names of a class."""

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _Fields:
        fields = tuple(space.get("__annotations__", ()))
        space["_defaults"] = {field: space.pop(field) for field in fields if field in space}
        space["__slots__"] = space["__match_args__"] = fields
        return super().__new__(cls, name, bases, space)


@dataclass_transform(frozen_default=True)
class Value(metaclass=_Fields):
    """What `@dataclass(frozen=True, slots=True)` makes of a class: fields, equality, a hash and a repr.

    Fields are the annotated names of the class; a value there is the default.
    """

    if TYPE_CHECKING:
        _defaults: dict[str, object]
        __match_args__: tuple[str, ...]

    def __init__(self, *values: object, **named: object) -> None:
        fields = self.__match_args__
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__}() takes {len(fields)} arguments, not {len(values)}")
        given = dict(zip(fields, values, strict=False))
        if unknown := [name for name in named if name not in fields or name in given]:
            raise TypeError(f"{type(self).__name__}() got an unexpected or repeated argument {unknown[0]!r}")
        state = {**self._defaults, **given, **named}
        if missing := [name for name in fields if name not in state]:
            raise TypeError(f"{type(self).__name__}() needs the argument {missing[0]!r}")
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to field {name!r} of a {type(self).__name__}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete field {name!r} of a {type(self).__name__}")

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), self._values()

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)
