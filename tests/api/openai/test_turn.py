"""What is taken of a request."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.request import ResponseFormat, TurnRequest
from tests.support.bodies import TIME, USER, WEATHER, read, read_message


def test_a_plain_request_leaves_everything_to_the_server() -> None:
    assert read() == TurnRequest("m", (ChatMessage("user", (TextPart("Hi"),)),), whole=True)
    assert not read(stream=True).whole


def test_everything_that_can_be_asked_arrives() -> None:
    request = read(
        temperature=0.5,
        top_p=1,
        seed=7,
        frequency_penalty=-1,
        presence_penalty=1.5,
        max_tokens=9,
        stop=["a", "", "b"],
        reasoning_effort="thorough",
        parallel_tool_calls=False,
        tools=[WEATHER],
        tool_choice="required",
    )
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.5, 1.0, 7)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (-1.0, 1.5)
    assert (request.max_tokens, request.stop, request.reasoning_effort) == (9, ("a", "b"), "thorough")
    assert (request.parallel_tool_calls, request.tool_choice) == (False, "required")
    assert request.tools == (FunctionTool("get_weather", "", {"type": "object"}),)


def test_nulls_are_the_same_as_nothing() -> None:
    names = [name for name in ChatCompletionRequest.model_fields if name not in ("model", "messages")]
    assert read(**dict.fromkeys(names)) == read()


def test_unknown_fields_are_ignored() -> None:
    assert read(store=True, user="me", metadata={"a": "b"}, frobnicate=[1]) == read()


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    assert read(max_tokens=5, max_completion_tokens=8).max_tokens == 8


def test_llama_cpp_samplers_go_through_under_their_own_names() -> None:
    assert read(top_k=40, min_p=0.05, logit_bias={"15043": -100}, samplers=["top_k"]).sampling.extra == {
        "top_k": 40,
        "min_p": 0.05,
        "logit_bias": [[15043, -100]],
        "samplers": ["top_k"],
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}},
        {"chat_template_kwargs": {"reasoning_effort": "high"}},
        {"reasoning_effort": "high", "reasoning": {"effort": "low"}},
    ],
)
def test_the_effort_is_found_wherever_clients_put_it(fields: dict[str, Any]) -> None:
    assert read(**fields).reasoning_effort == "high"


@pytest.mark.parametrize("stop", ["END", ["END"]])
def test_stop_is_one_string_or_several(stop: object) -> None:
    assert read(stop=stop).stop == ("END",)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_comes_back_under_any_of_its_names(field: str) -> None:
    assert read_message({"role": "assistant", "content": "4", field: "2+2"}).reasoning == "2+2"


def test_what_sdks_echo_back_is_harmless() -> None:
    echoed = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}
    assert read_message({"role": "assistant", "content": "x", **echoed}) == ChatMessage("assistant", (TextPart("x"),))


def test_content_may_come_in_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "a"}, image, {"type": "refusal", "refusal": "no"}]
    content = read_message({"role": "user", "content": parts}).content
    assert content == (TextPart("a"), MediaPart("image_url", image), TextPart("no"))


def test_a_tool_loop_arrives_whole() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{broken"}}
    messages = read(
        messages=[
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ]
    ).messages
    assert messages[1] == ChatMessage("assistant", tool_calls=(ToolCall("call_1", "get_weather", "{broken"),))
    assert messages[2] == ChatMessage("tool", (TextPart("rain"),), tool_call_id="call_1")
    assert [message.index for message in messages] == [0, 1, 2]


def test_arguments_may_be_sent_as_the_object_itself() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": [1]}}}
    assert read_message({"role": "assistant", "tool_calls": [call]}).tool_calls[0].arguments == '{"a":[1]}'


@pytest.mark.parametrize(
    ("function_call", "choice", "allowed"),
    [
        (None, "auto", None),
        ("auto", "auto", None),
        ("none", "none", None),
        ({"name": "get_time"}, "required", frozenset({"get_time"})),
    ],
)
def test_legacy_functions_are_tools_of_which_one_is_called_at_most(
    function_call: Any, choice: str, allowed: frozenset[str] | None
) -> None:
    as_functions = read(functions=[WEATHER["function"], TIME["function"]], function_call=function_call)
    assert as_functions.tools == read(tools=[WEATHER, TIME]).tools
    assert (as_functions.tool_choice, as_functions.allowed_tools) == (choice, allowed)
    assert not as_functions.parallel_tool_calls


def test_a_legacy_function_result_finds_its_call() -> None:
    _, call, result = read(
        messages=[
            USER,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ]
    ).messages
    assert result.role == "tool"
    assert result.tool_call_id == call.tool_calls[0].id


def test_a_named_tool_is_required_and_the_only_one() -> None:
    request = read(tools=[WEATHER, TIME], tool_choice={"type": "function", "function": {"name": "get_time"}})
    assert request.tool_choice == "required"
    assert [tool.name for tool in request.tools] == ["get_weather", "get_time"]
    assert [tool.name for tool in request.callable_tools] == ["get_time"]


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_are_the_only_ones(mode: str) -> None:
    named = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    request = read(tools=[WEATHER, TIME], tool_choice={"type": "allowed_tools", "allowed_tools": named})
    assert request.tool_choice == mode
    assert [tool.name for tool in request.tools] == ["get_weather", "get_time"]
    assert [tool.name for tool in request.callable_tools] == ["get_time"]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_budget": 7},
        {"thinking_budget": 7},
        {"reasoning": {"max_tokens": 7}},
        {"reasoning_budget": 7, "thinking_budget": 9},
    ],
)
def test_the_budget_is_found_wherever_clients_put_it(fields: dict[str, Any]) -> None:
    assert read(**fields).reasoning_budget == 7


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, None),
        ({"reasoning_format": "inline"}, "inline"),
        ({"include_reasoning": True}, None),
        ({"include_reasoning": False}, "hidden"),
        ({"reasoning": {"exclude": True}, "reasoning_format": "inline"}, "hidden"),
    ],
)
def test_reasoning_can_be_left_out(fields: dict[str, Any], shown: str | None) -> None:
    assert read(**fields).reasoning_format == shown


def test_log_probabilities_are_of_the_token_and_of_as_many_others_as_are_wanted() -> None:
    assert read(logprobs=True).top_logprobs == 0
    assert read(logprobs=True, top_logprobs=3).top_logprobs == 3
    assert read(logprobs=False).top_logprobs is None


def test_a_response_format_is_a_schema_with_a_name() -> None:
    assert read(response_format={"type": "text"}).response_format is None
    any_object = read(response_format={"type": "json_object"}).response_format
    assert any_object is not None and any_object.schema == {"type": "object"}
    given = {"name": "city", "description": "A city.", "schema": {"type": "string"}, "strict": False}
    wanted = read(response_format={"type": "json_schema", "json_schema": given}).response_format
    assert wanted == ResponseFormat("city", {"type": "string"}, "A city.", strict=False)


def test_a_message_may_bring_its_own_harmony_header() -> None:
    sent = {
        "role": "assistant",
        "content": [{"type": "text", "text": "{}"}],
        "channel": "commentary",
        "recipient": "functions.f",
        "content_type": "<|constrain|>json",
        "timestamp": 1_700_000_000.5,
    }

    assert read_message(sent) == ChatMessage(
        "assistant",
        (TextPart("{}"),),
        channel="commentary",
        recipient="functions.f",
        content_type="<|constrain|>json",
    )


def test_what_sdks_echo_back_does_no_harm() -> None:
    echoed = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}

    assert read_message({"role": "assistant", "content": "Hi", **echoed}) == ChatMessage("assistant", (TextPart("Hi"),))


def test_a_prefill_is_the_beginning_of_the_answer() -> None:
    assert read(prefill="Sure").messages == (
        ChatMessage("user", (TextPart("Hi"),)),
        ChatMessage("assistant", (TextPart("Sure"),)),
    )
    assert len(read(prefill="").messages) == 1


def test_what_the_system_message_says_may_be_set() -> None:
    request = read(model_identity="You are Bo.", knowledge_cutoff="2025-01", current_date="2026-01-31")

    assert (request.model_identity, request.knowledge_cutoff) == ("You are Bo.", "2025-01")
    assert request.current_date == "2026-01-31"
