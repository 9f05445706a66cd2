"""Arguments are checked before a tool sees them."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.tools.arguments import ArgumentCheck, parsed_arguments
from lemonade_like.tools.errors import InvalidArguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "integer", "minimum": 1}},
}


@pytest.mark.parametrize(
    ("arguments", "param", "part"),
    [
        ({}, "arguments", "'path' is a required property"),
        ({"path": 1}, "arguments.path", "1 is not of type 'string'"),
        ({"path": "x", "lines": [1, 0]}, "arguments.lines[1]", "0 is less than the minimum of 1"),
        ({"path": "x", "mode": "w"}, "arguments", "'mode' was unexpected"),
        ({"path": "x", "lines": "y" * 1000}, "arguments.lines", "…"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(arguments: dict[str, Any], param: str, part: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        ArgumentCheck(SCHEMA, "read").check(arguments)
    assert (caught.value.param, caught.value.status) == (param, 400)
    assert part in caught.value.message
    assert len(caught.value.message) < 400


def test_what_is_right_passes() -> None:
    ArgumentCheck(SCHEMA, "read").check({"path": "x", "lines": [1]})


@pytest.mark.parametrize(
    "schema",
    [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/schema.json"}, {"$ref": "#/nowhere"}, {"$ref": "#"}],
)
def test_a_schema_that_is_none_checks_nothing_and_fetches_nothing(schema: dict[str, Any]) -> None:
    ArgumentCheck(schema, "read").check({"any": "thing"})


def test_a_models_arguments_are_read_as_an_object() -> None:
    assert parsed_arguments('{"a":1}', "read") == {"a": 1}
    assert parsed_arguments(" ", "read") == {}


@pytest.mark.parametrize("text", ["{", "[]", "1", "null"])
def test_arguments_that_are_no_object_are_told_to_the_model(text: str) -> None:
    with pytest.raises(InvalidArguments, match="JSON"):
        parsed_arguments(text, "read")
