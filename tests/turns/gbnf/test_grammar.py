"""JSON Schemas as grammars: whatever they let through is valid, by the jsonschema library."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.turns.gbnf.grammar import MAX_SCHEMA_BYTES, schema_grammar
from lemonade_like.turns.gbnf.rules import JSON_RULES, SchemaError
from tests.support.gbnf import Grammar
from tests.support.json_schemas import json_schemas

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}

REQUIRED = {"required": ["kind"]}
TOLD_APART: dict[str, list[Any]] = {
    "types": [{"type": ["string", "null"]}, {"type": "integer"}, {"type": "array", "items": {"type": "null"}}],
    "values": [{"const": 1}, {"enum": [2, "1"]}, {"const": None}],
    "types and values": [{"enum": ["a", 1]}, {"type": "object"}],
    "what a property must be": [
        {"properties": {"kind": {"const": "a"}}, **REQUIRED},
        {"properties": {"kind": {"type": "null"}, "b": {"type": "null"}}, **REQUIRED},
    ],
    "what one requires and the other never has": [
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]},
    ],
    "what one forbids": [
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": True},
        {"type": "object", "properties": {}, "additionalProperties": False},
    ],
    "branches of their own": [{"anyOf": [{"type": "null"}, {"const": 1}]}, {"oneOf": [{"const": 2}, {"const": 3}]}],
    "what is not possible": [False, {"type": "null"}],
    "many discriminators": [{"properties": {"kind": {"const": f"k{n}"}}, **REQUIRED} for n in range(100)],
}
ALIKE: dict[str, list[Any]] = {
    "an integer is a number": [{"type": "integer"}, {"type": "number"}],
    "one and 1.0": [{"const": 1}, {"const": 1.0}],
    "ranges": [{"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 5}],
    "an optional discriminator": [{"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"const": "b"}}}],
    "a property that the other may have": [
        {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": True},
        {"type": "object", "properties": {"b": {}}, "required": ["b"]},
    ],
    "anything": [{"type": "null"}, {}],
    "a loop": [{"$ref": "#"}, {"type": "null"}],
}
KINDS: dict[str, Any] = {
    "anything": True,
    "any object": {"type": "object"},
    "a map": {"type": "object", "additionalProperties": {"type": "boolean"}},
    "no properties": {"type": "object", "properties": {}, "additionalProperties": False},
    "optional properties": {"properties": {name: {"type": "boolean"} for name in "abcd"}},
    "some required": {"properties": {name: {"type": "null"} for name in "abcd"}, "required": ["b", "d"]},
    "required but not declared": {"type": "object", "required": ["x"]},
    "more properties": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "ab": {"type": "null"}, 'q"\\': {"const": 1}},
        "additionalProperties": {"type": "string"},
    },
    "an enum": {"enum": ["x", "ü\n", 1, 1.5, None, True, {"k": [1, "<|end|>"]}]},
    "an enum of many": {"enum": [f"value {n}" for n in range(300)] + ["value", "v", ""]},
    "an enum of ever longer texts": {"enum": ["x" * n for n in range(200)]},
    "an enum of one type": {"type": "string", "enum": ["a", 1]},
    "a constant": {"const": {"<|start|>": '"'}},
    "several types": {"type": ["string", "integer", "null"], "minimum": 3, "minLength": 2},
    "any of": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    **{f"one of, told apart by {how}": {"oneOf": branches} for how, branches in TOLD_APART.items()},
    "one of, with more beside it": {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "required": ["kind"],
        "oneOf": [{"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"enum": ["b", "c"]}}}],
    },
    "one of references": {
        "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}, {"type": "null"}],
        "$defs": {
            name: {"type": "object", "properties": {"kind": {"const": name}, "age": {"type": "integer"}}} | REQUIRED
            for name in ("cat", "dog")
        },
    },
    "any of, with more beside it": {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "required": ["kind"],
        "anyOf": [{"properties": {"kind": {"const": "a"}}}, {"required": ["size"]}],
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "maximum": 9}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5}, "b": {"type": "null"}}},
        ]
    },
    "recursion": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    "recursion to the root": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    "a reference with more beside it": {
        "$ref": "#/definitions/a~1b",
        "maximum": 3,
        "definitions": {"a/b": {"type": "integer", "minimum": 1}},
    },
    "an array": {"type": "array", "items": {"type": "integer"}},
    "an array within bounds": {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 4},
    "an empty array": {"type": "array", "maxItems": 0},
    "a tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False},
    "a tuple and more": {"prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "minItems": 3, "maxItems": 4},
    "a short string": {"type": "string", "minLength": 2, "maxLength": 5},
    "a long string": {"type": "string", "minLength": 120, "maxLength": 345},
    "integers": {"type": "integer", "minimum": -17, "maximum": 305},
    "integers above": {"type": "integer", "exclusiveMinimum": 99},
    "integers below": {"type": "integer", "maximum": -10},
    "integers between fractions": {"type": "integer", "minimum": -2.5, "maximum": 2.5},
    "numbers": {"type": "number", "minimum": 0.25, "exclusiveMaximum": 7},
    "negative numbers": {"type": "number", "exclusiveMinimum": -2.5, "exclusiveMaximum": -0.1},
    "numbers around zero": {"type": "number", "minimum": -0.5, "maximum": 0.5},
    "positive numbers": {"type": "number", "exclusiveMinimum": 0},
    "numbers below": {"type": "number", "maximum": -3},
    "a pattern": {"type": "string", "pattern": r"^[a-c]+-\d{2,3}$"},
    "a pattern anywhere": {"type": "string", "pattern": r"foo|^ba[rz\"\\]$|(?:x|y){2}"},
    "a pattern of classes": {"type": "string", "pattern": r"^\w\s\S\D\W.[^a-z<]<?\x41\u00e9$"},
    **{
        f"a {name}": {"type": "string", "format": name}
        for name in ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
    },
}


def texts(schema: Any, count: int, seed: int = 1) -> list[str]:
    """Random texts that the schema's grammar lets through."""
    made = schema_grammar(schema)
    grammar = Grammar(JSON_RULES + made.rules)
    chance = random.Random(seed)
    written = []
    for _ in range(count):
        try:
            written.append(grammar.write(made.root, chance))
        except RecursionError:
            continue
    return written


