"""What an answer or a call is held to, on the real engine: it holds, whatever the model would like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import openai
import pytest
from hypothesis import given, settings
from scripts.tiny_gpt_oss.corpus import KNOWN

from tests.support.answers import Answer, streamed, whole
from tests.support.asking import AS_PERSON, PERSON, TIME, TINY, WEATHER, ask
from tests.support.json_schemas import json_schemas

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

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


def _valid(answer: Answer, schema: Any) -> Any:
    value = json.loads(answer.content)
    jsonschema.validate(value, schema)
    return value


# Tools


@pytest.mark.parametrize("seed", range(4))
def test_required_arguments_are_as_the_schema_wants_them(client: openai.OpenAI, seed: int) -> None:
    answer = ask(client, "Hello", tools=[TRIP], tool_choice="required", temperature=1.5, seed=seed)

    assert answer.finish_reason == "tool_calls"
    for name, arguments in answer.calls:
        assert name == "book_trip"
        jsonschema.validate(json.loads(arguments), TRIP["function"]["parameters"])  # type: ignore[index]


def test_the_tool_that_is_named_is_called_and_no_other(client: openai.OpenAI) -> None:
    choice = {"type": "function", "function": {"name": "get_time"}}
    answer = ask(client, "What is the weather in Tokyo?", tools=[WEATHER, TIME], tool_choice=choice)

    assert {name for name, _ in answer.calls} == {"get_time"}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_allowed_tools_are_called(client: openai.OpenAI, mode: str) -> None:
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    answer = ask(client, "What is the weather in Tokyo?", tools=[WEATHER, TIME], tool_choice=choice)

    assert {name for name, _ in answer.calls} <= {"get_time"}
    assert answer.calls or mode == "auto"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
def test_a_choice_without_its_tool_is_refused(client: openai.OpenAI, choice: Any) -> None:
    for tools in ([], [WEATHER]):
        if tools and choice == "required":
            continue
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, "Hello", tools=tools, tool_choice=choice)
        assert refused.value.param == "tool_choice"


def test_a_strict_tool_is_held_to_its_schema_although_it_need_not_be_called(client: openai.OpenAI) -> None:
    parameters = {"type": "object", "properties": {"location": {"enum": ["Oslo", "Rome"]}}, "required": ["location"]}
    strict = {"type": "function", "function": {**WEATHER["function"], "parameters": parameters, "strict": True}}  # type: ignore[dict-item]
    called = ask(client, "What is the weather in Tokyo?", tools=[strict])
    answered = ask(client, "Hello", tools=[strict])

    assert answered.content and not answered.calls
    for _, arguments in called.calls:
        jsonschema.validate(json.loads(arguments), parameters)
    assert called.calls


def test_exactly_one_call_is_made_where_parallel_calls_are_not_wanted(client: openai.OpenAI) -> None:
    prompt = next(known for known in KNOWN if known.name == "parallel-calls")
    request = {"model": TINY, "messages": prompt.messages, "tools": prompt.tools, "temperature": 0, "max_tokens": 500}

    assert len(whole(client.chat.completions.create(**request)).calls) == 2
    for choice in ("auto", "required"):
        for read in (whole, streamed):
            one = client.chat.completions.create(
                **request, parallel_tool_calls=False, tool_choice=choice, stream=read is streamed
            )
            answer = read(one)  # type: ignore[operator]
            assert len(answer.calls) == 1
            assert answer.finish_reason == "tool_calls"


# Response formats


@pytest.mark.parametrize("effort", ["none", "low", "high"])
def test_the_answer_has_the_form_that_was_asked_for_and_the_reasoning_is_free(
    client: openai.OpenAI, effort: str
) -> None:
    answer = ask(client, "What is 2+2?", response_format=AS_PERSON, reasoning_effort=effort)

    _valid(answer, PERSON)
    assert bool(answer.reasoning) == (effort != "none")
    assert answer.finish_reason == "stop"


def test_a_tool_may_still_be_called_where_the_answer_has_a_form(
    client: openai.OpenAI, encoder: HarmonyEncoding
) -> None:
    request = {"response_format": AS_PERSON, "tools": [WEATHER]}
    answer = ask(client, "What is the weather in Tokyo?", **request)
    assert answer.calls or _valid(answer, PERSON)

    # Whatever the model prefers: without the word that opens an answer, only a call is left.
    (final,) = encoder.encode("final")
    called = ask(client, "What is the weather in Tokyo?", **request, logit_bias={str(final): -100})
    assert {name for name, _ in called.calls} == {"get_weather"}


def test_any_json_object_is_an_object(client: openai.OpenAI) -> None:
    answer = ask(
        client, "Give me a JSON object with a name and an age.", response_format={"type": "json_object"}, max_tokens=800
    )
    if answer.finish_reason == "stop":
        _valid(answer, {"type": "object"})
    assert answer.content.startswith("{")


@settings(max_examples=8)
@given(json_schemas())
def test_whatever_the_schema_the_answer_is_valid(client: openai.OpenAI, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "any", "schema": schema}}
    answer = ask(client, "Hello", response_format=wanted, temperature=1.5, seed=1, reasoning_effort="none")

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
        ask(client, "Hello", extra_body=fields)
    assert refused.value.param == param


# Models that go through their chat template


def test_other_models_are_held_to_a_format_too(client: openai.OpenAI, other: str) -> None:
    answer = ask(client, "Name a person.", model=other, response_format=AS_PERSON, max_tokens=200)
    _valid(answer, PERSON)


def test_a_wrong_schema_is_refused_for_other_models_too(client: openai.OpenAI, other: str) -> None:
    wrong = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"properties": {"b": 1}}}}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "Hello", model=other, response_format=wrong)
    assert refused.value.param == "response_format.json_schema.schema.properties.b"
