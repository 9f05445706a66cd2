"""What the client sees of the model's messages."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given

from lemonade_like.harmony.conversation import Opening
from lemonade_like.harmony.parser import Parser
from lemonade_like.turns.assembler import Assembler
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    MessageEnd,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
)
from tests.support.completions import Part, any_parts, one_frame_each, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def _events(parts: Iterable[Part], opening: Opening | None = None, **options: Any) -> list[Event]:
    numbers = count()
    assembler = Assembler(new_call_id=lambda: f"call_{next(numbers)}", opening=opening, **options)
    parser = Parser(opening)
    events: list[Event] = []
    for ids, text in one_frame_each(parts):
        if assembler.done:
            break
        events += assembler.add(parser.feed(ids, text))
    return [*events, *assembler.add(parser.finish()), *assembler.finish()]


def _seen(written: str, opening: Opening | None = None, **options: Any) -> dict[str, Any]:
    """Reasoning, content and calls as a client puts them together."""
    seen: dict[str, Any] = {"reasoning": "", "content": "", "calls": []}
    for event in _events(parts_of(written), opening, **options):
        if isinstance(event, ReasoningDelta):
            seen["reasoning"] += event.text
        elif isinstance(event, ContentDelta):
            seen["content"] += event.text
        elif isinstance(event, ToolCallStart):
            seen["calls"].append([event.name, ""])
        elif isinstance(event, ToolCallArgumentsDelta):
            seen["calls"][event.index][1] += event.text
    return seen


def test_analysis_is_reasoning_and_final_is_content() -> None:
    written = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>"

    assert _seen(written) == {"reasoning": "hm", "content": "4", "calls": []}


def test_commentary_without_recipient_and_an_unknown_channel_are_content() -> None:
    written = "<|channel|>commentary<|message|>a<|end|><|start|>assistant<|channel|>musing<|message|>b<|return|>"

    assert _seen(written)["content"] == "a\nb"


def test_blocks_of_one_kind_are_joined_by_one_newline() -> None:
    block = "<|channel|>analysis<|message|>{}<|end|><|start|>assistant"
    written = block.format("one") + block.format("") + block.format("two") + "<|channel|>final<|message|>x<|return|>"

    assert _seen(written)["reasoning"] == "one\ntwo"


def test_calls_are_numbered_and_named() -> None:
    written = (
        " to=functions.a<|channel|>commentary json<|message|>{}<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.b <|constrain|>json<|message|>{"x":1}<|call|>'
    )

    assert _seen(written)["calls"] == [["a", "{}"], ["b", '{"x":1}']]


def test_a_bare_name_is_a_call_if_it_was_declared() -> None:
    written = "<|channel|>commentary to=get_time<|message|>{}<|call|>"

    assert _seen(written, declared={"get_time"})["calls"] == [["get_time", "{}"]]
    assert _seen(written)["calls"] == []


def test_a_call_in_analysis_is_a_call() -> None:
    written = "<|channel|>analysis to=functions.a <|constrain|>json<|message|>{}<|call|>"

    assert _seen(written) == {"reasoning": "", "content": "", "calls": [["a", "{}"]]}


def test_a_content_type_is_no_name() -> None:
    for recipient in ("json", "assistant", "code"):
        assert _seen(f"<|channel|>final to={recipient}<|message|>4<|return|>")["content"] == "4"


def test_code_for_a_builtin_tool_is_in_the_raw_messages_only() -> None:
    events = _events(parts_of("<|channel|>analysis to=python code<|message|>print(4)<|call|>"))

    assert [type(event) for event in events] == [MessageEnd]
    assert events[0].message.content == "print(4)"  # type: ignore[union-attr]


def test_messages_that_the_model_invents_for_others_are_not_shown() -> None:
    written = "<|channel|>final<|message|>4<|end|><|start|>user<|message|>And 3+3?<|end|>"

    assert _seen(written)["content"] == "4"


def test_nothing_is_a_call_where_calls_are_not_allowed() -> None:
    written = "<|channel|>commentary to=functions.a<|message|>{}<|call|>"

    assert _seen(written, calls_allowed=False) == {"reasoning": "", "content": "", "calls": []}


def test_without_parallel_calls_the_first_is_the_last() -> None:
    written = (
        " to=functions.a<|channel|>commentary<|message|>{}<|end|><|start|>assistant"
        " to=functions.b<|channel|>commentary<|message|>{}<|call|>"
    )

    assert _seen(written, parallel_calls=False)["calls"] == [["a", "{}"]]


def test_stop_strings_match_the_visible_answer_only() -> None:
    analysis = "<|channel|>analysis<|message|>STOP here?<|end|><|start|>assistant"
    written = f"{analysis}<|channel|>final<|message|>go STOP no<|return|>"

    assert _seen(written, stop=["STOP"]) == {"reasoning": "STOP here?", "content": "go ", "calls": []}


def test_what_was_held_back_for_a_stop_string_comes_before_a_call() -> None:
    written = (
        "<|channel|>commentary<|message|>wait S<|end|><|start|>assistant to=functions.a<|channel|>commentary"
        "<|message|>{}<|call|>"
    )
    events = _events(parts_of(written), stop=["STOP"])
    shown = [event.text for event in events if isinstance(event, (ContentDelta, ToolCallArgumentsDelta))]

    assert "".join(shown) == "wait S{}"


def test_an_opened_answer_is_content_from_the_first_piece() -> None:
    assert _seen(" two<|return|>", Opening("final", "one,"))["content"] == " two"


@given(parts=any_parts)
def test_raw_messages_hold_all_that_is_shown(parts: list[Part]) -> None:
    raw = "".join(event.message.content for event in _events(parts) if isinstance(event, MessageEnd))
    shown = [event.text for event in _events(parts) if isinstance(event, (ContentDelta, ReasoningDelta))]

    for text in shown:
        assert text.removeprefix("\n") in raw


def test_an_answer_on_the_final_channel_is_shown_whatever_recipient_it_has() -> None:
    assert _seen("<|channel|>final to=the<|message|>4<|return|>")["content"] == "4"


def test_a_tool_is_called_by_the_name_that_was_declared() -> None:
    for recipient in ("functions.f", "functions.functions.f"):
        written = f" to={recipient}<|channel|>commentary<|message|>{{}}<|call|>"
        assert _seen(written, declared={"functions.f"})["calls"] == [["functions.f", "{}"]]
    assert _seen("<|channel|>final to=json<|message|>4<|return|>", declared={"json"})["calls"] == []


def test_what_is_kept_from_the_client_is_counted() -> None:
    assembler = Assembler(new_call_id=lambda: "call_0")
    parser = Parser()
    written = (
        " to=python<|channel|>analysis code<|message|>1<|end|><|start|>user<|message|>hm<|end|>"
        "<|start|>assistant<|channel|>final<|message|>4<|return|>"
    )
    for ids, text in one_frame_each(parts_of(written)):
        assembler.add(parser.feed(ids, text))

    assert assembler.hidden == {"hidden_call": 1, "invented_message": 1}


def test_text_held_back_for_a_stop_string_keeps_its_channel() -> None:
    written = (
        "<|channel|>commentary<|message|>Look EN<|end|><|start|>assistant<|channel|>final<|message|>Done<|return|>"
    )
    shown = [event for event in _events(parts_of(written), stop=["END"]) if isinstance(event, ContentDelta)]

    assert "".join(event.text for event in shown if event.channel == "commentary") == "Look EN"
    assert "".join(event.text for event in shown if event.channel == "final") == "\nDone"


def test_a_single_call_that_ends_the_turn_waits_for_the_engines_account() -> None:
    assembler = Assembler(new_call_id=lambda: "call_0", parallel_calls=False)
    parser = Parser()
    for ids, text in one_frame_each(parts_of(" to=functions.f<|channel|>commentary<|message|>{}<|call|>")):
        assembler.add(parser.feed(ids, text))

    assert not assembler.done