def assert_valid(text: str, schema: Any) -> None:
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(schema, format_checker=formats)
    validator.validate(json.loads(text))
    assert "<|" not in text


@pytest.mark.parametrize("schema", KINDS.values(), ids=KINDS)
def test_what_a_grammar_lets_through_is_valid(schema: Any) -> None:
    written = texts(schema, 150)
    assert written
    for text in written:
        assert_valid(text, schema)


@given(json_schemas(), st.integers(0, 1000))
def test_what_any_grammar_lets_through_is_valid(schema: Any, seed: int) -> None:
    for text in texts(schema, 5, seed):
        assert_valid(text, schema)


def test_properties_keep_their_order_and_optional_ones_may_be_missing() -> None:
    keys = {tuple(json.loads(text)) for text in texts(KINDS["some required"], 200)}
    assert keys == {("a", "b", "c", "d"), ("b", "c", "d"), ("a", "b", "d"), ("b", "d")}


def test_every_integer_between_the_bounds_can_be_written_and_no_other() -> None:
    found = {int(text) for text in texts({"type": "integer", "minimum": -12, "maximum": 8}, 3000)}
    assert found == set(range(-12, 9))


def test_rules_of_two_schemas_never_share_a_name() -> None:
    one, other = schema_grammar(KINDS["a tuple"]), schema_grammar(KINDS["all of"])
    Grammar(JSON_RULES + one.rules + other.rules)


