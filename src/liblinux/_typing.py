"""Names of `typing` that stand in running code, without importing it.

`typing` takes 9 ms to import, `dataclasses` 14, `logging` 12 and `re` 6: together
four boots of the kernel, and most of the time of a program that gets one file
out of an image. Nothing of theirs is needed before such a program ends, so the
modules of this package take these names from here, derive from `Value` where
they would use a dataclass, and import the others where they need them. For a
type checker all names are what they are in `typing`.
"""

from __future__ import annotations

# A type checker takes a name like this for true, wherever it comes from.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO as IO
    from typing import Any as Any
    from typing import AnyStr as AnyStr
    from typing import BinaryIO as BinaryIO
    from typing import Generic as Generic
    from typing import Literal as Literal
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import TextIO as TextIO
    from typing import Union as Union
    from typing import dataclass_transform as dataclass_transform
    from typing import overload as overload
else:

    class Generic:
        """Can be subscribed, by anything, and is itself then; so are all below."""

        __slots__ = ()

        def __class_getitem__(cls, parameters):
            return cls

    class Literal(Generic):
        """Only for annotations."""

    IO = Protocol = Union = Generic
    Any = AnyStr = BinaryIO = NoReturn = TextIO = object

    def overload(function):
        """The implementation that follows takes its place."""
        return function

    def dataclass_transform(**options):
        """Only for type checkers."""
        return lambda decorated: decorated


@dataclass_transform(frozen_default=True)
class Value:
    """What `@dataclass(frozen=True)` makes of a class: fields, equality, a hash and a repr.

    Fields are the annotated names of the class; a value there is the default.
    """

    _fields: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[attr-defined]  # made here

    def __init__(self, *values: object, **named: object) -> None:
        fields = self._fields
        state = self.__dict__
        state.update(zip(fields, values, strict=False))
        for name, value in named.items():
            if name not in fields or name in state:
                raise TypeError(f"{type(self).__name__}() got an unexpected or repeated argument {name!r}")
            state[name] = value
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__}() takes {len(fields)} arguments, not {len(values)}")
        for name in fields:
            if name not in state:
                if not hasattr(type(self), name):
                    raise TypeError(f"{type(self).__name__}() needs the argument {name!r}")
                state[name] = getattr(type(self), name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to field {name!r} of a {type(self).__name__}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete field {name!r} of a {type(self).__name__}")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in self._fields))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({fields})"
