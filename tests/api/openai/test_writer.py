"""Events become chunks and answers, which say the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from lemonade_like.api.openai.fold import AnswerFold
from lemonade_like.api.openai.objects import AnswerHeader
from lemonade_like.api.openai.writer import ChunkWriter
from lemonade_like.errors import EngineFailure
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

HEADER = AnswerHeader(model='my "model"', system_fingerprint="fp", id="chatcmpl-1", created=1)
USAGE = Usage(prompt_tokens=10, completion_tokens=7, reasoning_tokens=3, cached_tokens=4)
USAGE_OBJECT = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def objects(stream: bytes) -> list[Any]:
    """The data of a stream; ``[DONE]`` as a string."""
    events = stream.decode().split("\n\n")
    assert events.pop() == ""
    data = [event.removeprefix("data: ") for event in events if not event.startswith(":")]
    return [each if each == "[DONE]" else orjson.loads(each) for each in data]


def streamed(batches: list[list[Event]], *, include_usage: bool = False) -> list[Any]:
    writer = ChunkWriter(HEADER, include_usage=include_usage)
    return objects(b"".join([writer.write((0, batch)) for batch in batches] + [writer.end()]))


RAW: list[Event] = [
    MessageEnd(Message("assistant", "hm", "analysis")),
    MessageEnd(Message("assistant", "{}", "commentary", "functions.f", "<|constrain|>json", "<|call|>")),
]
RAW_OBJECTS = [
    {"role": "assistant", "channel": "analysis", "recipient": None, "content_type": None, "content": "hm"},
    {
        "role": "assistant",
        "channel": "commentary",
        "recipient": "functions.f",
        "content_type": "<|constrain|>json",
        "content": "{}",
    },
]


@pytest.mark.parametrize("answer", [[], [ContentDelta("Hi")]])
def test_raw_messages_are_shown_where_they_are_asked_for(answer: list[Event]) -> None:
    events = [*RAW[:1], *answer, *RAW[1:], Finish("stop", USAGE)]
    writer = ChunkWriter(HEADER, include_harmony=True)
    *_, last, done = objects(writer.write((0, events)) + writer.end())
    fold = AnswerFold(HEADER, include_harmony=True)
    fold.add((0, events))

    assert done == "[DONE]"
    assert last["choices"][0]["delta"]["harmony"] == RAW_OBJECTS
    assert fold.answer()["choices"][0]["message"]["harmony"] == RAW_OBJECTS
    assert "harmony" not in folded(events)["choices"][0]["message"]


CALLED: list[Event] = [
    ToolCallStart(0, "call_1", "f"),
    ToolCallArgumentsDelta(0, '{"a":'),
    ToolCallArgumentsDelta(0, "1}"),
    Finish("tool_calls", USAGE),
]


def test_a_call_of_a_legacy_function_has_the_legacy_form() -> None:
    writer = ChunkWriter(HEADER, function_call=True)
    *chunks, done = objects(writer.write((0, CALLED)) + writer.end())
    fold = AnswerFold(HEADER, function_call=True)
    fold.add((0, CALLED))
    (choice,) = fold.answer()["choices"]

    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a":'}},
        {"function_call": {"arguments": "1}"}},
        {},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    ChatCompletion.model_validate(fold.answer(), strict=False)


def deltas(*events: Event) -> list[dict[str, Any]]:
    *chunks, done = streamed([list(events)])
    assert done == "[DONE]"
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def folded(events: list[Event]) -> dict[str, Any]:
    fold = AnswerFold(HEADER)
    fold.add((0, events))
    return fold.answer()


def accumulated(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client has when it has put all deltas together."""
    message: dict[str, Any] = {"content": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for key, value in choice["delta"].items():
                if key == "tool_calls":
                    for piece in value:
                        calls = message.setdefault("tool_calls", {})
                        call = calls.setdefault(piece["index"], {"function": {"name": "", "arguments": ""}})
                        call.update({name: piece[name] for name in ("id", "type") if name in piece})
                        for name, text in piece["function"].items():
                            call["function"][name] += text
                else:
                    message[key] = (message.get(key) or "") + value
            if choice["finish_reason"]:
                message["finish_reason"] = choice["finish_reason"]
    if "tool_calls" in message:
        message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
    return message


def test_a_chunk_has_the_fields_of_openai() -> None:
    chunk = streamed([[ContentDelta("Hi")]])[0]
    assert chunk == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": 'my "model"',
        "system_fingerprint": "fp",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "logprobs": None, "finish_reason": None}
        ],
    }


