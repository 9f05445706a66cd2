"""Where openai-harmony prints ``any`` for a schema, or breaks a comment, ours says what the schema says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony.typescript import MAX_DEPTH, REFERENCE_ROOM, SchemaTooLarge, parameters_type


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
        ({"type": "array", "items": {"type": "string", "nullable": True}}, "x: (string | null)[]"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, "x: [string, number]"),
        ({"type": "array", "items": {"$ref": "#/$defs/u"}, "prefixItems": [{"const": 1}]}, "x: [1, ...any[]]"),
        ({"items": {"type": "string"}}, "x: string[]"),
        ({"type": ["object", "null"], "properties": {"a": {}}}, "x: {\n    a?: any,\n    } | null"),
        ({"type": ["string", "null"], "enum": ["a", None]}, 'x: "a" | null'),
        ({"type": "string", "anyOf": [{"pattern": "a"}, {"pattern": "b"}]}, "x: string"),
        ({"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]}, "x: string"),
        ({"type": "string", "oneOf": [{"const": "a"}, {"const": "b"}]}, 'x:\n | "a"\n | "b"\n'),
        ({"allOf": [{"type": "string"}]}, "x: string"),
        ({"type": "number", "default": 1e-5}, "x: number, // default: 0.00001"),
        ({"type": "number", "default": 1e-7}, "x: number, // default: 1e-7"),
        ({"type": "string", "default": "a\nb"}, 'x: string, // default: "a\\nb"'),
        ({"type": "integer", "examples": [1, 2]}, "// Examples:\n// - 1\n// - 2\nx: number"),
        ({}, "x: any"),
        ({"type": 7}, "x: any"),
    ],
)
def test_a_schema_says_what_it_means(schema: dict[str, Any], written: str) -> None:
    assert _type_of(schema) == written


def test_a_reference_is_followed() -> None:
    assert _type_of({"$ref": "#/$defs/unit"}, **{"$defs": {"unit": {"enum": ["c", "f"]}}}) == 'x: "c" | "f"'


def test_a_reference_may_be_spelled_as_in_an_address() -> None:
    assert _type_of({"$ref": "#/$defs/My%20Unit"}, **{"$defs": {"My Unit": {"const": 1}}}) == "x: 1"


def test_a_recursive_reference_ends() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}

    assert "child?: any" in _type_of({"$ref": "#/$defs/tree"}, **{"$defs": {"tree": tree}})


def test_a_reference_to_nowhere_is_any() -> None:
    assert _type_of({"$ref": "#/$defs/gone"}) == "x: any"


def test_every_line_of_a_description_stays_a_comment() -> None:
    assert _type_of({"type": "string", "description": "one\ntwo"}) == "// one\n// two\nx: string"


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_properties_beside_conditions_are_kept(keyword: str) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    conditions = [{"required": ["a"]}, {"required": ["b"]}]

    assert parameters_type({**parameters, keyword: conditions}) == "{\na?: string,\nb?: string,\n}"


def test_properties_beside_variants_are_kept() -> None:
    variants = [{"type": "object", "properties": {"cat": {"type": "string"}}}, {"properties": {"dog": {"const": 1}}}]

    written = parameters_type({"type": "object", "properties": {"name": {"type": "string"}}, "anyOf": variants})

    assert written == "{\nname?: string,\n} & ({\ncat?: string,\n} | {\ndog?: 1,\n})"


def test_variants_with_descriptions_have_a_line_each() -> None:
    variants = [{"type": "string", "description": "a name"}, {"type": "null"}]

    assert _type_of({"anyOf": variants}) == "x:\n | string // a name\n | null\n"


def test_what_is_said_of_a_reference_is_shown_where_it_is_used() -> None:
    unit = {"enum": ["c", "f"], "description": "The unit."}

    assert _type_of({"$ref": "#/$defs/unit"}, **{"$defs": {"unit": unit}}) == '// The unit.\nx: "c" | "f"'
    assert _type_of({"$ref": "#/$defs/gone"}) == "x: any"


def test_a_reference_may_point_into_a_list() -> None:
    schema = {"properties": {"x": {"anyOf": [{"const": 7}]}, "y": {"$ref": "#/properties/x/anyOf/0"}}}

    assert "y?: 7," in parameters_type(schema)
    assert "z?: any," in parameters_type(
        {"properties": {**schema["properties"], "z": {"$ref": "#/properties/x/anyOf/9"}}}
    )


_names = st.from_regex(r"[a-z][a-z0-9_]{2,9}", fullmatch=True)
_notes = st.text(st.characters(categories=("L", "N", "P")), min_size=3, max_size=12)


def _described(kinds: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    notes = st.fixed_dictionaries({}, optional={"description": st.lists(_notes, min_size=1, max_size=3).map("\n".join)})
    return st.builds(lambda kind, note: {**kind, **note}, kinds, notes)


_leaves = _described(
    st.one_of(
        st.sampled_from(["string", "number", "integer", "boolean", "null"]).map(lambda kind: {"type": kind}),
        st.lists(_names | st.integers(), min_size=1, max_size=3, unique=True).map(lambda values: {"enum": values}),
        (_names | st.integers()).map(lambda value: {"const": value}),
        st.sampled_from([["string", "null"], ["integer", "string"]]).map(lambda kinds: {"type": kinds}),
    )
)


def _branches(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(_names, children | _described(children), min_size=1, max_size=3)
    several = st.lists(children, min_size=1, max_size=3)
    objects = properties.map(lambda chosen: {"type": "object", "properties": chosen})
    return st.one_of(
        objects,
        several.map(lambda variants: {"anyOf": variants}),
        several.map(lambda variants: {"oneOf": variants}),
        objects.flatmap(lambda base: several.map(lambda variants: {**base, "anyOf": variants})),
        objects.map(lambda one: {"allOf": [one, {"type": "object", "properties": {"also": {"type": "string"}}}]}),
        objects.map(lambda item: {"type": "array", "items": item}),
        children.map(lambda value: {"type": "object", "additionalProperties": value}),
    )


_PRINTED = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def _says(schema: Any, *, shown: bool) -> list[str]:
    """What a schema says that a type must say too. ``shown``: it stands where descriptions are."""
    found: list[str] = []
    if shown and "description" in schema:
        found += schema["description"].split("\n")
    for value in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
        found.append(f'"{value}"' if isinstance(value, str) else str(value))
    kinds = schema.get("type", [])
    found += [_PRINTED[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in _PRINTED]
    for name, value in schema.get("properties", {}).items():
        found += [f"{name}?:", *_says(value, shown=True)]
    for keyword in ("anyOf", "oneOf"):
        for variant in schema.get(keyword, ()):
            found += _says(variant, shown=True)
    for part in schema.get("allOf", ()):
        found += _says(part, shown=False)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            found += _says(schema[keyword], shown=False)
    return found


@given(schema=st.dictionaries(_names, st.recursive(_leaves, _branches, max_leaves=8), min_size=1, max_size=3))
def test_everything_that_a_schema_says_is_in_the_type(schema: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": schema}
    written = parameters_type(parameters)

    assert [said for said in _says(parameters, shown=True) if said not in written] == []
    if "any" not in str(schema):
        assert "any" not in written


@given(schema=st.dictionaries(_names, st.recursive(_leaves, _branches, max_leaves=8), min_size=1, max_size=3))
def test_no_description_leaves_its_comment(schema: dict[str, Any]) -> None:
    def marked(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                key: value.replace("\n", "\n\u2691")
                if key == "description" and isinstance(value, str)
                else marked(value)
                for key, value in part.items()
            }
        return [marked(one) for one in part] if isinstance(part, list) else part

    for line in parameters_type(marked({"type": "object", "properties": schema})).split("\n"):
        assert "\u2691" not in line or "//" in line.split("\u2691")[0]


def test_parentheses_keep_what_belongs_together() -> None:
    union = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    both = {"allOf": [union, {"const": 1}]}

    assert _type_of({"type": "array", "items": union}) == "x: (string | number)[]"
    assert _type_of(both) == "x: (string | number) & 1"
    assert _type_of({"type": "array", "items": both}) == "x: ((string | number) & 1)[]"
    inner = {"type": "object", "properties": {"a": union}}
    assert _type_of({"type": "array", "items": inner}) == "x: {\n    a?: string | number,\n    }[]"


@pytest.mark.parametrize("keyword", ["properties", "items", "anyOf", "oneOf", "allOf", "additionalProperties"])
def test_deep_nesting_ends(keyword: str) -> None:
    schema: dict[str, Any] = {"type": "boolean"}
    for _ in range(900):
        kind = {"items": "array", "properties": "object", "additionalProperties": "object"}.get(keyword)
        inside = {"properties": {"x": schema}, "items": schema, "additionalProperties": schema}.get(keyword, [schema])
        schema = {keyword: inside, **({"type": kind} if kind else {})}

    written = parameters_type(schema)

    assert "any" in written
    assert "boolean" not in written


def test_nesting_that_people_write_is_written_out() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(MAX_DEPTH - 1):
        schema = {"type": "object", "properties": {"x": schema}}

    assert "string" in parameters_type(schema)


def test_references_that_multiply_are_bounded() -> None:
    defs: dict[str, Any] = {"t40": {"type": "string", "description": "the end"}}
    for number in range(40):
        both = {"$ref": f"#/$defs/t{number + 1}"}
        defs[f"t{number}"] = {"type": "object", "properties": {"left": both, "right": both}}

    written = parameters_type({"type": "object", "properties": {"x": {"$ref": "#/$defs/t0"}}, "$defs": defs})

    assert "left?: any" in written or "right?: any" in written
    assert len(written) < 4 * REFERENCE_ROOM


def test_references_all_to_each_other_are_bounded() -> None:
    everything = {f"p{number}": {"$ref": f"#/$defs/t{number}"} for number in range(60)}
    defs = {f"t{number}": {"type": "object", "properties": everything} for number in range(60)}

    written = parameters_type({"type": "object", "properties": everything, "$defs": defs})

    assert len(written) < 4 * REFERENCE_ROOM


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_references_that_say_nothing_are_bounded_too(keyword: str) -> None:
    everything = [{"$ref": f"#/$defs/t{number}"} for number in range(60)]
    defs = {f"t{number}": {keyword: everything} for number in range(60)}
    followed: list[str] = []

    class Counted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            followed.append(key)
            return super().get(key, default)

    parameters_type({"properties": {"x": {"$ref": "#/$defs/t0"}}, "$defs": Counted(defs)})

    assert len(followed) < 10_000


def test_what_is_said_of_references_is_bounded() -> None:
    properties = {f"p{number}": {"$ref": "#/$defs/a"} for number in range(1_000)}
    defs = {"a": {"type": "string", "description": "y" * 100_000}}

    assert len(parameters_type({"properties": properties, "$defs": defs})) < 4 * REFERENCE_ROOM


def test_references_in_a_row_end() -> None:
    defs: dict[str, Any] = {f"t{number}": {"$ref": f"#/$defs/t{number + 1}"} for number in range(5_000)}

    assert "x?: any" in parameters_type({"properties": {"x": {"$ref": "#/$defs/t0"}}, "$defs": defs})


def test_a_large_schema_without_tricks_is_written_out() -> None:
    properties = {f"field_{number}": {"type": "string", "description": "x" * 50} for number in range(10_000)}

    assert "field_9999?: string" in parameters_type({"type": "object", "properties": properties})


def test_a_schema_that_no_model_could_read_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {f"p{number}": {} for number in range(60_000)}}
    for _ in range(40):
        schema = {"type": "object", "properties": {"x": schema}}

    with pytest.raises(SchemaTooLarge, match="characters"):
        parameters_type(schema)


@pytest.mark.parametrize("keyword", ["const", "default"])
def test_a_value_nested_beyond_reason_is_refused(keyword: str) -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    try:
        with pytest.raises(SchemaTooLarge, match="nested"):
            parameters_type({"properties": {"x": {keyword: value}}})
    finally:
        while isinstance(value, list):  # or taking it apart would be what overflows
            value = value.pop()
