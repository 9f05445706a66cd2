"""Events become content blocks, streamed and whole, which say the same; and what is sent back is what was said."""

from __future__ import annotations

import json
from array import array
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.api.anthropic.blocks import SIGNATURE
from lemonade_like.api.anthropic.schema import CountTokensRequest
from lemonade_like.api.anthropic.turn import turn_request
from lemonade_like.api.anthropic.writer import EventWriter, MessageFold, MessageHeader
from lemonade_like.api.validation import validated
from lemonade_like.errors import EngineFailure
from lemonade_like.harmony.messages import ChatMessage, Message, ToolCall
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    Progress,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.memory import Remembered
from tests.support.messages import checked, events_of, put_together

HEADER = MessageHeader(model='my "model"', max_tokens=7, request_id="req_1", id="msg_1")
USAGE = Usage(prompt_tokens=10, completion_tokens=7, reasoning_tokens=3, cached_tokens=4)
USAGE_OBJECT = {
    "input_tokens": 6,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 4,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 3},
}
DONE = Finish("stop", USAGE)


def streamed(*batches: list[Event], live: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    writer = EventWriter(HEADER, live)
    return events_of(b"".join([*(writer.write(batch) for batch in batches), writer.end()]))


def folded(*events: Event) -> dict[str, Any]:
    fold = MessageFold(HEADER)
    fold.add(events)
    return checked(json.loads(fold.answer()))


def blocks(*events: Event) -> Any:
    """The content that these events make, whole and streamed."""
    whole = folded(*events, DONE)["content"]
    assert put_together(streamed([*events, DONE]))["content"] == whole
    return whole


def call(index: int, arguments: str, name: str = "f") -> list[Event]:
    return [ToolCallStart(index, f"call_{index}", name), ToolCallArgumentsDelta(index, arguments)]


def test_a_stream_has_the_events_of_anthropic_in_their_order() -> None:
    events = streamed(
        [Progress("prefill", 2, 10), ReasoningDelta("hm"), ContentDelta("Hi")],
        [*call(0, '{"a":1}'), MessageEnd(Message("assistant", "Hi")), Finish("tool_calls", USAGE)],
    )
    start, end = "content_block_start", "content_block_stop"
    usage = {**USAGE_OBJECT, "input_tokens": 10, "cache_read_input_tokens": 0, "output_tokens": 0}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": 'my "model"',
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens_details": {"thinking_tokens": 0}},
    }
    use = {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {}}

    def delta(index: int, kind: str, field: str, text: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}

    assert events == [
        {"type": "message_start", "message": message},
        {"type": start, "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        delta(0, "thinking_delta", "thinking", "hm"),
        delta(0, "signature_delta", "signature", SIGNATURE),
        {"type": end, "index": 0},
        {"type": start, "index": 1, "content_block": {"type": "text", "text": ""}},
        delta(1, "text_delta", "text", "Hi"),
        {"type": end, "index": 1},
        {"type": start, "index": 2, "content_block": use},
        delta(2, "input_json_delta", "partial_json", '{"a":1}'),
        {"type": end, "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": USAGE_OBJECT,
        },
        {"type": "message_stop"},
    ]


def test_the_whole_message_has_the_fields_of_anthropic() -> None:
    assert folded(ReasoningDelta("h"), ReasoningDelta("m"), ContentDelta("Hi"), *call(0, '{"a":1}'), DONE) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": 'my "model"',
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE_OBJECT,
    }


@pytest.mark.parametrize(
    ("finish", "reason", "sequence"),
    [
        (DONE, "end_turn", None),
        (Finish("stop", USAGE, stop_string="END"), "stop_sequence", "END"),
        (Finish("tool_calls", USAGE), "tool_use", None),
        (Finish("length", USAGE), "max_tokens", None),
        (Finish("length", Usage(10, 6)), "model_context_window_exceeded", None),
    ],
)
def test_a_message_says_why_it_ends(finish: Finish, reason: str, sequence: str | None) -> None:
    whole, pieces = folded(finish), put_together(streamed([finish]))
    for message in (whole, pieces):
        assert (message["stop_reason"], message["stop_sequence"], message["content"]) == (reason, sequence, [])


def test_several_calls_are_blocks_of_their_own() -> None:
    assert blocks(*call(0, "{}"), *call(1, '{"b": [2]}', "g")) == [
        {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {}},
        {"type": "tool_use", "id": "toolu_1", "name": "g", "input": {"b": [2]}},
    ]


@pytest.mark.parametrize(
    "arguments", ['{"a":', "[1]", '"text"', "nonsense", '{"a": NaN}', '{"a":' * 70 + "1" + "}" * 70, '{"a":"\\ud800"}']
)
def test_arguments_that_are_no_json_object_are_kept_as_the_model_wrote_them(arguments: str) -> None:
    (block,) = blocks(*call(0, arguments))
    assert block["input"] == {"INVALID_JSON": arguments}


@pytest.mark.parametrize("arguments", ["", "  \n"])
def test_no_arguments_are_an_empty_input(arguments: str) -> None:
    (block,) = blocks(*call(0, arguments))
    assert block["input"] == {}


def test_numbers_stay_as_the_model_wrote_them() -> None:
    (block,) = blocks(*call(0, '{"a": 123456789012345678901234567890}'))
    assert block["input"] == {"a": 123456789012345678901234567890}