def test_the_role_is_in_the_first_delta_only() -> None:
    first, second, _ = deltas(ReasoningDelta("a"), ReasoningDelta("b"), Finish("stop", USAGE))
    assert first == {"role": "assistant", "reasoning_content": "a", "reasoning": "a"}
    assert second == {"reasoning_content": "b", "reasoning": "b"}


def test_a_tool_call_names_itself_once_and_streams_its_arguments() -> None:
    start, one, two, end = deltas(
        ToolCallStart(1, "call_9", "get_weather"),
        ToolCallArgumentsDelta(1, '{"city":'),
        ToolCallArgumentsDelta(1, '"Oslo"}'),
        Finish("tool_calls", USAGE),
    )
    call = {"index": 1, "id": "call_9", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    assert start == {"role": "assistant", "tool_calls": [call]}
    assert one == {"tool_calls": [{"index": 1, "function": {"arguments": '{"city":'}}]}
    assert two == {"tool_calls": [{"index": 1, "function": {"arguments": '"Oslo"}'}}]}
    assert end == {}


def test_progress_and_message_ends_write_nothing() -> None:
    writer = ChunkWriter(HEADER)
    assert writer.write((0, [Progress("loading"), MessageEnd(Message("assistant", "x"))])) == b""


def test_the_role_waits_for_the_first_delta_that_is_written() -> None:
    silent = MessageEnd(Message("assistant", ""))
    assert deltas(silent, ContentDelta("a"), silent, ContentDelta("b"))[:2] == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
    ]


def test_an_empty_answer_is_an_empty_string_in_the_last_delta() -> None:
    assert deltas(Finish("stop", USAGE)) == [{"role": "assistant", "content": ""}]
    assert deltas(ReasoningDelta("hm"), Finish("length", USAGE))[1] == {"content": ""}


def test_the_last_chunk_has_reason_and_timings() -> None:
    chunk = streamed([[ContentDelta("x"), Finish("length", USAGE, timings={"predicted_per_second": 9.5})]])[1]
    assert chunk["choices"][0]["finish_reason"] == "length"
    assert chunk["timings"] == {"predicted_per_second": 9.5}


def test_usage_comes_in_a_chunk_of_its_own_if_asked_for() -> None:
    *chunks, usage, done = streamed([[ContentDelta("x")], [Finish("stop", USAGE)]], include_usage=True)
    assert [chunk["usage"] for chunk in chunks] == [None, None]
    assert (usage["choices"], usage["usage"], done) == ([], USAGE_OBJECT, "[DONE]")


def test_usage_is_not_in_a_stream_that_did_not_ask_for_it() -> None:
    assert all("usage" not in chunk for chunk in streamed([[ContentDelta("x"), Finish("stop", USAGE)]])[:-1])


def test_an_error_in_the_stream_is_an_error_object_and_the_end() -> None:
    error, done = objects(ChunkWriter(HEADER).fail(EngineFailure("It died.")))
    assert error == {"error": {"message": "It died.", "type": "server_error", "param": None, "code": "engine_failure"}}
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("progress", "comment"),
    [
        (None, b": waiting\n\n"),
        (Progress("loading"), b": loading\n\n"),
        (Progress("queued"), b": queued\n\n"),
        (Progress("queued", 3), b": queued at place 3\n\n"),
        (Progress("prefill", 1024, 8192), b": prefill 1024/8192\n\n"),
    ],
)
def test_a_keep_alive_says_what_is_waited_for(progress: Progress | None, comment: bytes) -> None:
    writer = ChunkWriter(HEADER)
    if progress:
        writer.write((0, [progress]))
    assert writer.keep_alive() == comment


