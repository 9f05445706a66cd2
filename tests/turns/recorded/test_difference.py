"""Where a turn came out differently, or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.turns.recorded.difference import Difference, first_difference, text_difference
from tests.support.record import record

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

FINAL = "<|start|>assistant<|channel|>final<|message|>"
ANSWER = f"<|channel|>analysis<|message|>Two and two make four.<|end|>{FINAL}It is 4.<|return|>"
CALLS = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{args}<|call|>"


def _differ(encoder: HarmonyEncoding, one: str, other: str, **changes: Any) -> Difference | None:
    return first_difference(record(one, encoder, **changes), record(other, encoder))


def test_times_ids_of_calls_and_cached_tokens_are_no_differences(encoder: HarmonyEncoding) -> None:
    called = CALLS.format(args="{}")
    one, other = record(called, encoder), record(called, encoder, seconds=9.0, timings={"cache_n": 5}, turn="turn_2")
    other.events[0].update(id="call_other", at=99.0, pieces=4)
    assert first_difference(one, other) is None


@pytest.mark.parametrize(
    ("other", "channel", "recorded", "now"),
    [
        (ANSWER.replace("make four", "are four"), "analysis", "make four.<|end|>", "are four.<|end|>"),
        (ANSWER.replace("is 4", "is 5"), "final", "4.<|return|>", "5.<|return|>"),
        (ANSWER.replace("channel|>final", "channel|>commentary"), "header", "final<|message|>", "commentary<|mes"),
        (ANSWER.removesuffix("<|return|>"), "final", "<|return|>", ""),
        (ANSWER + FINAL, "header", "", "<|start|>assistant"),
    ],
)
def test_the_first_token_that_is_another_is_told_with_its_channel_and_what_stands_around(
    encoder: HarmonyEncoding, other: str, channel: str, recorded: str, now: str
) -> None:
    found = _differ(encoder, ANSWER, other)
    assert found is not None
    assert (found.what, found.channel) == ("output", channel)
    assert found.recorded.startswith(recorded)
    assert found.now.startswith(now)
    ids = record(ANSWER, encoder).output
    assert ids is not None and ids.ids is not None and found.token is not None
    before = encoder.decode(ids.ids[: found.token])
    # A token begins with the blank before its word, which both may have in common.
    assert f"{found.before}".strip().endswith(before[-10:].strip())


def test_the_same_text_in_other_tokens_is_another_output(encoder: HarmonyEncoding) -> None:
    one, other = record(ANSWER, encoder), record(ANSWER, encoder)
    assert other.output is not None and other.output.ids is not None
    place = other.output.ids.index(encoder.encode(" make")[0])
    other.output.ids[place : place + 1] = [*encoder.encode(" "), *encoder.encode("make")]
    found = first_difference(one, other)
    assert found is not None
    assert (found.what, found.token, found.channel) == ("output", place, None)


def test_without_ids_the_text_counts(encoder: HarmonyEncoding) -> None:
    output = {"exact": False, "ids": None, "tokens": 20, "text": ANSWER, "parts": None}
    assert _differ(encoder, ANSWER, ANSWER, output=output) is None
    found = _differ(encoder, ANSWER, ANSWER.replace("4.", "5."), output=output)
    assert found is not None
    assert (found.token, found.recorded) == (None, "4.<|return|>")


@pytest.mark.parametrize("outcome", ["cancelled", "failed"])
def test_a_turn_that_was_cut_short_is_the_same_as_far_as_it_went(encoder: HarmonyEncoding, outcome: str) -> None:
    short = ANSWER[: ANSWER.index(" 4.")]
    assert _differ(encoder, short, ANSWER, outcome=outcome) is None
    assert _differ(encoder, short, ANSWER) is not None
    found = _differ(encoder, short, ANSWER.replace("Two and", "2 and"), outcome=outcome)
    assert found is not None
    assert (found.channel, found.recorded[:7]) == ("analysis", "Two and")
    cut = CALLS.format(args='{"a": 1}').partition("1}")[0]
    assert _differ(encoder, cut, CALLS.format(args='{"a": 1}'), outcome=outcome) is None


@pytest.mark.parametrize(
    ("what", "value"),
    [("finish_reason", "length"), ("recovered", {"missing_end": 1}), ("stop_string", "END")],
)
def test_how_it_ended_is_compared_too(encoder: HarmonyEncoding, what: str, value: Any) -> None:
    plain, other = record(ANSWER, encoder), record(ANSWER, encoder, **{what: value})
    found, the_other_way = first_difference(plain, other), first_difference(other, plain)
    assert found is not None and the_other_way is not None
    assert (found.what, found.now) == (what, str(value))
    assert (the_other_way.what, the_other_way.recorded) == (what, str(value))


def test_calls_are_compared_one_by_one(encoder: HarmonyEncoding) -> None:
    def told(*calls: tuple[str, str]) -> dict[str, Any]:
        return {"output": None, "events": [{"type": "tool_call", "name": n, "arguments": a} for n, a in calls]}

    both = told(("f", "{}"), ("g", "{}"))
    for other, expected in [
        (both, None),
        (told(("f", "{}"), ("h", "{}")), Difference("call 2", "g", "h")),
        (told(("f", '{"a"}'), ("g", "{}")), Difference("call 1", "}", '"a"}', "{", 1)),
        (told(("f", "{}")), Difference("calls", "f, g", "f")),
    ]:
        assert first_difference(record(ANSWER, encoder, **both), record(ANSWER, encoder, **other)) == expected


def test_only_what_is_around_is_shown() -> None:
    found = text_difference("text", "a" * 1000 + "b" * 1000, "a" * 1000 + "c" * 1000)
    assert found == Difference("text", "b" * 60, "c" * 60, "a" * 60, 1000)
