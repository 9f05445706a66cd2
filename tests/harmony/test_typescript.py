"""Where openai-harmony prints ``any`` for a schema, or breaks a comment, ours says what the schema says."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.harmony.typescript import parameters_type


def _type_of(schema: dict[str, Any], **root: Any) -> str:
    written = parameters_type({"type": "object", "properties": {"x": schema}, "required": ["x"], **root})
    return written.removeprefix("{\n").removesuffix("\n}").removesuffix(",")


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "integer"}, "x: number"),
        ({"type": ["string", "null"]}, "x: string | null"),
        ({"type": "string", "nullable": True}, "x: string | null"),
        ({"enum": [1, 2]}, "x: 1 | 2"),
        ({"type": "string", "enum": ["c", "f"]}, 'x: "c" | "f"'),
        ({"const": 3}, "x: 3"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x: string | null"),
        ({"allOf": [{"type": "string"}, {"enum": ["a", "b"]}]}, 'x: string & ("a" | "b")'),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, 'x: ("a" | "b")[]'),
        ({"type": "array"}, "x: Array<any>"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "x: {\n    [key: string]: number,\n    }"),
        ({}, "x: any"),
        ({"type": 7}, "x: any"),
    ],
)
def test_a_schema_says_what_it_means(schema: dict[str, Any], written: str) -> None:
    assert _type_of(schema) == written


def test_a_reference_is_followed() -> None:
    assert _type_of({"$ref": "#/$defs/unit"}, **{"$defs": {"unit": {"enum": ["c", "f"]}}}) == 'x: "c" | "f"'


def test_a_recursive_reference_ends() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}

    assert "child?: any" in _type_of({"$ref": "#/$defs/tree"}, **{"$defs": {"tree": tree}})


def test_a_reference_to_nowhere_is_any() -> None:
    assert _type_of({"$ref": "#/$defs/gone"}) == "x: any"


def test_every_line_of_a_description_stays_a_comment() -> None:
    assert _type_of({"type": "string", "description": "one\ntwo"}) == "// one\n// two\nx: string"


def test_deep_nesting_ends() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "object", "properties": {"x": schema}}

    assert "any" in parameters_type(schema)
