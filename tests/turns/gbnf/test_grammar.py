"""JSON Schemas as grammars: whatever they let through is valid, by the jsonschema library."""

from __future__ import annotations

import contextlib
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
from tests.support.json_schemas import combining_schemas, json_schemas, json_values

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
    "all of, one of which knows no others": {
        "allOf": [
            {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "boolean"}},
            {"properties": {"b": {}, "c": {"const": 1}}, "additionalProperties": False},
        ],
    },
    "any of, of which one is possible": {"type": "number", "minimum": 5, "anyOf": [{"maximum": 3}, {"maximum": 10}]},
    "a property that cannot be": {"properties": {"a": {"enum": ["x"], "minLength": 2}, "b": {"type": "null"}}},
    "a name with a space": {"$ref": "#/$defs/My%20T", "$defs": {"My T": {"type": "null"}}},
    "a pattern of a length": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"},
    "a pattern of a length from its beginning on": {"type": "string", "maxLength": 5, "pattern": "^ab"},
    "patterns of a length": {"type": "string", "minLength": 3, "maxLength": 5, "pattern": "^a+$|^b(cd)*$|^x$"},
    "a number of ones": {"type": "number", "multipleOf": 1, "maximum": 7},
    "constant and enum": {"const": 1, "enum": [1, 2]},
    "what is required and impossible but for other types": {"properties": {"a": False}, "required": ["a"]},
    "nothing but what a schema does not speak of": {"properties": {"a": {}}, "type": "string"},
    "recursion, in two at once": {
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "$defs": {
            "a": {"type": "object", "properties": {"next": {"$ref": "#/$defs/a"}, "a": {"type": "integer"}}},
            "b": {"type": "object", "properties": {"next": {"$ref": "#/$defs/b"}, "a": {"minimum": 3}}},
        },
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


def texts(schema: Any, count: int, seed: int = 1, *, strict: bool = True, object_only: bool = False) -> list[str]:
    """Random texts that the schema's grammar lets through."""
    made = schema_grammar(schema, strict=strict, object_only=object_only)
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


def test_an_object_whose_properties_are_listed_and_none_is_empty() -> None:
    assert all(json.loads(text) == {} for text in texts({"type": "object", "properties": {}}, 20))
    both = {"allOf": [{"type": "object", "properties": {}}, {"properties": {"a": {"const": 1}}, "required": ["a"]}]}
    assert all(json.loads(text) == {"a": 1} for text in texts(both, 20))


def test_every_integer_between_the_bounds_can_be_written_and_no_other() -> None:
    found = {int(text) for text in texts({"type": "integer", "minimum": -12, "maximum": 8}, 3000)}
    assert found == set(range(-12, 9))


def test_rules_of_two_schemas_never_share_a_name() -> None:
    one, other = schema_grammar(KINDS["a tuple"]), schema_grammar(KINDS["all of"])
    Grammar(JSON_RULES + one.rules + other.rules)


Refused = tuple[Any, tuple[str | int, ...], str]
WRONG: list[Refused] = [
    ({"type": "strnig"}, ("type",), "not as JSON Schema wants it"),
    ({"properties": {"a": {"minimum": "1"}}}, ("properties", "a", "minimum"), "not as JSON Schema wants it"),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, ("properties", "a"), "which is not in the schema"),
    ({"$ref": "#/x/y", "x": {"y": {"type": 5}}}, (), "not as JSON Schema wants it"),
    ({"$ref": "#/x", "x": 5}, (), "not as JSON Schema wants it"),
    ({"$ref": "#"}, (), "only leads back to itself"),
    (
        {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}},
        ("$defs", "a"),
        "leads back to itself",
    ),
    ({"allOf": [{"$ref": "#"}], "type": "object"}, (), "leads back to itself"),
    ({"type": "string", "pattern": "("}, ("pattern",), "no regular expression"),
]
UNSUPPORTED: list[Refused] = [
    ({"$ref": "https://example.com/schema"}, (), "only references like"),
    ({"$ref": "#n", "$defs": {"q": {"$anchor": "n", "type": "null"}}}, (), "only references like"),
    ({"items": {"not": {"type": "null"}}}, ("items", "not"), "cannot be enforced"),
    ({"type": "object", "patternProperties": {"^a": {}}}, ("patternProperties",), "cannot be enforced"),
    ({"type": "array", "uniqueItems": True}, ("uniqueItems",), "cannot be enforced"),
    ({"type": "number", "multipleOf": 0.5}, ("multipleOf",), "cannot be enforced"),
    ({"type": "string", "pattern": "a", "maxLength": 3}, ("maxLength",), "together with 'pattern'"),
    ({"type": "string", "pattern": r"(?=a)\b"}, ("pattern",), "cannot say"),
    ({"enum": list(range(501))}, ("enum",), "more than 500 values"),
    ({"enum": ["a"], "pattern": "(?=a)"}, ("pattern",), "cannot say"),
    ({"properties": {str(n): {} for n in range(101)}}, ("properties",), "optional properties in a row"),
    ({"type": "string", "pattern": "^(a|aa){0,251}$"}, ("pattern",), "more than 250 times"),
]
IMPOSSIBLE: list[Refused] = [
    (False, (), "no value at all"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, (), "no value at all"),
    ({"type": "string", "enum": [1]}, (), "no value at all"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, ("properties", "a"), "no value at all"),
    ({"enum": ["a", "bb"], "minLength": 3}, (), "no value at all"),
    ({"const": 1, "enum": [2]}, (), "no value at all"),
    ({"allOf": [{"enum": [1, "x"]}, {"enum": [True, "y"]}]}, (), "no value at all"),
    ({"type": "string", "minLength": 3, "pattern": "^ab$"}, (), "no value at all"),
    ({"type": "array", "prefixItems": [False], "minItems": 1}, (), "no value at all"),
    (
        {
            "type": "object",
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {}}, "required": ["b"], "additionalProperties": False},
            ],
        },
        ("properties", "a"),
        "no value at all",
    ),
    (
        {
            "type": "object",
            "properties": {"x": {"type": "integer"}},
            "additionalProperties": False,
            "anyOf": [{"required": ["y"]}, {"required": ["z"]}],
        },
        (),
        "no value at all",
    ),
    (
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
        ("properties", "again"),
        "no value at all",
    ),
]