def test_the_input_of_a_tool_that_wants_it_live_is_passed_on_piece_by_piece() -> None:
    events: list[Event] = [*call(0, '{"a"'), ToolCallArgumentsDelta(0, ": oops"), *call(1, '{"b":', "g"), DONE]
    pieces = [
        (event["index"], event["delta"]["partial_json"])
        for event in streamed(events, live=frozenset({"f"}))
        if event["type"] == "content_block_delta"
    ]
    assert pieces == [(0, '{"a"'), (0, ": oops"), (1, '{"INVALID_JSON":"{\\"b\\":"}')]


def test_where_blocks_alternate_their_boundary_is_the_newline() -> None:
    assert blocks(
        ReasoningDelta("one"), ContentDelta("a"), ContentDelta("\nb"), ReasoningDelta("\ntwo"), ContentDelta("\n\nc")
    ) == [
        {"type": "thinking", "thinking": "one", "signature": SIGNATURE},
        {"type": "text", "text": "a\nb"},
        {"type": "thinking", "thinking": "two", "signature": SIGNATURE},
        {"type": "text", "text": "\nc"},
    ]


def test_progress_writes_nothing() -> None:
    silent: list[Event] = [Progress("loading"), MessageEnd(Message("assistant", "x")), ContentDelta("")]
    assert EventWriter(HEADER).write(silent) == b""


def test_a_keep_alive_is_a_ping_in_a_message_that_has_begun() -> None:
    writer = EventWriter(HEADER)
    assert [event["type"] for event in events_of(writer.keep_alive())] == ["message_start", "ping"]
    assert events_of(writer.keep_alive()) == [{"type": "ping"}]
    written = events_of(writer.write([ContentDelta("Hi")]))
    assert [event["type"] for event in written] == ["content_block_start", "content_block_delta"]


def test_an_error_in_the_stream_is_anthropics_object() -> None:
    assert events_of(EventWriter(HEADER).fail(EngineFailure("It died."))) == [
        {"type": "error", "error": {"type": "api_error", "message": "It died."}, "request_id": "req_1"}
    ]


def test_every_message_has_an_id_of_its_own() -> None:
    assert MessageHeader("m", 1).id != MessageHeader("m", 1).id


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ARGUMENTS = st.dictionaries(TEXT, st.integers(-(2**63), 2**63) | TEXT, max_size=3).map(
    lambda value: orjson.dumps(value).decode()
)


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    """Events in the order that turns promise: one call after the other, one finish, last."""
    events: list[Event] = [Progress("prefill", 1, 10)] if draw(st.booleans()) else []
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["reasoning", "content", "call", "end", "progress"]))):
        if kind == "reasoning":
            events.append(ReasoningDelta(draw(TEXT)))
        elif kind == "content":
            events.append(ContentDelta(draw(TEXT), draw(st.sampled_from(["final", "commentary", None]))))
        elif kind == "call":
            events.append(ToolCallStart(calls, f"call_{calls}", draw(TEXT)))
            written = draw(ARGUMENTS | TEXT)
            cut = draw(st.integers(0, len(written)))
            events += [ToolCallArgumentsDelta(calls, written[:cut]), ToolCallArgumentsDelta(calls, written[cut:])]
            calls += 1
        elif kind == "end":
            events.append(MessageEnd(Message("assistant", "")))
        elif kind == "progress":
            events.append(Progress("queued"))
    reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    events.append(Finish(reason, USAGE, stop_string=draw(st.none() | TEXT)))
    return events


@given(turns(), st.data())
def test_the_stream_put_together_is_the_whole_message(events: list[Event], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))))
    batches = [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    assert put_together(streamed(*batches)) == folded(*events)


@given(turns())
def test_nothing_of_the_turn_is_lost(events: list[Event]) -> None:
    content = folded(*events)["content"]
    said = "".join(block.get("text", "") for block in content).replace("\n", "")
    thought = "".join(block.get("thinking", "") for block in content).replace("\n", "")
    assert said == "".join(event.text for event in events if isinstance(event, ContentDelta)).replace("\n", "")
    assert thought == "".join(event.text for event in events if isinstance(event, ReasoningDelta)).replace("\n", "")
    names = [event.name for event in events if isinstance(event, ToolCallStart)]
    assert [block["name"] for block in content if block["type"] == "tool_use"] == names


@st.composite
def harmony_turns(draw: st.DrawFn) -> tuple[list[Event], Remembered, str]:
    """A turn of a GPT-OSS model that ends in calls: blocks of one kind joined by a newline; what is kept of it."""
    events: list[Event] = []
    said: dict[str, list[str]] = {"content": [], "reasoning": []}
    calls: list[ToolCall] = []
    for kind in [*draw(st.lists(st.sampled_from(["reasoning", "content", "call"]), max_size=6)), "call"]:
        if kind == "call":
            written = draw(ARGUMENTS | TEXT.filter(str.strip))
            calls.append(ToolCall(f"call_{len(calls)}", "f", written))
            events += call(len(calls) - 1, written)
            continue
        text = draw(TEXT.filter(bool))
        joined = f"\n{text}" if said[kind] else text
        said[kind].append(text)
        events.append(ReasoningDelta(joined) if kind == "reasoning" else ContentDelta(joined))
    events.append(Finish("tool_calls", USAGE))
    kept = Remembered(array("I", [1]), "\n".join(said["content"]), tuple(calls), "2026-01-01")
    return events, kept, "\n".join(said["reasoning"])


@given(harmony_turns())
def test_what_is_sent_back_is_recognised_as_what_was_generated(turn: tuple[list[Event], Remembered, str]) -> None:
    events, kept, reasoning = turn
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": folded(*events)["content"]}]
    read: ChatMessage = turn_request(validated(CountTokensRequest, {"model": "m", "messages": messages})).messages[1]
    assert kept.is_what(read)
    assert (read.reasoning or "") == reasoning
