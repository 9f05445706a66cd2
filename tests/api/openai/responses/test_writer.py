"""Events become output items, streamed and whole, which say the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.api.openai.responses.header import response_header
from lemonade_like.api.openai.responses.schema import ResponsesRequest
from lemonade_like.api.openai.responses.sealed import unsealed
from lemonade_like.api.openai.responses.writer import EventWriter, ResponseFold, ResponseHeader
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, QueueFull, ServerError
from lemonade_like.harmony.messages import Message
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    Progress,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ServerTools,
    TokenLogprob,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from tests.support.responses import WEATHER, checked, events_of, put_together
from tests.support.toolboxes import tool

USAGE = Usage(prompt_tokens=10, completion_tokens=7, reasoning_tokens=3, cached_tokens=4)
DONE = Finish("stop", USAGE)
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}


def header(**asked: Any) -> ResponseHeader:
    body = validated(ResponsesRequest, {"model": 'my "model"', "input": "Hi", **asked})
    made = response_header(body, stored=True)
    return replace(made, id="resp_" + "0" * 48, created_at=1_000, clock=lambda: 1_002.9)


def streamed(*batches: list[Event], **asked: Any) -> list[dict[str, Any]]:
    writer = EventWriter(header(**asked))
    return events_of(b"".join([*(writer.write(batch) for batch in batches), writer.end()]))


def folded(*events: Event, **asked: Any) -> dict[str, Any]:
    fold = ResponseFold(header(**asked))
    fold.add(events)
    return checked(orjson.loads(orjson.dumps(fold.response())))


def output(*events: Event, **asked: Any) -> Any:
    """The items that these events make, whole and streamed."""
    finished = events if isinstance(events[-1], Finish) else (*events, DONE)
    whole = folded(*finished, **asked)
    assert put_together(streamed([*finished], **asked)) == whole
    return whole["output"]


def texts(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["type"], item["content"][0]["text"] if "content" in item else item["arguments"]) for item in items]


def call(index: int, arguments: str, name: str = "f") -> list[Event]:
    return [ToolCallStart(index, f"call_{index}", name), ToolCallArgumentsDelta(index, arguments)]


def test_a_stream_has_the_events_of_openai_in_their_order() -> None:
    events = streamed(
        [Progress("prefill", 2, 10), ReasoningDelta("hm")],
        [ContentDelta("Hi"), *call(0, '{"a":1}'), MessageEnd(Message("assistant", "Hi"))],
        [Finish("tool_calls", USAGE)],
    )
    ids = [f"{kind}_{'0' * 48}_{index}" for index, kind in enumerate(("rs", "msg", "fc"))]
    assert [(event["type"], event.get("item_id"), event.get("output_index")) for event in events] == [
        ("response.created", None, None),
        ("response.in_progress", None, None),
        ("response.output_item.added", None, 0),
        ("response.content_part.added", ids[0], 0),
        ("response.reasoning_text.delta", ids[0], 0),
        ("response.reasoning_text.done", ids[0], 0),
        ("response.content_part.done", ids[0], 0),
        ("response.output_item.done", None, 0),
        ("response.output_item.added", None, 1),
        ("response.content_part.added", ids[1], 1),
        ("response.output_text.delta", ids[1], 1),
        ("response.output_text.done", ids[1], 1),
        ("response.content_part.done", ids[1], 1),
        ("response.output_item.done", None, 1),
        ("response.output_item.added", None, 2),
        ("response.function_call_arguments.delta", ids[2], 2),
        ("response.function_call_arguments.done", ids[2], 2),
        ("response.output_item.done", None, 2),
        ("response.completed", None, None),
    ]


def test_a_whole_response_has_the_fields_of_openai() -> None:
    answer = folded(ReasoningDelta("hm"), ContentDelta("Hi"), *call(0, '{"a":1}'), DONE, tools=[WEATHER])
    base = "0" * 48
    part = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    assert answer == {
        "id": f"resp_{base}",
        "object": "response",
        "created_at": 1_000,
        "status": "completed",
        "completed_at": 1_002,
        "error": None,
        "incomplete_details": None,
        "model": 'my "model"',
        "instructions": None,
        "previous_response_id": None,
        "metadata": {},
        "tools": [WEATHER],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "temperature": None,
        "top_p": None,
        "top_logprobs": 0,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "truncation": "disabled",
        "store": True,
        "background": False,
        "service_tier": "default",
        "user": None,
        "safety_identifier": None,
        "prompt_cache_key": None,
        "output": [
            {
                "id": f"rs_{base}_0",
                "type": "reasoning",
                "status": "completed",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "hm"}],
            },
            {
                "id": f"msg_{base}_1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "phase": "final_answer",
                "content": [part],
            },
            {
                "id": f"fc_{base}_2",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_0",
                "name": "f",
                "arguments": '{"a":1}',
            },
        ],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 17,
        },
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"instructions": "Be brief."}, {"instructions": "Be brief."}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ({"text": {"verbosity": "low"}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "get_weather"}},
            {"tool_choice": {"type": "function", "name": "get_weather"}},
        ),
        ({"tools": [{"type": "web_search"}, PATCH]}, {"tools": [PATCH]}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "n",
                        "schema": {"type": "object"},
                        "description": None,
                        "strict": True,
                    },
                    "verbosity": "medium",
                }
            },
        ),
        ({"user": "u", "prompt_cache_key": "k", "safety_identifier": "s"}, {"user": "u", "prompt_cache_key": "k"}),
        ({"max_output_tokens": 9, "max_tool_calls": 3, "top_logprobs": 2}, {"max_output_tokens": 9, "top_logprobs": 2}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_response_repeats_what_was_asked(asked: dict[str, Any], said: dict[str, Any]) -> None:
    answer = folded(DONE, **asked)
    assert {name: answer[name] for name in said} == said


def test_commentary_and_the_answer_are_messages_of_their_own() -> None:
    items = output(
        ReasoningDelta("a"),
        ContentDelta("Let me see.", "commentary"),
        ReasoningDelta("\nb"),
        ContentDelta("\nYes", "final"),
        ContentDelta("!", "final"),
    )
    assert texts(items) == [("reasoning", "a"), ("message", "Let me see."), ("reasoning", "b"), ("message", "Yes!")]
    assert [item.get("phase") for item in items] == [None, "commentary", None, "final_answer"]


def test_the_newline_between_two_messages_is_their_boundary() -> None:
    items = output(ContentDelta("One.", "commentary"), ContentDelta("\n", "final"), ContentDelta("\nTwo."))
    assert texts(items) == [("message", "One."), ("message", "\nTwo.")]


def test_nothing_said_is_no_item() -> None:
    assert output(ReasoningDelta(""), ContentDelta(""), DONE) == []


def test_a_call_without_arguments_is_a_whole_item() -> None:
    items = output(ToolCallStart(0, "call_0", "f"), ToolCallStart(1, "call_1", "g"))
    assert [(item["call_id"], item["arguments"], item["status"]) for item in items] == [
        ("call_0", "", "completed"),
        ("call_1", "", "completed"),
    ]


def test_a_response_that_was_cut_is_incomplete_and_so_is_its_last_item() -> None:
    answer = folded(ReasoningDelta("hm"), *call(0, '{"a'), Finish("length", USAGE))
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert answer["completed_at"] is None
    assert [item["status"] for item in answer["output"]] == ["completed", "incomplete"]
    events = streamed([ReasoningDelta("hm"), *call(0, '{"a'), Finish("length", USAGE)])
    assert put_together(events) == answer
    assert events[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "*** Begin\\nPatch"}', "*** Begin\nPatch"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input": 3}', '{"input": 3}'),
        ('{"input": "a", "more": 1}', '{"input": "a", "more": 1}'),
        ("", ""),
    ],
)
def test_a_custom_tool_is_given_text(arguments: str, text: str) -> None:
    pieces: list[Event] = [ToolCallArgumentsDelta(0, piece) for piece in arguments]
    item = output(ToolCallStart(0, "call_0", "apply_patch"), *pieces, tools=[PATCH])[0]
    assert (item["type"], item["call_id"], item["name"], item["input"]) == (
        "custom_tool_call",
        "call_0",
        "apply_patch",
        text,
    )


def test_a_call_of_a_tool_in_a_namespace_is_told_apart() -> None:
    weather = {"type": "namespace", "name": "mcp__weather", "description": "", "tools": [WEATHER, PATCH]}
    called = [*call(0, "{}", "mcp__weather__get_weather"), *call(1, '{"input": "x"}', "mcp__weather__apply_patch")]
    items = output(*called, *call(2, "{}", "get_weather"), tools=[weather])

    assert [(item["type"], item.get("namespace"), item["name"]) for item in items] == [
        ("function_call", "mcp__weather", "get_weather"),
        ("custom_tool_call", "mcp__weather", "apply_patch"),
        ("function_call", None, "get_weather"),
    ]
    (repeated,) = folded(DONE, tools=[weather])["tools"]
    assert [tool["name"] for tool in repeated["tools"]] == ["get_weather", "apply_patch"]


def test_reasoning_is_packed_for_clients_that_ask_for_it() -> None:
    include = ["reasoning.encrypted_content"]
    item = output(ReasoningDelta("hm "), ReasoningDelta("漢"), include=include)[0]
    assert unsealed(item["encrypted_content"]) == "hm 漢"
    assert item["content"][0]["text"] == "hm 漢"
    assert "encrypted_content" not in output(ReasoningDelta("hm"))[0]


def test_log_probabilities_stand_beside_their_text_streamed_and_whole() -> None:
    four = TokenLogprob("4", [52], -0.25, [("4", [52], -0.25), ("5", [53], -1.5)])
    end = TokenLogprob(".", [46], -0.5)
    item = output(ContentDelta("4", logprobs=[four]), ContentDelta("."), ContentDelta("!", logprobs=[end]))[0]
    assert item["content"][0]["logprobs"] == [
        {
            "token": "4",
            "bytes": [52],
            "logprob": -0.25,
            "top_logprobs": [
                {"token": "4", "bytes": [52], "logprob": -0.25},
                {"token": "5", "bytes": [53], "logprob": -1.5},
            ],
        },
        {"token": ".", "bytes": [46], "logprob": -0.5, "top_logprobs": []},
    ]


def test_a_stream_begins_with_the_first_word_and_not_with_progress() -> None:
    writer = EventWriter(header())
    assert writer.write([Progress("loading")]) == b""
    assert writer.write([ContentDelta("H")]).startswith(b"event: response.created\n")
    assert b"response.created" not in writer.write([Progress("prefill", 1, 2), ContentDelta("i")])


@pytest.mark.parametrize(
    ("progress", "comment"),
    [
        (None, b": waiting\n\n"),
        (Progress("loading"), b": loading\n\n"),
        (Progress("prefill", 1024, 8192), b": prefill 1024/8192\n\n"),
    ],
)
def test_a_keep_alive_opens_the_response_and_says_what_is_waited_for(progress: Progress | None, comment: bytes) -> None:
    writer = EventWriter(header())
    if progress is not None:
        writer.write([progress])
    first, second = writer.keep_alive(), writer.keep_alive()
    assert first.startswith(b"event: response.created\n") and first.endswith(comment)
    assert second == comment
    rest = writer.write([ContentDelta("Hi"), DONE])
    assert put_together(events_of(first + second + rest))["output"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailure("It died."), "server_error"),
        (BadRequest("'messages[3]' is no."), "invalid_prompt"),
        (QueueFull("Later.", retry_after=3), "rate_limit_exceeded"),
    ],
)
def test_a_failure_is_an_error_and_the_end_of_the_response(error: ServerError, code: str) -> None:
    writer = EventWriter(header())
    begun = writer.write([ReasoningDelta("hm"), ContentDelta("Hel")])
    *_, told, failed = events_of(begun + writer.fail(error))
    assert (told["type"], told["code"]) == ("error", error.code)
    assert "messages" not in told["message"]
    assert failed["type"] == "response.failed"
    response = checked(failed["response"])
    assert (response["status"], response["error"]["code"]) == ("failed", code)
    assert texts(response["output"]) == [("reasoning", "hm"), ("message", "Hel")]
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_a_full_context_is_told_by_the_code_that_clients_look_for() -> None:
    *_, failed = EventWriter(header()).fail(ContextLengthExceeded("Too long.")).split(b"data: ")
    assert orjson.loads(failed)["response"]["error"]["code"] == "context_length_exceeded"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    """Events in the order that turns promise: calls one after the other, one finish, last."""
    events: list[Event] = [Progress("loading")] if draw(st.booleans()) else []
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["reasoning", "content", "call", "end", "progress"]))):
        if kind == "reasoning":
            events.append(ReasoningDelta(draw(TEXT)))
        elif kind == "content":
            logprobs = draw(st.none() | st.just([TokenLogprob("a", [97], -0.5)]))
            channel = draw(st.sampled_from(["final", "commentary", "analysis", None]))
            events.append(ContentDelta(draw(TEXT), channel, logprobs))
        elif kind == "call":
            events.append(ToolCallStart(calls, f"call_{calls}", draw(st.sampled_from(["f", "apply_patch"]))))
            events += [ToolCallArgumentsDelta(calls, text) for text in draw(st.lists(TEXT, max_size=3))]
            calls += 1
        elif kind == "end":
            events.append(MessageEnd(Message("assistant", "")))
        else:
            events.append(Progress("prefill", 1, 2))
    events.append(Finish(draw(st.sampled_from(["stop", "length", "tool_calls"])), USAGE, timings={"prompt_ms": 0.5}))
    return events


@given(turns(), st.data())
def test_the_stream_put_together_is_the_whole_response(events: list[Event], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))))
    batches = [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    asked: Any = {"tools": [PATCH], "include": data.draw(st.sampled_from([[], ["reasoning.encrypted_content"]]))}
    assert put_together(streamed(*batches, **asked)) == folded(*events, **asked)


@given(turns())
def test_nothing_that_was_said_is_lost(events: list[Event]) -> None:
    items = folded(*events)["output"]
    said = "".join(event.text for event in events if isinstance(event, ContentDelta))
    shown = [item["content"][0]["text"] for item in items if item["type"] == "message"]
    # Where an item ends, the newline that joins two blocks has become its boundary.
    assert "".join(shown).replace("\n", "") == said.replace("\n", "")
    arguments = "".join(event.text for event in events if isinstance(event, ToolCallArgumentsDelta))
    assert "".join(item["arguments"] for item in items if item["type"] == "function_call") == arguments


CALL = ServerToolCall(0, "call_1", "weather", "get_weather", '{"location":"Tokyo"}', 0)
OTHER = ServerToolCall(1, "call_2", "weather", "get_time", "", 0)


def test_the_servers_tools_and_its_calls_are_items() -> None:
    events: list[Event] = [
        ServerTools("weather", (tool("weather", "get_weather"),)),
        ReasoningDelta("hm"),
        CALL,
        OTHER,
        ServerToolResult(1, "call_2", "no clock", failed=True),
        ServerToolResult(0, "call_1", "sunny"),
        ReasoningDelta("\nI see."),
        ContentDelta("Sunny."),
    ]
    offer, thought, call, other, more, answer = output(*events)

    assert (offer["type"], offer["server_label"], offer["tools"][0]["name"]) == (
        "mcp_list_tools",
        "weather",
        "get_weather",
    )
    assert (call["type"], call["status"], call["output"], call["error"]) == ("mcp_call", "completed", "sunny", None)
    assert (call["server_label"], call["name"], call["arguments"]) == ("weather", "get_weather", CALL.arguments)
    assert (other["status"], other["output"]) == ("failed", None)
    assert other["error"]["content"] == [{"type": "text", "text": "no clock"}]
    assert [item["content"][0]["text"] for item in (thought, more, answer)] == ["hm", "I see.", "Sunny."]


def test_tools_that_the_conversation_lists_already_are_not_listed_again() -> None:
    fold = ResponseFold(replace(header(), listed=frozenset({"weather"})))
    fold.add([ServerTools("weather", ()), ServerTools("web", ()), DONE])
    assert [item["server_label"] for item in fold.response()["output"]] == ["web"]


def test_a_call_whose_answer_fails_is_incomplete() -> None:
    writer = EventWriter(header())
    events = events_of(writer.write([CALL]) + writer.fail(EngineFailure("gone")))
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["status"], item["arguments"]) == ("mcp_call", "incomplete", CALL.arguments)


def test_the_tools_of_a_server_are_repeated_as_they_were_asked_for() -> None:
    asked = {"type": "mcp", "server_label": "weather", "allowed_tools": ["get_weather"], "require_approval": "never"}
    (said,) = folded(DONE, tools=[asked])["tools"]
    assert said == {**asked, "allowed_tools": {"tool_names": ["get_weather"]}}


def test_what_is_kept_and_what_is_answered_were_completed_at_one_time() -> None:
    ticks = iter(range(2_000, 3_000))
    one = replace(header(), clock=lambda: next(ticks))
    kept, answered = ResponseFold(one), ResponseFold(one)
    kept.add([DONE])
    answered.add([DONE])
    assert kept.response() == answered.response()
