"""What is said of a request that cannot be taken."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from tests.support.bodies import USER, read, refusal


def _tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


RESPONSES_FORM = (
    "has the form of the Responses API. Here the name goes inside 'function': "
    '{"type": "function", "function": {"name": …}}.'
)
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
    (
        {"tools": [{"type": "web_search"}]},
        "tools[0].type",
        "'tools[0].type' must be 'function' or 'mcp', but is 'web_search'.",
    ),
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
        {
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [_tool("b")]}},
            "tools": [_tool("a")],
        },
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
        {"tool_choice": {"type": "function", "name": "a"}, "tools": [_tool("a")]},
        "tool_choice",
        f"'tool_choice' {RESPONSES_FORM}",
    ),
    ({"tools": [{"type": "function", "name": "a"}]}, "tools[0]", f"'tools[0]' {RESPONSES_FORM}"),
    (
        {"logit_bias": {"x": 1}},
        "logit_bias",
        "'logit_bias' must name tokens by their ids, as in {\"15043\": -100}, not 'x'.",
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
        {"functions": [{"name": "f"}], "tools": [_tool("a")]},
        "functions",
        "'functions' cannot be sent beside 'tools': offer all as 'tools'.",
    ),
    (
        {"functions": [{"name": "f"}, {"name": "f"}]},
        "functions[1].name",
        "'functions[1].name' is 'f', which is the name of another tool already.",
    ),
    (
        {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
        "function_call",
        "'function_call' names the tool 'g', which is not among the tools offered ('f').",
    ),
    (
        {"functions": [{"name": "f"}], "function_call": "required"},
        "function_call",
        "'function_call' must be 'none', 'auto', or an object with the name of a function.",
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


def test_of_several_mistakes_the_first_is_named() -> None:
    assert refusal(top_p=9, temperature=9).param == "temperature"


def test_a_long_value_is_not_shown() -> None:
    assert "a string" in refusal(temperature="x" * 1000).message


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


def test_a_missing_field_has_its_own_code() -> None:
    with pytest.raises(BadRequest) as raised:
        validated(ChatCompletionRequest, {"messages": [USER]})
    assert (raised.value.param, raised.value.code) == ("model", "missing_required_parameter")
