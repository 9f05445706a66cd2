from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.turns.gbnf.rules import JSON_RULES, Rules
from lemonade_like.turns.gbnf.words import one_literal, other_key
from tests.support.gbnf import Grammar

_words = st.lists(st.text(st.sampled_from('ab<"\\é'), max_size=4), min_size=1, max_size=6, unique=True)


def _written(expression: str, rules: Rules, count: int) -> set[str]:
    root = rules.add(expression)
    grammar = Grammar(JSON_RULES + rules.text())
    chance = random.Random(1)
    return {grammar.write(root, chance) for _ in range(count)}


@given(_words)
def test_exactly_the_words_can_be_written(words: list[str]) -> None:
    rules = Rules("r")
    assert _written(one_literal(sorted(words), rules), rules, 300) == set(words)


@given(_words)
def test_a_key_is_never_one_of_the_names(names: list[str]) -> None:
    rules = Rules("r")
    keys = {json.loads(key) for key in _written(other_key(names, rules), rules, 50)}
    assert keys and not keys & set(names)


def test_a_name_that_is_very_long_is_no_trouble() -> None:
    rules = Rules("r")
    assert _written(other_key(["a" * 500], rules), rules, 5)
