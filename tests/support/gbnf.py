"""Writes random texts that a GBNF grammar lets through."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_COUNT = re.compile(r"\{(\d+)(,(\d+)?)?\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass
class Repeated:
    element: object
    least: int
    most: int | None


class Alternatives(list[list[object]]):
    """Sequences to choose from."""


class Characters(list[tuple[int, int]]):
    """Ranges of code points; ``negated`` is everything else."""

    negated = False


@dataclass
class Name:
    name: str


class Grammar:
    """A parsed grammar."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, Alternatives] = {}
        for line in text.splitlines():
            if line.strip():
                name, _, body = line.partition("::=")
                assert name.strip() not in self.rules, f"{name} is there twice"
                reader = _Reader(body.strip())
                self.rules[name.strip()] = reader.alternatives()
                assert reader.done, f"cannot read {line!r} after {reader.at}"

    def write(self, root: str, chance: random.Random) -> str:
        """A random text; short ones are likely, and deep ones come to an end."""
        return self._write(Name(root), chance, 0)

    def _write(self, element: object, chance: random.Random, depth: int) -> str:
        if depth > 400:
            raise RecursionError
        if isinstance(element, str):
            return element
        if isinstance(element, Name):
            return self._write(self.rules[element.name], chance, depth + 1)
        if isinstance(element, Alternatives):
            # The first or the last is the one that ends a recursion, whichever way it was written.
            options = element if depth < 60 else sorted(element, key=self._weight)[:1]
            return "".join(self._write(part, chance, depth + 1) for part in chance.choice(options))
        if isinstance(element, Repeated):
            few = element.least + (chance.choice([0, 0, 1, 2, 5]) if depth < 60 else 0)
            most = element.most if element.most is not None else few
            count = chance.choice([min(few, most), min(few, most), element.least, most if most < 50 else few])
            count = max(element.least, min(count, most))
            return "".join(self._write(element.element, chance, depth + 1) for _ in range(count))
        assert isinstance(element, Characters)
        if not element.negated:
            low, high = chance.choice(element)
            return chr(chance.choice([low, high, chance.randint(low, high)]))
        while True:
            point = chance.choice([chance.randint(32, 126), chance.randint(160, 0xD7FF), 0x1F34B])
            if not any(low <= point <= high for low, high in element):
                return chr(point)

    def _weight(self, sequence: list[object], seen: frozenset[str] = frozenset()) -> int:
        total = 0
        for part in sequence:
            if isinstance(part, Name):
                if part.name in seen:
                    return 10_000
                total += 1 + min(self._weight(way, seen | {part.name}) for way in self.rules[part.name])
            elif isinstance(part, Alternatives):
                total += min(self._weight(way, seen) for way in part)
            elif isinstance(part, Repeated):
                total += part.least * self._weight([part.element], seen)
        return total


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def alternatives(self) -> Alternatives:
        options = Alternatives([self._sequence()])
        while self._take("|"):
            options.append(self._sequence())
        return options

    def _sequence(self) -> list[object]:
        parts: list[object] = []
        while True:
            self._skip()
            if self.done or self.text[self.at] in "|)":
                return parts
            element = self._element()
            count = _COUNT.match(self.text, self.at)
            if count:
                self.at = count.end()
                most = (int(count[3]) if count[3] else None) if count[2] else int(count[1])
                element = Repeated(element, int(count[1]), most)
            elif not self.done and self.text[self.at] in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self.text[self.at]]
                element = Repeated(element, least, most)
                self.at += 1
            parts.append(element)

    def _element(self) -> object:
        if self._take("("):
            inner = self.alternatives()
            assert self._take(")"), self.text[self.at :]
            return inner
        if self._take('"'):
            written = ""
            while not self.text.startswith('"', self.at):
                written += self._character()
            self.at += 1
            return written
        if self._take("["):
            members = Characters()
            members.negated = self._take("^")
            while not self.text.startswith("]", self.at):
                low = high = self._character()
                if self.text.startswith("-", self.at) and self.text[self.at + 1] != "]":
                    self.at += 1
                    high = self._character()
                members.append((ord(low), ord(high)))
            self.at += 1
            return members
        name = _NAME.match(self.text, self.at)
        assert name, f"cannot read {self.text[self.at :]!r}"
        self.at = name.end()
        return Name(name[0])

    def _character(self) -> str:
        sign = self.text[self.at]
        self.at += 1
        if sign != "\\":
            return sign
        kind = self.text[self.at]
        self.at += 1
        length = {"x": 2, "u": 4, "U": 8}.get(kind)
        if length is None:
            return _ESCAPES.get(kind, kind)
        digits = self.text[self.at : self.at + length]
        self.at += length
        return chr(int(digits, 16))

    def _take(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            if sign not in "|)":
                return False
            self._skip()
            if not self.text.startswith(sign, self.at):
                return False
        self.at += len(sign)
        return True

    def _skip(self) -> None:
        while not self.done and self.text[self.at] == " ":
            self.at += 1
