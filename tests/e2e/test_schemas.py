"""Schemas that combine others, on the real engine: what is written is valid by all of them, or they are refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import openai
import pytest

from tests.support.asking import WEATHER, ask, request_for

INTEGER = {"type": "integer", "minimum": 3, "maximum": 99}
BOOLEAN = {"type": "boolean"}
COMBINED: dict[str, Any] = {
    "allOf of objects": {
        "allOf": [
            {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]},
            {"properties": {"a": {"maximum": 5}, "b": BOOLEAN}, "required": ["b"], "additionalProperties": False},
        ]
    },
    "anyOf within closed members": {
        "type": "object",
        "properties": {"x": INTEGER, "y": BOOLEAN, "z": BOOLEAN},
        "additionalProperties": False,
        "anyOf": [{"required": ["x", "y"]}, {"required": ["z"], "properties": {"x": False}}],
    },
    "more members of one kind": {
        "allOf": [
            {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": BOOLEAN, "required": ["a"]},
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False, "required": ["b"]},
        ]
    },
    "values and bounds": {"enum": ["a", "bb", "ccc", 1, 2], "minLength": 2, "minimum": 2},
    "a branch that cannot be": {"type": "integer", "minimum": 5, "anyOf": [{"maximum": 3}, {"maximum": 10}]},
    "a name with a space": {"$ref": "#/$defs/My%20T", "$defs": {"My T": {"type": "boolean"}}},
    "a pattern and lengths": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"},
    "recursion in two at once": {
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "$defs": {
            "a": {"type": "object", "properties": {"next": {"$ref": "#/$defs/a"}, "a": INTEGER}, "required": ["a"]},
            "b": {"type": "object", "properties": {"next": {"$ref": "#/$defs/b"}, "a": {"maximum": 5}}},
        },
    },
}


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "any", "schema": schema}}


def _tool(parameters: Any, *, strict: bool) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}}


@pytest.mark.parametrize("schema", COMBINED.values(), ids=COMBINED)
def test_an_answer_is_valid_by_every_part_of_a_schema(client: openai.OpenAI, schema: Any) -> None:
    answer = ask(
        client,
        "Hello",
        response_format=_format(schema),
        temperature=1.5,
        seed=2,
        reasoning_effort="none",
        max_tokens=300,
    )

    assert answer.content
    if answer.finish_reason == "stop":
        jsonschema.validate(json.loads(answer.content), schema)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "parameters",
    [
        {"anyOf": [{"type": "object", "properties": {"city": INTEGER}, "required": ["city"]}, {"type": "null"}]},
        {"type": ["object", "null"], "properties": {"again": {"$ref": "#"}, "n": INTEGER}, "required": ["n"]},
    ],
)
def test_arguments_are_an_object_whatever_else_their_schema_allows(
    client: openai.OpenAI, parameters: Any, strict: bool
) -> None:
    answer = ask(
        client,
        "Weather in Paris?",
        tools=[_tool(parameters, strict=strict)],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=1.5,
        seed=3,
    )

    ((_, arguments),) = answer.calls
    if answer.finish_reason == "tool_calls":
        assert isinstance(json.loads(arguments), dict)
        jsonschema.validate(json.loads(arguments), parameters)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": _format(False)}, "response_format.json_schema.schema"),
        (
            {
                "response_format": _format(
                    {
                        "type": "object",
                        "allOf": [
                            {"properties": {"a": INTEGER}, "required": ["a"]},
                            {"properties": {"b": {}}, "additionalProperties": False},
                        ],
                    }
                )
            },
            "response_format.json_schema.schema.properties.a",
        ),
        (
            {"tools": [_tool({"type": "boolean"}, strict=True)], "tool_choice": "required"},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [_tool({"type": "array"}, strict=False)], "tool_choice": "required"},
            "tools[0].function.parameters",
        ),
    ],
)
def test_what_no_value_can_satisfy_is_refused_as_impossible(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "Hello", extra_body=fields)
    assert (refused.value.param, refused.value.code) == (param, "impossible_json_schema")


@pytest.mark.parametrize("stream", [False, True])
def test_a_legacy_function_is_called_in_the_legacy_form(client: openai.OpenAI, stream: bool) -> None:
    request = request_for(
        "Weather in Paris?", functions=[WEATHER["function"]], function_call={"name": "get_weather"}, stream=stream
    )
    answer = client.chat.completions.create(**request)
    if stream:
        deltas = [chunk.choices[0].delta.function_call for chunk in answer if chunk.choices]
        pieces = [piece for piece in deltas if piece is not None]
        name, arguments = pieces[0].name, "".join(piece.arguments or "" for piece in pieces)
    else:
        (choice,) = answer.choices
        assert choice.finish_reason == "function_call"
        assert choice.message.tool_calls is None
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments

    assert name == "get_weather"
    jsonschema.validate(json.loads(arguments), WEATHER["function"]["parameters"])  # type: ignore[index]
