"""What is taken of a request for a response, and what is said of what is not."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseItemList

from lemonade_like.api.openai.responses.items import kept_items
from lemonade_like.api.openai.responses.schema import ItemIn, ResponsesRequest
from lemonade_like.api.openai.responses.sealed import sealed, unsealed
from lemonade_like.api.openai.responses.tools import tools_left_out
from lemonade_like.api.openai.responses.turn import turn_request
from lemonade_like.api.openai.responses.writer import ResponseFold, ResponseHeader
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.request import ResponseFormat, TurnRequest
from tests.support.responses import WEATHER

CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
ID = "resp_" + "0" * 48


def body(**fields: Any) -> ResponsesRequest:
    return validated(ResponsesRequest, {"model": "m", "input": "Hi", **fields})


def turn(**fields: Any) -> TurnRequest:
    return turn_request(body(**fields))


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        turn(**fields)
    return caught.value


def said(*items: dict[str, Any]) -> tuple[ChatMessage, ...]:
    return turn(input=list(items)).messages


def test_a_string_is_what_the_user_says() -> None:
    assert turn(input="Hi").messages == (ChatMessage("user", (TextPart("Hi"),)),)


def test_instructions_come_first_and_only_if_there_are_any() -> None:
    assert [message.role for message in turn(instructions="Be brief.").messages] == ["system", "user"]
    assert [message.role for message in turn(instructions="").messages] == ["user"]


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
@pytest.mark.parametrize("kind", ["input_text", "output_text", "text"])
def test_a_message_has_its_role_and_its_parts(role: str, kind: str) -> None:
    parts = [{"type": kind, "text": "One"}, {"type": kind, "text": "Two"}]
    for item in ({"role": role, "content": parts}, {"type": "message", "role": role, "content": parts}):
        assert said(item) == (ChatMessage(role, (TextPart("One"), TextPart("Two"))),)  # type: ignore[arg-type]


def test_the_items_of_one_assistants_turn_are_one_message() -> None:
    messages = said(
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "One."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}], "phase": "commentary"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Two."}]},
        CALL,
        {**CALL, "call_id": "call_2"},
        OUTPUT,
        {**OUTPUT, "call_id": "call_2", "output": [{"type": "input_text", "text": "rainy"}]},
        {"role": "assistant", "content": "Done."},
    )
    calls = (ToolCall("call_1", "f", '{"a": 1}'), ToolCall("call_2", "f", '{"a": 1}'))
    assert messages == (
        ChatMessage("user", (TextPart("Hi"),)),
        ChatMessage("assistant", (TextPart("Let me look."),), reasoning="One.\nTwo.", tool_calls=calls),
        ChatMessage("tool", (TextPart("sunny"),), tool_call_id="call_1"),
        ChatMessage("tool", (TextPart("rainy"),), tool_call_id="call_2"),
        ChatMessage("assistant", (TextPart("Done."),)),
    )


@pytest.mark.parametrize(
    ("item", "reasoning"),
    [
        ({"content": [{"type": "reasoning_text", "text": "full"}], "encrypted_content": sealed("packed")}, "full"),
        ({"content": None, "encrypted_content": sealed("packed")}, "packed"),
        ({"encrypted_content": "gAAAA-of-somebody-else", "summary": [{"type": "summary_text", "text": "s"}]}, "s"),
        ({"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}, "a\nb"),
        ({"summary": [], "encrypted_content": None}, None),
    ],
)
def test_reasoning_is_taken_as_fully_as_it_is_there(item: dict[str, Any], reasoning: str | None) -> None:
    message, _ = said({"type": "reasoning", "summary": [], **item}, {"role": "user", "content": "x"})
    assert message.reasoning == reasoning


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_packed_reasoning_comes_out_as_it_went_in(text: str) -> None:
    assert unsealed(sealed(text)) == text


@given(st.text() | st.text().map(lambda text: f"lemonade-like.1.{text}"))
def test_what_was_not_packed_here_is_never_an_error(text: str) -> None:
    assert unsealed(text) is None or sealed(unsealed(text) or "")


def test_a_custom_tool_is_a_function_that_takes_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    (tool,) = turn(tools=[{**PATCH, "format": grammar}]).tools
    assert tool.name == "apply_patch"
    assert tool.description == "Edits files.\nThe input must follow this lark grammar:\nstart: WORD"
    assert tool.parameters is not None and list(tool.parameters["properties"]) == ["input"]
    call = {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": "*** Begin\n"}
    assistant, result = said(call, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"})
    assert json.loads(assistant.tool_calls[0].arguments) == {"input": "*** Begin\n"}
    assert result.tool_call_id == "call_1"


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_preview", "file_search", "code_interpreter", "computer_use_preview"),
        *("image_generation", "local_shell", "shell", "apply_patch", "tool_search"),
    ],
)
def test_tools_that_others_run_are_left_out(kind: str) -> None:
    asked = body(tools=[{"type": kind, "server_label": "x"}, WEATHER])
    assert [tool.name for tool in turn_request(asked).tools] == ["get_weather"]
    assert tools_left_out(asked.tools) == [kind]


NAMESPACE = {"type": "namespace", "name": "mcp__weather", "tools": [WEATHER, {"type": "web_search"}]}


def test_the_tools_of_a_namespace_are_functions_of_longer_names() -> None:
    asked = body(tools=[NAMESPACE, WEATHER], tool_choice={"type": "function", "name": "mcp__weather__get_weather"})
    request = turn_request(asked)
    assert [tool.name for tool in request.tools] == ["mcp__weather__get_weather", "get_weather"]
    assert request.allowed_tools == {"mcp__weather__get_weather"}
    assert tools_left_out(asked.tools) == []


def test_a_call_of_a_tool_in_a_namespace_is_shown_as_the_model_made_it() -> None:
    call = {"type": "function_call", "call_id": "c", "namespace": "mcp__weather", "name": "get_weather"}
    assistant, _ = said({**call, "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "1"})
    assert assistant.tool_calls[0].name == "mcp__weather__get_weather"


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "namespace", "tools": []}], "tools[0].name"),
        ([{**NAMESPACE, "tools": [{"type": "telepathy"}]}], "tools[0].tools[0].type"),
        ([{**NAMESPACE, "tools": [{"type": "function"}]}], "tools[0].tools[0].name"),
        ([{**NAMESPACE, "tools": "x"}], "tools[0].tools"),
        ([WEATHER, NAMESPACE, NAMESPACE], "tools[2].name"),
    ],
)
def test_a_namespace_that_cannot_be_is_refused_by_name(tools: list[Any], param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        turn(tools=tools)
    assert raised.value.param == param


@pytest.mark.parametrize("kind", ["web_search_call", "local_shell_call", "local_shell_call_output", "mcp_list_tools"])
def test_what_such_tools_did_is_not_shown(kind: str) -> None:
    assert len(said({"type": kind, "id": "x"}, {"role": "user", "content": "Hi"})) == 1


def test_a_function_is_offered_as_it_is_declared() -> None:
    assert turn(tools=[{**WEATHER, "strict": True}]).tools == (
        FunctionTool("get_weather", WEATHER["description"], WEATHER["parameters"], strict=True),
    )


@pytest.mark.parametrize(
    ("choice", "mode", "allowed"),
    [
        ("none", "none", None),
        ("auto", "auto", None),
        ("required", "required", None),
        ({"type": "function", "name": "get_weather"}, "required", {"get_weather"}),
        ({"type": "custom", "name": "apply_patch"}, "required", {"apply_patch"}),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "get_weather"}, {"type": "web_search"}],
            },
            "auto",
            {"get_weather"},
        ),
    ],
    ids=str,
)
def test_a_tool_choice(choice: Any, mode: str, allowed: set[str] | None) -> None:
    asked = turn(tools=[WEATHER, PATCH], tool_choice=choice)
    assert (asked.tool_choice, asked.allowed_tools) == (mode, allowed)


def test_what_else_is_asked_of_the_turn() -> None:
    asked = turn(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=9,
        parallel_tool_calls=False,
        reasoning={"effort": "minimal", "summary": "auto"},
        top_logprobs=3,
    )
    assert (asked.sampling.temperature, asked.sampling.top_p) == (0.5, 0.9)
    assert (asked.max_tokens, asked.parallel_tool_calls) == (9, False)
    assert (asked.reasoning_effort, asked.top_logprobs) == ("minimal", 3)
    assert turn(include=["message.output_text.logprobs"]).top_logprobs == 0
    assert turn(top_logprobs=0).top_logprobs is None


def test_the_form_of_the_answer() -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "name": "n", "schema": schema, "description": "d", "strict": False}
    assert turn(text={"format": wanted}).response_format == ResponseFormat(
        "n", schema, "d", strict=False, param="text.format.schema"
    )
    assert turn(text={"format": {"type": "json_object"}}).response_format is not None
    assert turn(text={"format": {"type": "text"}, "verbosity": "high"}).response_format is None


def test_what_says_nothing_to_the_model_is_taken() -> None:
    asked = turn(
        user="u",
        service_tier="flex",
        truncation="auto",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        safety_identifier="s",
        stream_options={"include_obfuscation": False},
        include=["file_search_call.results"],
        metadata={"a": "b"},
    )
    assert asked == turn()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 3}, "model"),
        ({"input": {"role": "user"}}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "nonsense"}]}, "input[0].type"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"input": [CALL, {"type": "function_call_output", "call_id": "call_1"}]}, "input[1].output"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tools": [{"type": "teleport", "name": "t"}]}, "tools[0].type"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice"),
        (
            {
                "tools": [WEATHER],
                "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
            },
            "tool_choice",
        ),
        ({"reasoning": {"effort": "frantic"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert error.param == param
    assert param in error.message


def test_what_is_kept_of_an_input_is_listed_as_openai_does_and_says_the_same() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]},
        {"type": "reasoning", "summary": [], "encrypted_content": sealed("hm")},
        {"role": "assistant", "content": "Let me look.", "phase": "commentary"},
        CALL,
        {"type": "custom_tool_call", "call_id": "call_2", "name": "apply_patch", "input": "x"},
        OUTPUT,
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "ok"}] * 2},
        {"type": "web_search_call", "status": "completed"},
        {"id": "msg_own", "role": "user", "content": "And?"},
    ]
    asked = body(input=items)
    kept = kept_items(asked.input or (), ID)
    page = {"object": "list", "data": kept, "first_id": "", "last_id": "", "has_more": False}
    ResponseItemList.model_validate_json(orjson.dumps(page), strict=True)
    assert kept[-1]["id"] == "msg_own"
    assert len({item["id"] for item in kept}) == len(kept) == 9
    again = turn_request(body(input=kept))
    assert again.messages == turn_request(asked).messages
    assert any(isinstance(part, MediaPart) for message in again.messages for part in message.content)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(["reasoning", "commentary", "final"]), TEXT), max_size=5), st.booleans())
def test_what_is_sent_back_is_what_was_generated(blocks: list[tuple[str, str]], calls: bool) -> None:
    """As a turn joins them: blocks of one kind by a newline, which the boundary of two items stands for."""
    events: list[Event] = []
    told: dict[str, list[str]] = {"reasoning": [], "content": []}
    before = None
    for kind, text in blocks:
        if kind == before:
            continue
        before = kind
        seen = told["reasoning" if kind == "reasoning" else "content"]
        written = f"\n{text}" if seen else text
        events.append(ReasoningDelta(written) if kind == "reasoning" else ContentDelta(written, kind))
        seen.append(text)
    if calls:
        events += [ToolCallStart(0, "call_1", "f"), ToolCallArgumentsDelta(0, '{"a": 1}')]
    fold = ResponseFold(ResponseHeader({}, id=ID))
    fold.add([*events, Finish("stop", Usage())])
    output = [ItemIn.model_validate(item) for item in fold.response()["output"]]
    *assistant, user = turn_request(body(), output).messages
    assert user.role == "user"
    message = assistant[0] if assistant else ChatMessage("assistant")
    assert len(assistant) <= 1
    assert message.text == "\n".join(told["content"])
    assert (message.reasoning or "") == "\n".join(told["reasoning"])
    assert [call.id for call in message.tool_calls] == (["call_1"] if calls else [])