def test_all_choices_begin_in_their_order_whichever_speaks_first() -> None:
    writer = ChunkWriter(HEADER, choices=3)
    batches: list[tuple[int, list[Event]]] = [
        (2, [Progress("prefill", 1, 2)]),
        (1, [ReasoningDelta("Hm")]),
        (1, [ContentDelta("B")]),
        (0, [ContentDelta("A")]),
        *((index, [Finish("stop", USAGE)]) for index in (2, 0, 1)),
    ]
    chunks = objects(b"".join([writer.write(batch) for batch in batches] + [writer.end()]))[:-1]
    choices = [chunk["choices"][0] for chunk in chunks]

    assert [choice["index"] for choice in choices] == [0, 1, 2, 1, 0, 2, 0, 1]
    roles = [choice["index"] for choice in choices if "role" in choice["delta"]]
    assert roles == [0, 1, 2]
    said = ["".join(each["delta"].get("content", "") for each in choices if each["index"] == n) for n in range(3)]
    assert said == ["A", "B", ""]


def test_a_keep_alive_is_about_a_choice_that_is_not_finished() -> None:
    writer = ChunkWriter(HEADER, choices=2)
    writer.write((0, [Progress("prefill", 1, 2), Finish("stop", USAGE)]))
    writer.write((1, [Progress("queued")]))
    assert writer.keep_alive() == b": queued\n\n"


def test_the_whole_answer_has_the_fields_of_openai() -> None:
    answer = folded([ReasoningDelta("hm"), ContentDelta("Hi"), Finish("stop", USAGE, timings={"prompt_ms": 1.0})])
    assert answer == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": 'my "model"',
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "reasoning": "hm",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE_OBJECT,
        "timings": {"prompt_ms": 1.0},
    }


def test_content_is_null_when_there_are_only_calls() -> None:
    answer = folded([ToolCallStart(0, "c", "f"), ToolCallArgumentsDelta(0, "{}"), Finish("tool_calls", USAGE)])
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_choices_share_the_prompt_in_the_usage() -> None:
    fold = AnswerFold(HEADER, choices=2)
    fold.add((1, [ContentDelta("b"), Finish("length", USAGE)]))
    fold.add((0, [ContentDelta("a"), Finish("stop", USAGE)]))
    answer = fold.answer()
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in answer["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]
    assert answer["usage"]["prompt_tokens"] == 10
    assert answer["usage"]["completion_tokens"] == 14


def test_every_answer_has_an_id_of_its_own() -> None:
    assert AnswerHeader("m", "f").id != AnswerHeader("m", "f").id


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    """Events in the order that turns promise: calls start before their arguments, one finish, last."""
    events: list[Event] = [Progress("loading")] if draw(st.booleans()) else []
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["reasoning", "content", "call", "arguments", "end", "progress"]))):
        if kind == "reasoning":
            events.append(ReasoningDelta(draw(TEXT)))
        elif kind == "content":
            events.append(ContentDelta(draw(TEXT), draw(st.sampled_from(["final", "commentary", None]))))
        elif kind == "call":
            events.append(ToolCallStart(calls, f"call_{calls}", draw(TEXT)))
            calls += 1
        elif kind == "arguments" and calls:
            events.append(ToolCallArgumentsDelta(draw(st.integers(0, calls - 1)), draw(TEXT)))
        elif kind == "end":
            events.append(MessageEnd(Message("assistant", "")))
        elif kind == "progress":
            events.append(Progress("prefill", 1, 2))
    events.append(Finish(draw(st.sampled_from(["stop", "length", "tool_calls"])), USAGE, timings={"prompt_ms": 0.5}))
    return events


