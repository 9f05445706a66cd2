"""What is taken of a request, and what is said of what is not."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.request import ResponseFormat, TurnRequest

USER = {"role": "user", "content": "Hi"}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
TIME = {"type": "function", "function": {"name": "get_time"}}


def read(**fields: Any) -> TurnRequest:
    return turn_request(validated(ChatCompletionRequest, {"model": "m", "messages": [USER], **fields}))


def read_message(message: dict[str, Any]) -> ChatMessage:
    return read(messages=[message]).messages[0]


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        read(**fields)
    return raised.value


def test_a_plain_request_leaves_everything_to_the_server() -> None:
    assert read() == TurnRequest("m", (ChatMessage("user", (TextPart("Hi"),)),))


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


def _tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "'model' must be a string, not null."),
    ({"model": ""}, "model", "'model' must not be an empty string."),
    ({"messages": None}, "messages", "'messages' must be a list, not null."),
    ({"messages": []}, "messages", "'messages' must not be empty."),
    ({"messages": "Hi"}, "messages", "'messages' must be a list, not 'Hi'."),
    ({"messages": ["Hi"]}, "messages[0]", "'messages[0]' must be an object, not 'Hi'."),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "'messages[0].role' is required, but missing."),
    (
        {"messages": [USER, {"role": "user", "content": 5}]},
        "messages[1].content",
        "'messages[1].content' must be a string or a list of parts.",
    ),
    (
        {"messages": [{"role": "user"}]},
        "messages[0].content",
        "'messages[0].content' is required in a message of role 'user'.",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "'messages[0].content[0].text' is required in a part of type 'text'.",
    ),
    (
        {"messages": [{"role": "user", "content": [7]}]},
        "messages[0].content[0]",
        "'messages[0].content[0]' must be an object, not 7.",
    ),
    (
        {"messages": [{"role": "function", "content": "x"}]},
        "messages[0].name",
        "'messages[0].name' is required in a message of role 'function'.",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "a b"}}]}]},
        "messages[0].tool_calls[0].function.name",
        "'messages[0].tool_calls[0].function.name' must be a name of at most 256 characters without spaces.",
    ),
    ({"temperature": "hot"}, "temperature", "'temperature' must be a number, not 'hot'."),
    ({"temperature": True}, "temperature", "'temperature' must be a number, not true."),
    ({"temperature": 2.5}, "temperature", "'temperature' must be at most 2, but is 2.5."),
    ({"top_p": 0}, "top_p", "'top_p' must be greater than 0, but is 0."),
    ({"max_tokens": 0}, "max_tokens", "'max_tokens' must be at least 1, but is 0."),
    ({"max_tokens": 1.5}, "max_tokens", "'max_tokens' must be a whole number, not 1.5."),
    ({"n": 17}, "n", "'n' must be at most 16, but is 17."),
    ({"stop": 5}, "stop", "'stop' must be a string or a list of strings."),
    ({"stop": ["a", 5]}, "stop[1]", "'stop[1]' must be a string, not 5."),
    ({"stop": ["a"] * 17}, "stop", "'stop' takes at most 16 entries, but has 17."),
    ({"stream": "yes"}, "stream", "'stream' must be true or false, not 'yes'."),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "'tools[0].type' must be 'function', but is 'web_search'."),
    (
        {"tools": [_tool("get weather")]},
        "tools[0].function.name",
        "'tools[0].function.name' must be 1 to 64 letters, digits, '_', '.' or '-'.",
    ),
    (
        {"tools": [_tool("a"), _tool("a")]},
        "tools[1].function.name",
        "'tools[1].function.name' is 'a', which is the name of another tool already.",
    ),
    (
        {"tool_choice": "required"},
        "tool_choice",
        "'tool_choice' is 'required', but no tools are offered: send 'tools', or leave the choice out.",
    ),
    (
        {"tool_choice": _tool("b"), "tools": [_tool("a")]},
        "tool_choice",
        "'tool_choice' names the tool 'b', which is not among the tools offered ('a').",
    ),
    (
        {"tool_choice": "always"},
        "tool_choice",
        "'tool_choice' must be 'none', 'auto', 'required', or an object that names a tool.",
    ),
    (
        {"tool_choice": {"type": "function"}},
        "tool_choice.function",
        "'tool_choice.function' is required in a tool choice of this type.",
    ),
    (
        {"response_format": {"type": "xml"}},
        "response_format.type",
        "'response_format.type' must be 'text', 'json_object' or 'json_schema', but is 'xml'.",
    ),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "'response_format.json_schema' is required in a format of type 'json_schema'.",
    ),
    ({"top_logprobs": 2}, "top_logprobs", "'top_logprobs' needs 'logprobs' to be true."),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "'top_logprobs' must be at most 20, but is 21."),
    ({"reasoning_budget": -1}, "reasoning_budget", "'reasoning_budget' must be at least 0, but is -1."),
    ({"thinking_budget": "9"}, "thinking_budget", "'thinking_budget' must be a whole number, not '9'."),
    (
        {"reasoning_format": "raw"},
        "reasoning_format",
        "'reasoning_format' must be 'separate', 'inline' or 'hidden', but is 'raw'.",
    ),
    ({"top_k": 1.5}, "top_k", "'top_k' must be a whole number, not 1.5."),
    ({"min_p": 2}, "min_p", "'min_p' must be at most 1, but is 2."),
    ({"repeat_penalty": "1"}, "repeat_penalty", "'repeat_penalty' must be a number, not '1'."),
    (
        {"functions": [{"name": "f"}]},
        "functions",
        "'functions' is not supported here: offer the functions as 'tools'.",
    ),
    (
        {"chat_template_kwargs": {"reasoning_effort": 1}},
        "chat_template_kwargs.reasoning_effort",
        "'chat_template_kwargs.reasoning_effort' must be a string.",
    ),
]


@pytest.mark.parametrize(
    ("fields", "param", "message"), WRONG, ids=[f"{param}-{n}" for n, (_, param, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_named_in_one_sentence(fields: dict[str, Any], param: str, message: str) -> None:
    error = refusal(**fields)
    assert (error.status, error.param, error.message) == (400, param, message)


def test_an_unknown_role_is_answered_with_the_known_ones() -> None:
    error = refusal(messages=[{"role": "robot", "content": "x"}])
    assert error.param == "messages[0].role"
    assert "'assistant'" in error.message
    assert "'robot'" in error.message


def test_a_missing_field_has_its_own_code() -> None:
    with pytest.raises(BadRequest) as raised:
        validated(ChatCompletionRequest, {"messages": [USER]})
    assert (raised.value.param, raised.value.code) == ("model", "missing_required_parameter")


def test_of_several_mistakes_the_first_is_named() -> None:
    assert refusal(top_p=9, temperature=9).param == "temperature"


def test_a_long_value_is_not_shown() -> None:
    assert "a string" in refusal(temperature="x" * 1000).message


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipient", "two words"),
        ("recipient", "f\n"),
        ("content_type", "json<|constrain|>"),
        ("content_type", "<|constrain|><|constrain|>json"),
        ("content_type", "<|message|>"),
        ("content_type", "a b"),
        ("content_type", ""),
        ("channel", 1),
    ],
)
def test_a_header_field_that_could_be_no_header_is_refused(field: str, value: Any) -> None:
    message = {"role": "assistant", "content": "x", field: value}

    assert refusal(messages=[message]).param == f"messages[0].{field}"


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


@pytest.mark.parametrize("date", ["tomorrow", "2026-02-31", "20260131", "2026-1-3", "2026-W05-1", "２０２６-01-31", ""])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    assert refusal(current_date=date).param == "current_date"


def test_only_harmony_can_be_included() -> None:
    assert refusal(include=["logprobs"]).param == "include[0]"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"reasoning_effort": "banana"}, "reasoning_effort"),
        ({"reasoning": {"effort": "LOW "}}, "reasoning.effort"),
        ({"chat_template_kwargs": {"reasoning_effort": ""}}, "chat_template_kwargs.reasoning_effort"),
    ],
)
def test_an_effort_that_nobody_knows_is_refused_with_those_that_are_known(fields: dict[str, Any], place: str) -> None:
    error = refusal(**fields)
    assert (error.param, error.code) == (place, "invalid_value")
    assert "'low', 'medium'" in error.message


@pytest.mark.parametrize("field", ["repeat_last_n", "dry_penalty_last_n"])
def test_how_far_a_penalty_looks_back_is_bounded(field: str) -> None:
    assert read(**{field: 1_048_576}).sampling.extra == {field: 1_048_576}
    error = refusal(**{field: 1_048_577})
    assert (error.param, "at most 1048576" in error.message) == (field, True)
