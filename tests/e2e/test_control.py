"""Each control of a chat completion, on the real engine: what is asked for holds, whatever the model would like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import openai
import pytest
from hypothesis import given, settings
from scripts.tiny_gpt_oss.corpus import KNOWN

from tests.support.answers import Answer, streamed, whole
from tests.support.json_schemas import json_schemas

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding

TINY = "tiny-gpt-oss"
TRIP = {
    "type": "function",
    "function": {
        "name": "book_trip",
        "description": "Book a trip.",
        "parameters": {
            "type": "object",
            "properties": {
                "days": {"type": "integer", "minimum": 2, "maximum": 14},
                "class": {"enum": ["first", "second"]},
                "seat": {"$ref": "#/$defs/seat"},
            },
            "required": ["days", "class"],
            "additionalProperties": False,
            "$defs": {"seat": {"type": "string", "pattern": "^[A-F][0-9]{1,2}$"}},
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time", "description": "Get the current time."}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "The name of a city"}},
            "required": ["location"],
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
AS_PERSON = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def _request(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": TINY, "messages": messages, "temperature": 0, "max_tokens": 500} | more


def _ask(client: openai.OpenAI, text: str, **more: Any) -> Answer:
    return whole(client.chat.completions.create(**_request(text, **more)))


def _valid(answer: Answer, schema: Any) -> Any:
    value = json.loads(answer.content)
    jsonschema.validate(value, schema)
    return value


# Tools


@pytest.mark.parametrize("seed", range(4))
def test_required_arguments_are_as_the_schema_wants_them(client: openai.OpenAI, seed: int) -> None:
    answer = _ask(client, "Hello", tools=[TRIP], tool_choice="required", temperature=1.5, seed=seed)

    assert answer.finish_reason == "tool_calls"
    for name, arguments in answer.calls:
        assert name == "book_trip"
        jsonschema.validate(json.loads(arguments), TRIP["function"]["parameters"])  # type: ignore[index]


def test_the_tool_that_is_named_is_called_and_no_other(client: openai.OpenAI) -> None:
    choice = {"type": "function", "function": {"name": "get_time"}}
    answer = _ask(client, "What is the weather in Tokyo?", tools=[WEATHER, TIME], tool_choice=choice)

    assert {name for name, _ in answer.calls} == {"get_time"}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_allowed_tools_are_called(client: openai.OpenAI, mode: str) -> None:
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    answer = _ask(client, "What is the weather in Tokyo?", tools=[WEATHER, TIME], tool_choice=choice)

    assert {name for name, _ in answer.calls} <= {"get_time"}
    assert answer.calls or mode == "auto"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
def test_a_choice_without_its_tool_is_refused(client: openai.OpenAI, choice: Any) -> None:
    for tools in ([], [WEATHER]):
        if tools and choice == "required":
            continue
        with pytest.raises(openai.BadRequestError) as refused:
            _ask(client, "Hello", tools=tools, tool_choice=choice)
        assert refused.value.param == "tool_choice"


def test_a_strict_tool_is_held_to_its_schema_although_it_need_not_be_called(client: openai.OpenAI) -> None:
    parameters = {"type": "object", "properties": {"location": {"enum": ["Oslo", "Rome"]}}, "required": ["location"]}
    strict = {"type": "function", "function": {**WEATHER["function"], "parameters": parameters, "strict": True}}  # type: ignore[dict-item]
    called = _ask(client, "What is the weather in Tokyo?", tools=[strict])
    answered = _ask(client, "Hello", tools=[strict])

    assert answered.content and not answered.calls
    for _, arguments in called.calls:
        jsonschema.validate(json.loads(arguments), parameters)
    assert called.calls


def test_exactly_one_call_is_made_where_parallel_calls_are_not_wanted(client: openai.OpenAI) -> None:
    prompt = next(known for known in KNOWN if known.name == "parallel-calls")
    request = {"model": TINY, "messages": prompt.messages, "tools": prompt.tools, "temperature": 0, "max_tokens": 500}

    assert len(whole(client.chat.completions.create(**request)).calls) == 2
    for choice in ("auto", "required"):
        for ask in (whole, streamed):
            one = client.chat.completions.create(
                **request, parallel_tool_calls=False, tool_choice=choice, stream=ask is streamed
            )
            answer = ask(one)  # type: ignore[operator]
            assert len(answer.calls) == 1
            assert answer.finish_reason == "tool_calls"


# Response formats


@pytest.mark.parametrize("effort", ["none", "low", "high"])
def test_the_answer_has_the_form_that_was_asked_for_and_the_reasoning_is_free(
    client: openai.OpenAI, effort: str
) -> None:
    answer = _ask(client, "What is 2+2?", response_format=AS_PERSON, reasoning_effort=effort)

    _valid(answer, PERSON)
    assert bool(answer.reasoning) == (effort != "none")
    assert answer.finish_reason == "stop"


def test_a_tool_may_still_be_called_where_the_answer_has_a_form(
    client: openai.OpenAI, encoder: HarmonyEncoding
) -> None:
    request = {"response_format": AS_PERSON, "tools": [WEATHER]}
    answer = _ask(client, "What is the weather in Tokyo?", **request)
    assert answer.calls or _valid(answer, PERSON)

    # Whatever the model prefers: without the word that opens an answer, only a call is left.
    (final,) = encoder.encode("final")
    called = _ask(client, "What is the weather in Tokyo?", **request, logit_bias={str(final): -100})
    assert {name for name, _ in called.calls} == {"get_weather"}


def test_any_json_object_is_an_object(client: openai.OpenAI) -> None:
    answer = _ask(
        client, "Give me a JSON object with a name and an age.", response_format={"type": "json_object"}, max_tokens=800
    )
    if answer.finish_reason == "stop":
        _valid(answer, {"type": "object"})
    assert answer.content.startswith("{")


@settings(max_examples=8)
@given(json_schemas())
def test_whatever_the_schema_the_answer_is_valid(client: openai.OpenAI, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "any", "schema": schema}}
    answer = _ask(client, "Hello", response_format=wanted, temperature=1.5, seed=1, reasoning_effort="none")

    if answer.finish_reason == "stop":
        _valid(answer, schema)
    else:
        assert answer.finish_reason == "length"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "strnig"}}}},
            "response_format.json_schema.schema.type",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"items": {"anyOf": [{"uniqueItems": True}]}}},
                }
            },
            "response_format.json_schema.schema.items.anyOf[0].uniqueItems",
        ),
        (
            {
                "tools": [
                    TIME,
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": {"$ref": "#/x"}, "strict": True},
                    },
                ]
            },
            "tools[1].function.parameters",
        ),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": 1}}}}],
                "tool_choice": "required",
            },
            "tools[0].function.parameters.properties.a",
        ),
        ({"reasoning_preset": "slow"}, "reasoning_preset"),
    ],
)
def test_what_cannot_be_held_to_is_refused_with_the_place(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        _ask(client, "Hello", extra_body=fields)
    assert refused.value.param == param


# Reasoning


@pytest.mark.parametrize("budget", [1, 2, 5, 9])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"response_format": AS_PERSON},
        {"tools": [WEATHER], "tool_choice": "required"},
        {"tools": [WEATHER]},
    ],
    ids=["free", "with-a-format", "with-a-call", "with-tools"],
)
def test_the_budget_bounds_the_reasoning_of_the_whole_turn(
    client: openai.OpenAI, budget: int, more: dict[str, Any]
) -> None:
    answer = _ask(client, "What is 2+2?", reasoning_effort="high", extra_body={"reasoning_budget": budget}, **more)

    assert answer.usage is not None
    assert 0 < answer.usage["completion_tokens_details"]["reasoning_tokens"] <= budget
    assert answer.reasoning
    assert answer.content or answer.calls
    assert answer.finish_reason in ("stop", "tool_calls")


def test_a_budget_of_nothing_is_no_reasoning(client: openai.OpenAI) -> None:
    answer = _ask(client, "What is 2+2?", extra_body={"thinking_budget": 0})
    assert answer == _ask(client, "What is 2+2?", reasoning_effort="none")
    assert answer.reasoning == ""


def test_a_budget_that_is_not_used_up_changes_nothing(client: openai.OpenAI) -> None:
    budgeted = _ask(client, "What is 2+2?", reasoning_effort="high", extra_body={"reasoning_budget": 5000})
    assert budgeted == _ask(client, "What is 2+2?", reasoning_effort="high")


@pytest.mark.parametrize("shown", ["inline", "hidden"])
def test_reasoning_goes_where_it_is_wanted_streamed_and_whole(client: openai.OpenAI, shown: str) -> None:
    plain = _ask(client, "What is 2+2?")
    request = _request("What is 2+2?", extra_body={"reasoning_format": shown})
    answer = whole(client.chat.completions.create(**request))
    in_pieces = streamed(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))

    assert answer == in_pieces
    assert answer.reasoning == ""
    before = f"<think>{plain.reasoning}</think>" if shown == "inline" else ""
    assert answer.content == before + plain.content
    assert answer.usage is not None and plain.usage is not None
    assert answer.usage["completion_tokens_details"] == plain.usage["completion_tokens_details"]


def test_hidden_reasoning_is_in_no_byte_of_the_answer(server: str) -> None:
    body = {**_request("What is 2+2?"), "include_reasoning": False, "stream": True}
    written = httpx.post(f"{server}/v1/chat/completions", json=body, timeout=60).text
    assert "4" in written
    assert 'reasoning"' not in written and "The user" not in written


def test_a_preset_is_followed(client: openai.OpenAI) -> None:
    answer = _ask(client, "What is 2+2?", extra_body={"reasoning_preset": "quick", "reasoning_budget": 3})
    assert answer.usage is not None
    assert answer.usage["completion_tokens_details"]["reasoning_tokens"] <= 3
    assert answer.finish_reason == "stop"


def test_reasoning_that_the_client_began_counts_from_where_it_began(client: openai.OpenAI) -> None:
    begun = {"role": "assistant", "content": None, "reasoning_content": "The user asks"}
    messages = [{"role": "user", "content": "What is 2+2?"}, begun]
    answer = _ask(client, "", messages=messages, reasoning_effort="high", extra_body={"reasoning_budget": 3})

    assert answer.usage is not None
    assert answer.usage["completion_tokens_details"]["reasoning_tokens"] <= 3
    assert answer.content


# Sampling


def _spelled(entries: Any) -> str:
    return "".join(entry.token for entry in entries)


@pytest.mark.parametrize("effort", ["none", "medium"])
def test_log_probabilities_are_those_of_the_visible_answer(client: openai.OpenAI, effort: str) -> None:
    request = _request("What is 2+2?", logprobs=True, top_logprobs=3, reasoning_effort=effort)
    choice = client.chat.completions.create(**request).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    chunks = list(client.chat.completions.create(**request, stream=True))
    streamed_entries = [
        entry
        for chunk in chunks
        if chunk.choices and chunk.choices[0].logprobs
        for entry in chunk.choices[0].logprobs.content or ()
    ]

    assert _spelled(choice.logprobs.content) == choice.message.content
    assert _spelled(streamed_entries) == choice.message.content
    for entry in choice.logprobs.content:
        assert entry.logprob <= 0
        assert bytes(entry.bytes or ()).decode() == entry.token
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].token == entry.token  # greedy


def test_without_asking_there_are_no_log_probabilities(client: openai.OpenAI) -> None:
    assert client.chat.completions.create(**_request("Hello")).choices[0].logprobs is None
    choice = client.chat.completions.create(**_request("Hello", logprobs=True)).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert all(entry.top_logprobs == [] for entry in choice.logprobs.content)


def test_a_token_can_be_ruled_out(client: openai.OpenAI) -> None:
    request = _request("What is 2+2?", reasoning_effort="none")
    plain = _ask(client, "What is 2+2?", reasoning_effort="none")
    four = 19  # the id of "4" in o200k
    ruled_out = whole(client.chat.completions.create(**request, logit_bias={str(four): -100}))

    assert "4" in plain.content
    assert "4" not in ruled_out.content


def test_a_stop_string_that_spans_tokens_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    plain = _ask(client, "Count to ten.")
    assert "three, four, five" in plain.content
    for ask in (whole, streamed):
        answer = ask(client.chat.completions.create(**_request("Count to ten.", stop="ee, fo", stream=ask is streamed)))  # type: ignore[operator]
        assert answer.content == plain.content.partition("ee, fo")[0]
        assert answer.reasoning == plain.reasoning
        assert answer.finish_reason == "stop"


def test_choices_have_their_places_and_differ_although_there_is_a_seed(client: openai.OpenAI) -> None:
    request = {**_request("What is the capital of France?", n=3, seed=11, max_tokens=60), "temperature": 1.8}
    choices = client.chat.completions.create(**request).choices
    # Which slot a choice gets is chance, and with it the last digits of its probabilities: it cannot be made again.
    texts = {str(choice.message.model_extra) + (choice.message.content or "") for choice in choices}

    assert [choice.index for choice in choices] == [0, 1, 2]
    assert len(texts) == 3


# Models that go through their chat template


@pytest.fixture
def other(smollm: Path) -> str:
    return smollm.stem


def test_other_models_are_held_to_a_format_too(client: openai.OpenAI, other: str) -> None:
    answer = _ask(client, "Name a person.", model=other, response_format=AS_PERSON, max_tokens=200)
    _valid(answer, PERSON)


def test_a_wrong_schema_is_refused_for_other_models_too(client: openai.OpenAI, other: str) -> None:
    wrong = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"properties": {"b": 1}}}}
    with pytest.raises(openai.BadRequestError) as refused:
        _ask(client, "Hello", model=other, response_format=wrong)
    assert refused.value.param == "response_format.json_schema.schema.properties.b"


def test_other_models_give_log_probabilities_too(client: openai.OpenAI, other: str) -> None:
    request = {**_request("Hello", logprobs=True, top_logprobs=2, max_tokens=8), "model": other}
    choice = client.chat.completions.create(**request).choices[0]

    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert _spelled(choice.logprobs.content) == choice.message.content
    assert all(len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)
