"""Reads a script: text in, a :class:`Script` out, or an error at a line and a column.

The parsing is lark's; what is here makes our data of its trees, and refuses what
the grammar allows and the language does not.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from liblinux.packetdrill import _script as script
from liblinux.packetdrill._errors import ScriptSyntaxError
from liblinux.packetdrill._grammar import GRAMMAR, TERMINALS

__all__ = ["parse"]

_FLAGS = "FSRPUEWA"
# What is shown of the place where a script ceases to be one.
_WORD = re.compile(r"\w+|\S")
_U16, _U32 = 0xFFFF, 0xFFFFFFFF


def parse(text: str, name: str = "<script>") -> script.Script:
    """Read a script; `name` stands in messages.

    Raises ScriptSyntaxError, with line and column, for what is not a script.
    """
    try:
        tree = _lark().parse(text)
        read = _Reader(text, name).transform(tree)
    except UnexpectedInput as error:
        raise _unexpected(error, text, name) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ScriptSyntaxError):
            raise error.orig_exc from None
        raise
    assert isinstance(read, script.Script)
    return read


@functools.cache
def _lark() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=False)


# ---- errors ------------------------------------------------------------------


def _unexpected(error: UnexpectedInput, text: str, name: str) -> ScriptSyntaxError:
    match error:
        case UnexpectedToken():
            expected = set(error.accepts or error.expected)
        case UnexpectedCharacters():
            expected = set(error.allowed)
        case _:
            expected = set()
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    position = len(text.rstrip()) if at_end else error.pos_in_stream or 0
    word = _WORD.match(text, position)
    seen = repr(word[0]) if word else "the end of the script"
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    return ScriptSyntaxError(f"unexpected {seen}; expected {_either(expected)}", name, line, column)


def _either(terminals: set[str]) -> str:
    literal = {definition.name: definition.pattern.value for definition in _lark().terminals}
    words = sorted(TERMINALS.get(name) or repr(literal.get(name, name).replace("\\", "")) for name in terminals)
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


# ---- trees to data -----------------------------------------------------------


def _microseconds(number: Token) -> int:
    return int((Decimal(str(number)) * 1_000_000).to_integral_value())


def _found(children: list[Any], kind: type) -> Any:
    return next((child for child in children if isinstance(child, kind)), None)


class _Marked:
    """An optional part of a packet, between the children of its tree and its place."""

    def __init__(self, what: str, value: Any) -> None:
        self.what, self.value = what, value


def _marked(children: list[Any]) -> dict[str, Any]:
    return {child.what: child.value for child in children if isinstance(child, _Marked)}


class _Reader(Transformer[Token, Any]):
    """Makes data of a tree, from the leaves up."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__()
        self._text, self._name = text, name

    def _wrong(self, message: str, where: Any) -> ScriptSyntaxError:
        return ScriptSyntaxError(message, self._name, where.line, where.column)

    def _integer(self, token: Token, what: str, limit: int) -> int:
        value = int(token)
        if not 0 <= value <= limit:
            raise self._wrong(f"{what} {value} is out of range, 0 to {limit}", token)
        return value

    # -- the whole

    def start(self, children: list[Any]) -> script.Script:
        events = tuple(child for child in children if isinstance(child, script.Event))
        before = children[: children.index(events[0])]
        last = children[-1]
        return script.Script(
            name=self._name,
            options=tuple(child for child in before if isinstance(child, script.Option)),
            setup=_found(before, script.Command),
            events=events,
            cleanup=last if isinstance(last, script.Command) else None,
        )

    def option(self, children: list[Token]) -> script.Option:
        token = children[0]
        name, equals, value = token[2:].partition("=")
        return script.Option(name, value if equals else None, token.line or 0, token.column or 0)

    @v_args(meta=True)
    def event(self, meta: Any, children: list[Any]) -> script.Event:
        time, action = children
        outbound = isinstance(action, script.Packet) and not action.inbound
        if (time.kind == "any" or time.end is not None) and not outbound:
            what = "*" if time.kind == "any" else "a range of times"
            raise self._wrong(f"{what} is for outbound packets only", meta)
        text = " ".join(self._text[meta.start_pos : meta.end_pos].split())
        return script.Event(time, action, meta.line, meta.column, text)

    # -- times

    def _time(self, kind: Any, children: list[Token]) -> script.Time:
        start = _microseconds(children[0])
        end = _microseconds(children[1]) if len(children) > 1 else None
        if start < 0:
            raise self._wrong(f"negative time {children[0]}", children[0])
        if end is not None and end < start:
            raise self._wrong("the range of times is backwards", children[0])
        return script.Time(kind, start, end)

    def relative(self, children: list[Token]) -> script.Time:
        return self._time("relative", children)

    def absolute(self, children: list[Token]) -> script.Time:
        return self._time("absolute", children)

    relative_range, absolute_range = relative, absolute

    def any_time(self, _: list[Token]) -> script.Time:
        return script.Time("any")

    # -- commands and code

    def command(self, children: list[Token]) -> script.Command:
        return script.Command(children[0][1:-1], children[0].line or 0)

    def code(self, children: list[Token]) -> script.Code:
        return script.Code(children[0][2:-2])

    # -- packets

    def tcp(self, children: list[Any]) -> script.Tcp:
        direction, parts = children[0], _marked(children)
        inbound = direction == "<"
        flags = next(child for child in children if isinstance(child, Token) and child.type == "FLAGS")
        wrong = set(flags.rstrip(".").replace("-", "")) - set(_FLAGS)
        if wrong:
            raise self._wrong(
                f"unknown TCP flags {''.join(sorted(wrong))} in {str(flags)!r}; there are {_FLAGS}.", flags
            )
        options = parts.get("options", ())
        if inbound and options is None:
            raise self._wrong("<...> for TCP options is for outbound packets only", flags)
        if inbound and "window" not in parts:
            raise self._wrong("an inbound TCP packet needs a window: win NUMBER", flags)
        ip = parts.get("ip", script.Ip())
        if inbound and ip.ecn == "ect01":
            raise self._wrong("[ect01] is for outbound packets only", direction)
        return script.Tcp(
            inbound=inbound,
            flags=str(flags).replace("-", ""),
            sequence=parts["sequence"][0],
            length=parts["sequence"][1],
            ack=parts.get("ack"),
            window=parts.get("window"),
            urgent=parts.get("urgent"),
            options=options,
            ip=ip,
            ports=parts.get("ports"),
        )

    def udp(self, children: list[Any]) -> script.Udp:
        parts = _marked(children)
        length = self._integer(children[-1], "the length of a UDP packet", _U16)
        return script.Udp(children[0] == "<", length, parts.get("ip", script.Ip()), parts.get("ports"))

    def icmp(self, children: list[Any]) -> script.Icmp:
        parts = _marked(children)
        kind = next(child for child in children[1:] if isinstance(child, Token) and child.type == "WORD")
        return script.Icmp(
            inbound=children[0] == "<",
            type=str(kind),
            code=parts.get("code"),
            mtu=parts.get("mtu"),
            identifier=parts.get("identifier"),
            quoted=parts.get("quoted"),
            ip=parts.get("ip", script.Ip()),
        )

    def ip(self, children: list[_Marked]) -> _Marked:
        return _Marked("ip", script.Ip(**{part.what: part.value for part in children}))

    def ecn(self, children: list[Token]) -> _Marked:
        return _Marked("ecn", str(children[0]))

    def tos(self, children: list[Token]) -> _Marked:
        return _Marked("tos", int(children[0], 16))

    def flow_label(self, children: list[Token]) -> _Marked:
        return _Marked("flow_label", int(children[0], 16))

    def ttl(self, children: list[Token]) -> _Marked:
        return _Marked("ttl", self._integer(children[0], "the TTL", 255))

    def ports(self, children: list[Token]) -> _Marked:
        source, _, destination = children
        return _Marked("ports", (self._integer(source, "port", _U16), self._integer(destination, "port", _U16)))

    def sequence(self, children: list[Token]) -> _Marked:
        start = self._integer(children[0], "sequence number", _U32)
        end = self._integer(children[1], "sequence number", _U32)
        length = self._integer(children[2], "length", _U16)
        if (start + length) & _U32 != end:
            raise self._wrong(f"{start}:{end} is not a packet of {length} bytes", children[0])
        return _Marked("sequence", (start, length))

    def ack(self, children: list[Token]) -> _Marked:
        return _Marked("ack", self._integer(children[0], "acknowledgement", _U32))

    def window(self, children: list[Token]) -> _Marked:
        return _Marked("window", self._integer(children[0], "window", _U16))

    def urgent(self, children: list[Token]) -> _Marked:
        return _Marked("urgent", self._integer(children[0], "urgent pointer", _U16))

    def icmp_code(self, children: list[Token]) -> _Marked:
        return _Marked("code", str(children[0]))

    def mtu(self, children: list[Token]) -> _Marked:
        return _Marked("mtu", self._integer(children[0], "mtu", _U32))

    def identifier(self, children: list[Token]) -> _Marked:
        return _Marked("identifier", self._integer(children[0], "id", _U16))

    def quoted_tcp(self, children: list[_Marked]) -> _Marked:
        return _Marked("quoted", script.Quoted("tcp", *children[0].value))

    def quoted_udp(self, children: list[Token]) -> _Marked:
        return _Marked("quoted", script.Quoted("udp", 0, self._integer(children[0], "length", _U16)))

    def quoted_raw(self, children: list[Token]) -> _Marked:
        return _Marked("quoted", script.Quoted("raw", 0, self._integer(children[0], "length", _U16)))

    # -- TCP options

    def any_options(self, _: list[Token]) -> _Marked:
        return _Marked("options", None)

    def options(self, children: list[Any]) -> _Marked:
        return _Marked("options", tuple(child for child in children if isinstance(child, script.TcpOption)))

    def nop(self, _: list[Token]) -> script.TcpOption:
        return script.TcpOption("nop")

    def eol(self, _: list[Token]) -> script.TcpOption:
        return script.TcpOption("eol")

    def sack_ok(self, _: list[Token]) -> script.TcpOption:
        return script.TcpOption("sackOK")

    def mss(self, children: list[Token]) -> script.TcpOption:
        return script.TcpOption("mss", (self._integer(children[0], "mss", _U16),))

    def wscale(self, children: list[Token]) -> script.TcpOption:
        return script.TcpOption("wscale", (self._integer(children[0], "wscale", 255),))

    def sack(self, children: list[Token]) -> script.TcpOption:
        return script.TcpOption("sack", tuple(self._integer(child, "sack", _U32) for child in children))

    def timestamp(self, children: list[Token]) -> script.TcpOption:
        return script.TcpOption("TS", tuple(self._integer(child, "time stamp", _U32) for child in children))

    def _blob(self, kind: str, children: list[Token], limit: int) -> script.TcpOption:
        if not children:
            return script.TcpOption(kind)
        token = children[0]
        if token.type == "WORD":
            return script.TcpOption(kind, name=str(token))
        if len(token) % 2:
            raise self._wrong(f"{kind} has an odd number of hexadecimal digits", token)
        if len(token) > 2 * limit:
            raise self._wrong(f"{kind} is longer than {limit} bytes", token)
        return script.TcpOption(kind, data=bytes.fromhex(token))

    def fast_open(self, children: list[Token]) -> script.TcpOption:
        return self._blob("FO", children, 38)

    def fast_open_experimental(self, children: list[Token]) -> script.TcpOption:
        return self._blob("FOEXP", children, 36)

    def md5(self, children: list[Token]) -> script.TcpOption:
        return self._blob("md5", children, 16)

    # -- system calls

    def call(self, children: list[Any]) -> script.SystemCall:
        parts = _marked(children)
        # The note, if any, is for the reader of the script.
        rest = [child for child in children if not isinstance(child, (_Marked, Token))]
        name = next(child for child in children if isinstance(child, Token) and child.type == "WORD")
        *arguments, result = rest
        return script.SystemCall(str(name), tuple(arguments), result, parts.get("error"), parts.get("duration"))

    def duration(self, children: list[Token]) -> _Marked:
        return _Marked("duration", _microseconds(children[0]))

    def error(self, children: list[Token]) -> _Marked:
        return _Marked("error", str(children[0]))

    def ellipsis(self, _: list[Token]) -> script.Anything:
        return script.Anything()

    def integer(self, children: list[Token]) -> script.Number:
        return script.Number(int(children[0]))

    def hexadecimal(self, children: list[Token]) -> script.Number:
        return script.Number(int(children[0], 16))

    def name(self, children: list[Token]) -> script.Name:
        return script.Name(str(children[0]), children[0].line or 0, children[0].column or 0)

    def alternatives(self, children: list[script.Expression]) -> script.Or:
        return script.Or(tuple(children))

    def text(self, children: list[Token]) -> script.Text:
        return script.Text("".join(_unquoted(child) for child in children))

    def text_begins(self, children: list[Token]) -> script.Text:
        return script.Text(_unquoted(children[0]), more=True)

    def array(self, children: list[script.Expression]) -> script.Array:
        return script.Array(tuple(children))

    @v_args(meta=True)
    def struct(self, meta: Any, children: list[script.Field]) -> script.Struct:
        return script.Struct(tuple(children), meta.line, meta.column)

    def apply(self, children: list[Any]) -> script.Apply:
        token, *arguments = children
        return script.Apply(str(token), tuple(arguments), token.line or 0, token.column or 0)

    def plain_field(self, children: list[Any]) -> script.Field:
        return script.Field(None, children[0])

    def named_field(self, children: list[Any]) -> script.Field:
        return script.Field(str(children[0]), children[1])

    def counted_field(self, children: list[Any]) -> script.Field:
        called, value = children
        return script.Field(called.name, value, called.arguments[0] if called.arguments else None)


def _unquoted(token: Token) -> str:
    return str(token[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape"))