@pytest.mark.parametrize(
    ("kind", "schema", "path", "says"),
    [
        *(("invalid", *each) for each in WRONG),
        *(("unsupported", *each) for each in UNSUPPORTED),
        *(("impossible", *each) for each in IMPOSSIBLE),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_with_the_place_and_the_reason(
    kind: str, schema: Any, path: tuple[str | int, ...], says: str
) -> None:
    with pytest.raises(SchemaError, match=says) as refused:
        schema_grammar(schema)
    assert (refused.value.kind, refused.value.path) == (kind, path)


@pytest.mark.parametrize("schema", [schema for schema, _, _ in UNSUPPORTED])
def test_what_cannot_be_enforced_is_left_to_the_model_unless_it_must_be(schema: Any) -> None:
    assert schema_grammar(schema, strict=False).root


def test_a_tuple_of_an_older_draft_is_taken_unless_the_schema_must_be_exact() -> None:
    schema = {"type": "array", "items": [{"type": "integer"}, {"type": "null"}]}
    for text in texts(schema, 20, strict=False):
        jsonschema.Draft7Validator(schema).validate(json.loads(text))
    assert texts({"$schema": "http://json-schema.org/draft-07/schema#", **schema}, 5)
    with pytest.raises(SchemaError):
        schema_grammar(schema)


@given(combining_schemas(), st.integers(0, 1000), st.lists(json_values(), min_size=10, max_size=10))
def test_however_schemas_are_combined_nothing_wrong_is_written_and_nothing_possible_is_called_impossible(
    schema: Any, seed: int, values: list[Any]
) -> None:
    try:
        written = texts(schema, 5, seed)
    except SchemaError as error:
        if error.kind == "impossible":
            validator = jsonschema.Draft202012Validator(schema)
            with contextlib.suppress(RecursionError):  # what is impossible may also refer to itself without end
                assert not any(map(validator.is_valid, values))
        return
    for text in written:
        assert_valid(text, schema)


@given(combining_schemas())
def test_whatever_is_possible_is_taken_where_it_need_not_be_enforced(schema: Any) -> None:
    try:
        schema_grammar(schema)
    except SchemaError as error:
        if error.kind == "unsupported":
            assert schema_grammar(schema, strict=False).root


OBJECTS_ONLY: dict[str, Any] = {
    "anything": {},
    "an object or null": {"anyOf": [{"type": "object", "properties": {"a": {"type": "null"}}}, {"type": "null"}]},
    "no type": {"properties": {"a": {"type": "boolean"}}, "required": ["a"]},
    "several types": {"type": ["object", "null"]},
    "values": {"enum": [1, {"a": 1}, None]},
    "a reference to itself": {"properties": {"a": {"$ref": "#"}, "b": {"type": "null"}}, "type": ["object", "null"]},
}


@pytest.mark.parametrize("schema", OBJECTS_ONLY.values(), ids=OBJECTS_ONLY)
@pytest.mark.parametrize("strict", [True, False])
def test_of_what_a_schema_allows_only_the_objects_may_be_wanted(schema: Any, strict: bool) -> None:
    written = texts(schema, 50, strict=strict, object_only=True)
    assert written
    for text in written:
        assert isinstance(json.loads(text), dict)
        assert_valid(text, schema)


@pytest.mark.parametrize("schema", [{"type": "boolean"}, {"type": ["null"]}, {"type": "array"}, {"const": "a"}])
@pytest.mark.parametrize("strict", [True, False])
def test_a_schema_without_objects_is_refused_where_an_object_is_wanted(schema: Any, strict: bool) -> None:
    with pytest.raises(SchemaError, match="no object at all") as refused:
        schema_grammar(schema, strict=strict, object_only=True)
    assert refused.value.kind == "impossible"


def test_enums_keep_every_value_that_the_keywords_beside_them_allow() -> None:
    schema = {
        "enum": ["a", "bb", 1, 2.0, True, None, {"x": 1}, {"x": "1"}, [1, 1], [1]],
        "minLength": 2,
        "exclusiveMinimum": 1,
        "properties": {"x": {"type": "integer"}},
        "uniqueItems": True,
    }
    found = {json.dumps(json.loads(text)) for text in texts(schema, 300)}
    assert found == {json.dumps(value) for value in ["bb", 2.0, True, None, {"x": 1}, [1]]}


def test_lengths_hold_beside_a_pattern() -> None:
    schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "minLength": 2, "maxLength": 4}
    assert {len(json.loads(text)) for text in texts(schema, 100)} == {2, 3, 4}


@pytest.mark.parametrize("branches", ALIKE.values(), ids=ALIKE)
def test_one_of_branches_that_may_both_hold_is_refused_unless_it_may_be_left_to_the_model(branches: list[Any]) -> None:
    schema = {"properties": {"a": {"oneOf": branches}}}
    with pytest.raises(SchemaError) as refused:
        schema_grammar(schema)
    if "$ref" not in branches[0]:
        assert (refused.value.path, refused.value.kind) == (("properties", "a", "oneOf"), "unsupported")
        assert "0 and 1" in str(refused.value) or "1 and 0" in str(refused.value)
        assert schema_grammar(schema, strict=False).root


@given(st.lists(json_schemas(), min_size=2, max_size=3), st.integers(0, 1000))
def test_one_of_whatever_branches_is_refused_or_exact(branches: list[Any], seed: int) -> None:
    schema = {"oneOf": branches}
    try:
        written = texts(schema, 5, seed)
    except SchemaError as error:
        assert error.kind != "invalid"
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
    "values to compare with values": {"allOf": [{"enum": list(range(7000))}, {"enum": list(range(3000, 9000))}]},
    "a pattern to compare with values": {"enum": ["a" * 30_000 + "b"], "pattern": "^(a+)+$"},
    "values that may nest in many ways": {
        "allOf": [{"$ref": "#/$defs/a"}, {"const": json.loads("[" * 50 + "]" * 50)}],
        "$defs": {
            name: {"anyOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/b"}}]} for name in "ab"
        },
    },
    "alternatives that multiply": {
        "allOf": [
            {"anyOf": [{"properties": {f"p{n}": {"const": way}}} for way in range(2)]} | {"type": "object"}
            for n in range(40)
        ]
    },
    "meetings that multiply": {
        "$ref": "#/$defs/0",
        "$defs": {
            str(n): {
                "type": "object",
                "properties": {
                    "a": {"allOf": [{"$ref": f"#/$defs/{(n + 1) % 40}"}, {"$ref": f"#/$defs/{(n * 7 + 3) % 40}"}]},
                    "b": {"$ref": f"#/$defs/{(n * 3 + 1) % 40}"},
                },
            }
            for n in range(40)
        },
    },
    "many objects at once": {"allOf": [{"properties": {f"p{n}": {"minimum": 1}}, "required": []} for n in range(1500)]},
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
