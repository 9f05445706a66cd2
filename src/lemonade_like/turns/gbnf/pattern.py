"""Regular expressions, as JSON Schema has them, on the inside of a JSON string."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from lemonade_like.turns.gbnf.rules import (
    CharSet,
    SchemaError,
    char_set,
    character_class,
    chars,
    complement,
    literal,
    minus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.turns.gbnf.rules import Rules

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
#: Engines refuse to repeat one thing much oftener.
_MAX_LENGTH: Final = 1000
#: Comparing a text with a pattern takes at most so many steps.
_MAX_STEPS: Final = 100_000


@dataclass(frozen=True)
class One:
    """One character of a set, or any."""

    members: CharSet | None


@dataclass(frozen=True)
class Group:
    """One of several sequences."""

    options: tuple[Sequence, ...]


@dataclass(frozen=True)
class Repeated:
    """Something ``least`` to ``most`` times."""

    element: Node
    least: int
    most: int | None


Node = One | Group | Repeated
Sequence = tuple[Node, ...]
_ANYTHING: Final = Repeated(One(None), 0, None)


@dataclass(frozen=True)
class Pattern:
    """A regular expression, of whole strings: what may be before and after is in it."""

    options: tuple[Sequence, ...]

    def written(self, rules: Rules, least: int = 0, most: int | None = None) -> str | None:
        """Return an expression for the JSON strings of ``least`` to ``most`` characters that match; ``None`` if there
        are none.

        Raises:
            SchemaError: the two cannot be enforced together.
        """
        options = [fitted for option in self.options if (fitted := _fitted(option, least, most)) is not None]
        if not options:
            return None
        return f'"\\"" ( {_alternatives(options, rules)} ) "\\""'

    def possible(self, least: int, most: int | None) -> bool:
        """Return whether it can match texts of ``least`` to ``most`` characters, or that is hard to tell."""
        every = map(_lengths, self.options)
        return any((high is None or high >= least) and (most is None or low <= most) for low, high in every)

    def matches(self, text: str) -> bool:
        """Return whether a text matches, in a time that is bounded whatever the pattern.

        Raises:
            SchemaError: it would take longer.
        """
        return len(text) in _Matcher(text).ends(Group(self.options), {0})


@lru_cache(maxsize=256)
def parsed(pattern: str) -> Pattern:
    """Return a pattern, which matches anywhere within a string unless it is anchored.

    Raises:
        SchemaError: the pattern is wrong, or has what no grammar can say (look-around, back-references, ``\\b``).
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemaError(f"is no regular expression: {error}") from None
    return Pattern(_Parser(pattern).parse())


