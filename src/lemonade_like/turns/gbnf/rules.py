"""The pieces that grammars are written of: literals, character sets, named rules, and a bound on all of it."""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal

#: Inclusive ranges of code points, in order and apart from each other.
CharSet = tuple[tuple[int, int], ...]
Path = tuple[str | int, ...]

#: The rules that every JSON grammar rests on. Values do not end in space; what holds them places it.
#: To the engine, ``<|end|>`` the control token is also text that a set of characters matches. So that a string cannot
#: be left through one, ``<|`` is never written as itself: ``content`` may have ``<`` before anything else; ``char``,
#: where characters are counted or matched, has it as an escape only.
JSON_RULES: Final = r"""
object ::= "{" space ( member ( space "," space member )* space )? "}"
member ::= string space ":" space value
array ::= "[" space ( value ( space "," space value )* space )? "]"
value ::= object | array | string | number | "true" | "false" | "null"
string ::= "\"" content "\""
content ::= ( char | "<"+ ( [^"\\<|\x00-\x1f\x7f] | escape ) )* "<"*
char ::= [^"\\<\x00-\x1f\x7f] | escape
escape ::= "\\" ( ["\\/bfnrt] | "u" ( [0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2} ) )
chars-100 ::= char{100}
number ::= integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )?
integer ::= "-"? ( "0" | [1-9] [0-9]{0,14} )
space ::= " "{0,2} ( "\n" [ \t]{0,20} )?
""".lstrip()

_RULE_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")
_LAST: Final = 0x10FFFF


class SchemaError(ValueError):
    """A schema that cannot be made a grammar. ``path`` leads to the part at fault; ``kind`` tells what is wrong from
    what is right but cannot be enforced, and from what is right but leaves no value."""

    def __init__(
        self, message: str, path: Path = (), *, kind: Literal["invalid", "unsupported", "impossible"] = "invalid"
    ) -> None:
        super().__init__(message)
        self.path = path
        self.kind: Literal["invalid", "unsupported", "impossible"] = kind


class Rules:
    """Collects rules under names that begin with ``prefix``; the same expression is one rule.

    Engines unroll repetitions into rules, so both are bounded: a small schema can ask for a huge grammar.
    """

    MAX_CHARACTERS: Final = 300_000
    MAX_REPETITIONS: Final = 20_000

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._named: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._characters = 0
        self._repetitions = 0

    def reserve(self) -> str:
        """Return a new name, to be defined later."""
        name = f"{self._prefix}-{len(self._named)}"
        self._named[name] = ""
        return name

    def define(self, name: str, expression: str) -> None:
        """Say what a reserved name stands for."""
        self._named[name] = expression
        self._characters += len(expression)
        if self._characters > self.MAX_CHARACTERS:
            raise SchemaError("makes too large a grammar: use fewer or shorter parts")

    def add(self, expression: str) -> str:
        """Return the name of a rule for this expression; of a name, itself."""
        if _RULE_NAME.fullmatch(expression):
            return expression
        name = self._names.get(expression)
        if name is None:
            name = self._names[expression] = self.reserve()
            self.define(name, expression)
        return name

    def repeat(self, expression: str, least: int, most: int | None) -> str:
        """Return ``expression``, one element or a group, ``least`` to ``most`` times; ``None`` is without end."""
        self._repetitions += least if most is None else most
        if self._repetitions > self.MAX_REPETITIONS:
            raise SchemaError(f"asks for more than {self.MAX_REPETITIONS} repetitions in all, which is too many")
        if most == 0:
            return '""'
        if most is None:
            return f"{expression}*" if least == 0 else f"{expression}{{{least},}}"
        return f"{expression}{{{least}}}" if least == most else f"{expression}{{{least},{most}}}"

    def text(self) -> str:
        """Return all rules, a line each."""
        return "".join(f"{name} ::= {expression}\n" for name, expression in self._named.items())


def literal(text: str) -> str:
    """Return a grammar's quoted form of ``text``."""
    return '"' + "".join(_plain(character) for character in text) + '"'


def json_text(value: Any) -> str:
    """Return a JSON value's text, which spells no control token."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<|", "\\u003c|")


def _plain(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else _code(ord(character))


def _code(point: int) -> str:
    # A letter or digit stands for itself; all else is spelled by number, since a set has signs of its own.
    if point < 128 and chr(point).isalnum():
        return chr(point)
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"


def character_class(members: CharSet) -> str:
    """Return a grammar's form of a set of characters."""
    return "[" + "".join(_code(a) if a == b else f"{_code(a)}-{_code(b)}" for a, b in members) + "]"


def char_set(*ranges: tuple[int, int]) -> CharSet:
    """Return the union of ranges."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def chars(text: str) -> CharSet:
    """Return the set of the characters in ``text``."""
    return char_set(*((ord(character), ord(character)) for character in text))


def complement(members: CharSet) -> CharSet:
    """Return every other character."""
    others, start = [], 0
    for low, high in members:
        if low > start:
            others.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        others.append((start, _LAST))
    return tuple(others)


def minus(members: CharSet, taken: CharSet) -> CharSet:
    """Return the members that are not ``taken``."""
    return complement(char_set(*complement(members), *taken))