WRONG: list[tuple[Any, tuple[str | int, ...], str, bool]] = [
    ({"type": "strnig"}, ("type",), "not as JSON Schema wants it", False),
    ({"properties": {"a": {"minimum": "1"}}}, ("properties", "a", "minimum"), "not as JSON Schema wants it", False),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, ("properties", "a"), "which is not in the schema", False),
    ({"$ref": "https://example.com/schema"}, (), "only references like", False),
    ({"$ref": "#"}, (), "only leads back to itself", False),
    ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}, (), "leads back to itself", False),
    ({"allOf": [{"$ref": "#"}], "type": "object"}, (), "leads back to itself", False),
    ({"items": {"not": {"type": "null"}}}, ("items", "not"), "cannot be enforced", True),
    ({"type": "object", "patternProperties": {}}, ("patternProperties",), "cannot be enforced", True),
    ({"type": "array", "uniqueItems": True}, ("uniqueItems",), "cannot be enforced", True),
    ({"type": "number", "multipleOf": 0.5}, ("multipleOf",), "cannot be enforced", True),
    ({"type": "string", "pattern": "a", "maxLength": 3}, ("maxLength",), "together with 'pattern'", True),
    ({"type": "string", "pattern": "("}, ("pattern",), "no regular expression", False),
    ({"type": "string", "pattern": r"(?=a)\b"}, ("pattern",), "cannot say", True),
    ({"enum": list(range(501))}, ("enum",), "more than 500 values", True),
    ({"properties": {str(n): {} for n in range(101)}}, ("properties",), "optional properties in a row", True),
    ({"type": "string", "pattern": "^(a|aa){0,251}$"}, ("pattern",), "more than 250 times", True),
    ({"type": "integer", "minimum": 3, "maximum": 2}, (), "no value at all", False),
    ({"type": "string", "enum": [1]}, (), "no value at all", False),
    ({"properties": {"a": False}, "required": ["a"]}, (), "requires 'a' and forbids it", False),
]


@pytest.mark.parametrize(("schema", "path", "says", "unsupported"), WRONG)
def test_a_schema_that_cannot_be_enforced_is_refused_with_the_place(
    schema: Any, path: tuple[str | int, ...], says: str, unsupported: bool
) -> None:
    with pytest.raises(SchemaError, match=says) as refused:
        schema_grammar(schema)
    assert refused.value.path == path
    assert refused.value.unsupported == unsupported


@pytest.mark.parametrize("schema", [schema for schema, _, _, unsupported in WRONG if unsupported])
def test_what_cannot_be_enforced_is_left_to_the_model_unless_it_must_be(schema: Any) -> None:
    assert schema_grammar(schema, strict=False).root


@pytest.mark.parametrize("branches", ALIKE.values(), ids=ALIKE)
def test_one_of_branches_that_may_both_hold_is_refused_unless_it_may_be_left_to_the_model(branches: list[Any]) -> None:
    schema = {"properties": {"a": {"oneOf": branches}}}
    with pytest.raises(SchemaError) as refused:
        schema_grammar(schema)
    if "$ref" not in branches[0]:
        assert (refused.value.path, refused.value.unsupported) == (("properties", "a", "oneOf"), True)
        assert "0 and 1" in str(refused.value) or "1 and 0" in str(refused.value)
        assert schema_grammar(schema, strict=False).root


@given(st.lists(json_schemas(), min_size=2, max_size=3), st.integers(0, 1000))
def test_one_of_whatever_branches_is_refused_or_exact(branches: list[Any], seed: int) -> None:
    schema = {"oneOf": branches}
    try:
        written = texts(schema, 5, seed)
    except SchemaError as error:
        assert error.unsupported
        return
    for text in written:
        assert_valid(text, schema)


def _nested(depth: int) -> Any:
    schema: Any = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


HOSTILE = {
    "deep": _nested(100_000),
    "fairly deep": _nested(150),
    "large": {"enum": ["x" * MAX_SCHEMA_BYTES]},
    "many repetitions": {"properties": {str(n): {"type": "string", "maxLength": 99_900 + n} for n in range(99)}},
    "repeated patterns": {"type": "string", "pattern": "^" + "(a{200}b{200})" * 100 + "$"},
    "many branches of which one": {"oneOf": [{"properties": {"a": {"type": "null"}}} for _ in range(100)]},
    "many branches": {"anyOf": [{"const": n} for n in range(1000)]},
    "branches that multiply": {
        "allOf": [{"$ref": "#/$defs/0"}],
        "$defs": {
            str(n): {"anyOf": [{"allOf": [{"$ref": f"#/$defs/{n + 1}"}]}, {"allOf": [{"$ref": f"#/$defs/{n + 1}"}]}]}
            for n in range(40)
        }
        | {"40": {}},
    },
}


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_schema_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        schema_grammar(schema)
