"""One of many words, or none of them, as trees of rules: an engine follows every way that is open, so what words begin
with in common is written once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from lemonade_like.turns.gbnf.rules import character_class, chars, complement, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.turns.gbnf.rules import Rules

_MAX_DEPTH: Final = 64
#: What no key here begins to differ with: JSON escapes it, or it could begin a control token.
_AVOIDED: Final = '<"\\\x7f' + "".join(map(chr, range(32)))


def one_literal(words: Sequence[str], rules: Rules, depth: int = 0) -> str:
    """Return an expression for one of ``words``, which are sorted."""
    if len(words) == 1:
        return literal(words[0])
    common = _common_beginning(words[0], words[-1])
    rests = [word[len(common) :] for word in words]
    if depth > _MAX_DEPTH:
        options = list(map(literal, rests))
    else:
        groups = itertools.groupby(rests, key=lambda rest: rest[:1])
        options = [one_literal(list(group), rules, depth + 1) for _, group in groups]
    rest = rules.add(" | ".join(options))
    return f"{literal(common)} {rest}" if common else rest


def other_key(names: Sequence[str], rules: Rules) -> str:
    """Return an expression for a JSON key that is none of ``names``: from each of them it differs at some character,
    which is not written as an escape, since that could spell the name after all, and is not far from the beginning."""

    def node(endings: Sequence[str], depth: int) -> str:
        following: dict[str, list[str]] = {}
        for ending in endings:
            if ending:
                following.setdefault(ending[0], []).append(ending[1:])
        options = [
            f"{literal(first)} {node(rest, depth + 1)}"
            for first, rest in following.items()
            if first not in _AVOIDED and depth < _MAX_DEPTH
        ]
        others = complement(chars("".join(following) + _AVOIDED))
        options.append(f"{character_class(others)} content")
        if "" not in endings:
            options.append('""')
        return rules.add(" | ".join(options))

    return f'"\\"" {node(names, 0)} "\\""'


def _common_beginning(one: str, other: str) -> str:
    """What two words begin with; of sorted words, the first and the last tell it for all."""
    differs = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(differs, min(len(one), len(other)))]