@given(turns(), st.data())
def test_the_stream_put_together_is_the_whole_answer(events: list[Event], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))))
    batches = [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    *chunks, usage, _ = streamed(batches, include_usage=True)
    whole = folded(events)
    choice = whole["choices"][0]
    message = {key: value for key, value in choice["message"].items() if key != "refusal"}
    assert accumulated(chunks) == {**message, "finish_reason": choice["finish_reason"]}
    assert usage["usage"] == whole["usage"]
    assert chunks[-1]["timings"] == whole["timings"]


@given(turns())
def test_chunks_and_answers_are_what_the_sdk_expects(events: list[Event]) -> None:
    for chunk in streamed([events], include_usage=True)[:-1]:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    ChatCompletion.model_validate(folded(events), strict=True)


def test_log_probabilities_stand_beside_their_text_streamed_and_whole() -> None:
    four = TokenLogprob("4", [52], -0.25, [("4", [52], -0.25), ("5", [53], -1.5)])
    end = TokenLogprob(".", [46], -0.5)
    events: list[Event] = [
        ReasoningDelta("2+2"),
        ContentDelta("4", logprobs=[four]),
        ContentDelta("."),
        ContentDelta("!", logprobs=[end]),
        Finish("stop", USAGE),
    ]
    four_object = {
        "token": "4",
        "logprob": -0.25,
        "bytes": [52],
        "top_logprobs": [
            {"token": "4", "logprob": -0.25, "bytes": [52]},
            {"token": "5", "logprob": -1.5, "bytes": [53]},
        ],
    }
    end_object = {"token": ".", "logprob": -0.5, "bytes": [46], "top_logprobs": []}

    *chunks, _ = streamed([events])
    assert [chunk["choices"][0]["logprobs"] for chunk in chunks] == [
        None,
        {"content": [four_object], "refusal": None},
        None,
        {"content": [end_object], "refusal": None},
        None,
    ]
    assert folded(events)["choices"][0]["logprobs"] == {"content": [four_object, end_object], "refusal": None}
    ChatCompletion.model_validate(folded(events), strict=True)


SERVER_CALLS: list[Event] = [
    ServerTools("weather", ()),
    ReasoningDelta("hm"),
    ServerToolCall(0, "call_1", "weather", "get_weather", '{"location":"Tokyo"}', 0),
    ServerToolCall(1, "call_2", "weather", "get_time", "{}", 0),
    ServerToolResult(1, "call_2", "no clock", failed=True),
    ServerToolResult(0, "call_1", "sunny"),
    ContentDelta("Sunny."),
    Finish("stop", USAGE),
]


def test_calls_that_the_server_runs_are_told_apart_from_those_that_the_client_has_to_run() -> None:
    message = folded(SERVER_CALLS)["choices"][0]["message"]
    common = {"type": "mcp", "server_label": "weather", "round": 0}
    assert message["server_tool_calls"] == [
        {"index": 0, "id": "call_1", **common, "name": "get_weather", "arguments": '{"location":"Tokyo"}',
         "output": "sunny"},
        {"index": 1, "id": "call_2", **common, "name": "get_time", "arguments": "{}", "error": "no clock"},
    ]  # fmt: skip
    assert "tool_calls" not in message

    *chunks, _ = streamed([SERVER_CALLS])
    assert all("tool_calls" not in chunk["choices"][0]["delta"] for chunk in chunks)
    steps = [step for chunk in chunks for step in chunk["choices"][0]["delta"].get("server_tool_calls", ())]
    whole: dict[int, dict[str, Any]] = {}
    for step in steps:
        ChatCompletionChunk.model_validate(chunks[0])
        whole.setdefault(step["index"], {}).update(step)
    assert [whole[index] for index in sorted(whole)] == message["server_tool_calls"]
    # Clients add deltas up, so nothing that is text is said twice.
    assert [sorted(step) for step in steps[2:]] == [["error", "index"], ["index", "output"]]
