"""Regular expressions, as JSON Schema has them, on the inside of a JSON string."""

from __future__ import annotations

import re
from typing import Final

from lemonade_like.turns.gbnf.rules import (
    CharSet,
    Rules,
    SchemaError,
    char_set,
    character_class,
    chars,
    complement,
    literal,
    minus,
)

_DIGIT: Final = chars("0123456789")
_WORD: Final = char_set((ord("a"), ord("z")), (ord("A"), ord("Z")), *_DIGIT, (ord("_"), ord("_")))
_SPACE: Final = chars(" \t\n\r\f\v")
_ASCII: Final = ((32, 126),)
_CLASSES: Final = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    # Engines disagree on which further characters are digits, letters or spaces: these are none to any of them.
    "D": minus(_ASCII, _DIGIT),
    "W": minus(_ASCII, _WORD),
    "S": minus(_ASCII, _SPACE),
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_ANY: Final = complement(chars("\n\r\u2028\u2029"))
#: What cannot stand in a JSON string as itself (``<`` could begin a control token). What has a short escape is written
#: so, the rest not at all.
_ESCAPED: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\f": "\\f",
    "\b": "\\b",
    "<": "\\u003c",
}
_NOT_PLAIN: Final = char_set((0, 31), (127, 127), (0xD800, 0xDFFF), *chars('<"\\'))
_COUNT: Final = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}")
_MAX_DEPTH: Final = 20
_MAX_COUNT: Final = 250

#: Formats that JSON Schema names, so far as a pattern can say them. February has 28 days here.
_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_DATE: Final = (
    r"(19|20)\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
)
_OCTET: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LABEL: Final = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
_HOSTNAME: Final = rf"{_LABEL}(\.{_LABEL}){{0,6}}"
FORMATS: Final = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "duration": r"^P(\d{1,4}W|\d{1,4}D(T\d{1,4}H)?|T\d{1,4}[HMS])$",
    "email": rf"^[a-zA-Z0-9_+-]{{1,20}}(\.[a-zA-Z0-9_+-]{{1,20}}){{0,3}}@{_HOSTNAME}$",
    "hostname": f"^{_HOSTNAME}$",
    "ipv4": rf"^{_OCTET}(\.{_OCTET}){{3}}$",
    "ipv6": r"^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$",
    "uuid": r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
}


def string_matching(pattern: str, rules: Rules) -> str:
    """Return an expression for the JSON strings that match: anywhere within, unless the pattern is anchored.

    Raises:
        SchemaError: the pattern is wrong, or has what no grammar can say (look-around, back-references, ``\\b``).
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemaError(f"is no regular expression: {error}") from None
    return f'"\\"" ( {_Parser(pattern, rules).parse()} ) "\\""'


class _Parser:
    def __init__(self, pattern: str, rules: Rules) -> None:
        self._text = pattern
        self._at = 0
        self._rules = rules

    def parse(self) -> str:
        expression = self._alternatives(depth=0)
        if self._at < len(self._text):
            raise self._unsupported()
        return expression

    def _alternatives(self, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise SchemaError("nests its groups too deeply", unsupported=True)
        options = [self._sequence(depth)]
        while self._take("|"):
            options.append(self._sequence(depth))
        return " | ".join(options)

    def _sequence(self, depth: int) -> str:
        outermost = depth == 0
        elements = []
        if outermost and not self._take("^"):
            elements.append("char*")
        ended = False
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if outermost and self._text[self._at] == "$":
                self._at += 1
                ended = True
                if self._at < len(self._text) and self._text[self._at] != "|":
                    raise self._unsupported()
                break
            elements.append(self._quantified(self._element(depth)))
        if outermost and not ended:
            elements.append("char*")
        return " ".join(elements) or '""'

    def _element(self, depth: int) -> str:
        sign = self._next()
        if sign == "(":
            if self._take("?") and not self._take(":"):
                name = re.compile(r"P?<[A-Za-z_]\w*>").match(self._text, self._at)
                if not name:
                    raise self._unsupported()
                self._at = name.end()
            inner = self._alternatives(depth + 1)
            if not self._take(")"):
                raise self._unsupported()
            return f"( {inner} )"
        if sign == "[":
            return _one_of(self._class())
        if sign == ".":
            return _one_of(_ANY)
        if sign == "\\":
            return _one_of(self._escape())
        if sign in "^$*+?":
            raise self._unsupported()
        return _one_of(chars(sign))

    def _quantified(self, element: str) -> str:
        count = _COUNT.match(self._text, self._at)
        if count:
            self._at = count.end()
            least = int(count[1])
            most = (int(count[3]) if count[3] else None) if count[2] else least
        elif self._take("*"):
            least, most = 0, None
        elif self._take("+"):
            least, most = 1, None
        elif self._take("?"):
            least, most = 0, 1
        else:
            return element
        if self._take("+"):
            raise self._unsupported()
        self._take("?")  # a lazy quantifier matches the same strings
        if self._at < len(self._text) and (self._text[self._at] in "*+?" or _COUNT.match(self._text, self._at)):
            raise self._unsupported()
        if max(least, most or 0) > _MAX_COUNT:
            raise SchemaError(f"repeats something more than {_MAX_COUNT} times", unsupported=True)
        return self._rules.repeat(self._rules.add(element), least, most)

    def _class(self) -> CharSet:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self._take("]"):
            first = False
            low = self._class_member()
            following = self._text[self._at : self._at + 2]
            if len(low) == 1 and low[0][0] == low[0][1] and following.startswith("-") and following != "-]":
                self._at += 1
                high = self._class_member()
                if len(high) != 1 or high[0][0] != high[0][1]:
                    raise self._unsupported()
                ranges.append((low[0][0], high[0][0]))
            else:
                ranges += low
        members = char_set(*ranges)
        return complement(members) if negated else members

    def _class_member(self) -> CharSet:
        sign = self._next()
        if sign == "\\":
            return chars("\b") if self._take("b") else self._escape()
        return chars(sign)

    def _escape(self) -> CharSet:
        sign = self._next()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign in _CONTROLS:
            return chars(_CONTROLS[sign])
        if sign in "xu":
            length = 2 if sign == "x" else 4
            digits = self._text[self._at : self._at + length]
            self._at += length
            return chars(chr(int(digits, 16)))
        if sign.isalnum():
            raise self._unsupported()
        return chars(sign)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._unsupported()
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, sign: str) -> bool:
        if self._text.startswith(sign, self._at):
            self._at += 1
            return True
        return False

    def _unsupported(self) -> SchemaError:
        return SchemaError(f"has something at character {self._at} that a grammar cannot say", unsupported=True)


def _one_of(members: CharSet) -> str:
    """One character of a string's content, escaped where JSON wants that."""
    options = [literal(escape) for character, escape in _ESCAPED.items() if minus(chars(character), members) == ()]
    plain = minus(members, _NOT_PLAIN)
    if plain:
        options.insert(0, character_class(plain))
    if not options:
        raise SchemaError("asks for characters that this server does not write", unsupported=True)
    return options[0] if len(options) == 1 else f"( {' | '.join(options)} )"
