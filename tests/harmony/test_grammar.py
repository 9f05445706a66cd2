from __future__ import annotations

import random
import re

import pytest

from lemonade_like.harmony.grammar import Skeleton
from tests.support.completions import parse_text
from tests.support.gbnf import Grammar

_TOKENS = {
    "200003": "<|constrain|>",
    "200005": "<|channel|>",
    "200006": "<|start|>",
    "200007": "<|end|>",
    "200008": "<|message|>",
}


def completions(skeleton: Skeleton, count: int = 200, *, bar: str = "|") -> list[str]:
    """Random completions that a skeleton lets through, with control tokens spelled out; ``bar`` is the bar's token."""
    grammar = re.sub(r"<\[(\d+)\]>", lambda token: f'"{_TOKENS.get(token[1], bar)}"', skeleton.grammar())
    chance = random.Random(1)
    return [Grammar(grammar).write("root", chance) for _ in range(count)]


def shapes(skeleton: Skeleton) -> set[tuple[tuple[str | None, str | None], ...]]:
    """The channels and recipients of the messages, as our own parser reads them."""
    found = set()
    for completion in completions(skeleton):
        parsed = parse_text(completion)
        assert not parsed.recovered, completion
        found.add(tuple((message.channel, message.recipient) for message in parsed.messages))
    return found


def test_a_required_call_ends_the_turn_and_comes_after_reasoning_and_preambles() -> None:
    for shape in shapes(Skeleton(None, {"f": "text", "g": "text"}, parallel_calls=False)):
        *before, (channel, recipient) = shape
        assert channel == "commentary" and recipient in ("functions.f", "functions.g")
        assert {recipient for _, recipient in before} <= {None}


def test_parallel_calls_may_follow_each_other() -> None:
    counts = {len([r for _, r in shape if r]) for shape in shapes(Skeleton(None, {"f": "text"}))}
    assert {1, 2} <= counts


def test_an_answer_and_calls_may_both_be_possible() -> None:
    ends = {shape[-1] for shape in shapes(Skeleton("text", {"f": "text"}))}
    assert ends == {("final", None), ("commentary", "functions.f")}


def test_reasoning_happens_once_when_it_has_a_budget() -> None:
    counts = {sum(channel == "analysis" for channel, _ in shape) for shape in shapes(Skeleton(reasoning="once"))}
    assert counts == {0, 1}


def test_without_reasoning_there_is_no_analysis() -> None:
    for shape in shapes(Skeleton(reasoning="none", calls={"f": "text"})):
        assert all(channel != "analysis" for channel, _ in shape)


def test_each_function_has_its_own_arguments() -> None:
    skeleton = Skeleton(None, {"f": "one", "g": "two"}, rules='one ::= "1"\ntwo ::= "2"\n')
    seen = set()
    for completion in completions(skeleton):
        *_, last = [message for message in parse_text(completion).messages if message.recipient]
        seen.add((last.recipient, last.content))
    assert seen == {("functions.f", "1"), ("functions.g", "2")}


@pytest.mark.parametrize("channel", ["analysis", "commentary"])
def test_what_the_prompt_has_begun_is_ended_first(channel: str) -> None:
    for completion in completions(Skeleton(reasoning="once", started=channel)):
        begun, end, rest = completion.partition("<|end|><|start|>assistant")
        assert end and not re.search(r"<\|[a-z]+\|>", begun)
        assert channel != "analysis" or "analysis" not in rest


def test_free_text_may_have_the_signs_of_a_marker_but_the_bar_as_its_own_token_only() -> None:
    assert any("<|" in text for text in completions(Skeleton(started="final"), 2000))
    assert not any("<|" in text for text in completions(Skeleton(started="final"), 2000, bar="!"))


def test_an_answer_that_the_prompt_has_begun_is_only_its_body() -> None:
    assert set(completions(Skeleton("body", started="final", rules='body ::= "{}"\n'))) == {"{}"}
