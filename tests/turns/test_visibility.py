from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony.messages import Message
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.visibility import ReasoningView
from tests.support.rig import content

THOUGHT = MessageEnd(Message("assistant", "ab", "analysis"))
SAID = MessageEnd(Message("assistant", "c", "final"))


def turn() -> list[Event]:
    return [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        THOUGHT,
        ContentDelta("c"),
        SAID,
        ReasoningDelta("\nd"),
        ToolCallStart(0, "call", "f"),
        ToolCallArgumentsDelta(0, "{}"),
        Finish("tool_calls", Usage(1, 5, 3)),
    ]


def test_separate_reasoning_is_left_as_it_is() -> None:
    assert ReasoningView("separate").apply(turn()) == turn()


def test_hidden_reasoning_is_nowhere_but_in_the_usage() -> None:
    shown = ReasoningView("hidden").apply(turn())
    assert not any(isinstance(event, ReasoningDelta) for event in shown)
    assert THOUGHT not in shown and SAID in shown
    assert shown[-1] == turn()[-1]


def test_inline_reasoning_is_content_between_tags() -> None:
    shown = ReasoningView("inline").apply(turn())
    assert content(shown) == "<think>ab</think>c<think>\nd</think>"
    assert not any(isinstance(event, ReasoningDelta) for event in shown)
    kinds = [type(event) for event in shown]
    assert kinds.index(ToolCallStart) == len(kinds) - 3


def test_reasoning_that_is_cut_off_is_closed() -> None:
    shown = ReasoningView("inline").apply([ReasoningDelta("a"), Finish("length", Usage())])
    assert content(shown) == "<think>a</think>"
    assert isinstance(shown[-1], Finish)


@given(st.lists(st.integers(0, 9), max_size=5))
def test_it_does_not_matter_how_the_events_are_batched(cuts: list[int]) -> None:
    view = ReasoningView("inline")
    edges = [0, *sorted(cuts), 9]
    shown = [event for start, end in itertools.pairwise(edges) for event in view.apply(turn()[start:end])]
    assert shown == ReasoningView("inline").apply(turn())