def _fitted(option: Sequence, least: int, most: int | None) -> Sequence | None:
    """The sequence with its repetitions held to a length in all; ``None`` if it cannot have it."""
    shortest, longest = _lengths(option)
    if (longest is not None and longest < least) or (most is not None and shortest > most):
        return None
    if shortest >= least and (most is None or (longest is not None and longest <= most)):
        return option
    varied = [place for place, node in enumerate(option) if len(set(_node_lengths(node))) > 1]
    varying = option[varied[0]]
    unit = _node_lengths(varying.element) if isinstance(varying, Repeated) else (0, None)
    if len(varied) > 1 or not isinstance(varying, Repeated) or unit[0] != unit[1]:
        raise SchemaError(
            "cannot be enforced together with 'pattern', unless at most one part of it varies in length: say the "
            "length in the pattern, as in '^[a-z]{1,3}$'",
            kind="unsupported",
        )
    others = shortest - varying.least * unit[0]
    low = max(varying.least, -((others - least) // unit[0]))
    high = varying.most if most is None else (most - others) // unit[0]
    if varying.most is not None and high is not None:
        high = min(high, varying.most)
    if high is not None and high < low:
        return None
    if max(low, high or 0) > _MAX_LENGTH:
        raise SchemaError(f"may be {_MAX_LENGTH} at most together with 'pattern'", kind="unsupported")
    return (*option[: varied[0]], Repeated(varying.element, low, high), *option[varied[0] + 1 :])


def _lengths(sequence: Sequence) -> tuple[int, int | None]:
    shortest = 0
    longest: int | None = 0
    for node in sequence:
        low, high = _node_lengths(node)
        shortest += low
        longest = None if longest is None or high is None else longest + high
    return shortest, longest


def _node_lengths(node: Node) -> tuple[int, int | None]:
    if isinstance(node, One):
        return 1, 1
    if isinstance(node, Group):
        every = [_lengths(option) for option in node.options]
        highs = [high for _, high in every if high is not None]
        return min(low for low, _ in every), max(highs) if len(highs) == len(every) else None
    low, high = _node_lengths(node.element)
    if high == 0 or node.most == 0:
        return 0, 0
    return low * node.least, None if high is None or node.most is None else high * node.most


def _alternatives(options: Iterable[Sequence], rules: Rules) -> str:
    return " | ".join(" ".join(_written(node, rules) for node in option) or '""' for option in options)


def _written(node: Node, rules: Rules) -> str:
    if isinstance(node, One):
        return "char" if node.members is None else _one_of(node.members)
    if isinstance(node, Group):
        return f"( {_alternatives(node.options, rules)} )"
    element = _written(node.element, rules)
    return rules.repeat(element if element == "char" else rules.add(element), node.least, node.most)


class _Matcher:
    """Follows every way at once, so that no pattern makes it go back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._steps = 0

    def ends(self, node: Node, starts: set[int]) -> set[int]:
        """Where a match may end that begins at one of ``starts``."""
        self._steps += 1 + len(starts)
        if self._steps > _MAX_STEPS:
            raise SchemaError("takes too long to be compared with the values beside it", kind="unsupported")
        if isinstance(node, One):
            return {at + 1 for at in starts if at < len(self._text) and _holds(node.members, self._text[at])}
        if isinstance(node, Group):
            return set().union(*(self._sequence(option, starts) for option in node.options))
        for _ in range(node.least):
            starts = self.ends(node.element, starts)
        reached = set(starts)
        count = node.least
        while starts and (node.most is None or count < node.most):
            starts = self.ends(node.element, starts) - reached
            reached |= starts
            count += 1
        return reached

    def _sequence(self, option: Sequence, starts: set[int]) -> set[int]:
        for node in option:
            if not starts:
                break
            starts = self.ends(node, starts)
        return starts


def _holds(members: CharSet | None, character: str) -> bool:
    return members is None or any(low <= ord(character) <= high for low, high in members)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def parse(self) -> tuple[Sequence, ...]:
        options = self._alternatives(depth=0)
        if self._at < len(self._text):
            raise self._unsupported()
        return options

    def _alternatives(self, depth: int) -> tuple[Sequence, ...]:
        if depth > _MAX_DEPTH:
            raise SchemaError("nests its groups too deeply", kind="unsupported")
        options = [self._sequence(depth)]
        while self._take("|"):
            options.append(self._sequence(depth))
        return tuple(options)

    def _sequence(self, depth: int) -> Sequence:
        outermost = depth == 0
        elements: list[Node] = []
        if outermost and not self._take("^"):
            elements.append(_ANYTHING)
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
            elements.append(_ANYTHING)
        return tuple(elements)

    def _element(self, depth: int) -> Node:
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
            return Group(inner)
        if sign == "[":
            return One(self._class())
        if sign == ".":
            return One(_ANY)
        if sign == "\\":
            return One(self._escape())
        if sign in "^$*+?":
            raise self._unsupported()
        return One(chars(sign))

    def _quantified(self, element: Node) -> Node:
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
            raise SchemaError(f"repeats something more than {_MAX_COUNT} times", kind="unsupported")
        return Repeated(element, least, most)

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
        return SchemaError(f"has something at character {self._at} that a grammar cannot say", kind="unsupported")


def _one_of(members: CharSet) -> str:
    """One character of a string's content, escaped where JSON wants that."""
    options = [literal(escape) for character, escape in _ESCAPED.items() if minus(chars(character), members) == ()]
    plain = minus(members, _NOT_PLAIN)
    if plain:
        options.insert(0, character_class(plain))
    if not options:
        raise SchemaError("asks for characters that this server does not write", kind="unsupported")
    return options[0] if len(options) == 1 else f"( {' | '.join(options)} )"
