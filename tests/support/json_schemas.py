"""Generated JSON Schemas, of what can be enforced."""

from __future__ import annotations

from collections import ChainMap
from typing import Any

from hypothesis import strategies as st

_names = st.text(st.sampled_from('abc<|"ü'), min_size=1, max_size=3)


def _range(low: str, high: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(values, min_size=2, max_size=2).map(lambda pair: {low: min(pair), high: max(pair)})


_leaves: st.SearchStrategy[Any] = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    _range("minLength", "maxLength", st.integers(0, 8)).map(lambda bounds: {"type": "string", **bounds}),
    _range("minimum", "maximum", st.integers(-2000, 2000)).map(lambda bounds: {"type": "integer", **bounds}),
    _range("minimum", "maximum", st.decimals(-20, 20, places=2).map(float)).map(
        lambda bounds: {"type": "number", **bounds}
    ),
    st.lists(st.none() | st.booleans() | st.integers(-5, 5) | _names, min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.sampled_from(["^a+$", "^[b-d]{1,3}$", "^(x|yz)*$"]).map(lambda written: {"type": "string", "pattern": written}),
    st.sampled_from(["date", "time", "uuid", "ipv4"]).map(lambda name: {"type": "string", "format": name}),
)


@st.composite
def _objects(draw: st.DrawFn, children: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(_names, children, max_size=4))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if properties:
        schema["required"] = draw(st.lists(st.sampled_from(list(properties)), unique=True))
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.booleans() | children)
    return schema


def _arrays(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    bounds = _range("minItems", "maxItems", st.integers(0, 3))
    return st.tuples(bounds, children).map(lambda drawn: {"type": "array", "items": drawn[1], **drawn[0]})


def _any_of(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(children, min_size=1, max_size=3).map(lambda options: {"anyOf": options})


def json_schemas() -> st.SearchStrategy[Any]:
    """Schemas of all kinds, nested; each has a value."""
    return st.recursive(
        _leaves, lambda children: st.one_of(_objects(children), _arrays(children), _any_of(children)), max_leaves=6
    )


def json_values() -> st.SearchStrategy[Any]:
    """Values of all kinds, nested, with the names and the numbers of the schemas."""
    scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5).map(lambda x: round(x, 1)) | _names
    return st.recursive(
        scalars,
        lambda children: st.lists(children, max_size=3) | st.dictionaries(_names, children, max_size=3),
        max_leaves=6,
    )


_keywords: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"]).map(
        lambda kind: {"type": kind}
    ),
    st.lists(st.sampled_from(["object", "string", "integer", "null"]), min_size=1, unique=True).map(
        lambda kinds: {"type": kinds}
    ),
    st.lists(json_values(), min_size=1, max_size=4).map(lambda values: {"enum": values}),
    json_values().map(lambda value: {"const": value}),
    st.integers(-3, 3).map(lambda bound: {"minimum": bound}),
    st.integers(-3, 3).map(lambda bound: {"exclusiveMaximum": bound}),
    st.integers(0, 2).map(lambda bound: {"minLength": bound}),
    st.integers(0, 2).map(lambda bound: {"maxLength": bound}),
    st.integers(0, 2).map(lambda bound: {"minItems": bound}),
    st.integers(0, 2).map(lambda bound: {"maxItems": bound}),
    st.sampled_from(["^a", "^[ab]+$", "c?$"]).map(lambda written: {"pattern": written}),
    st.lists(_names, max_size=2, unique=True).map(lambda names: {"required": names}),
    st.just({"type": "number", "multipleOf": 1}),
)


@st.composite
def combining_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas that combine others in every way, so that some allow nothing, and some cannot be enforced."""
    schemas = st.recursive(st.booleans() | _keywords, _several_at_once, max_leaves=8)
    return {"allOf": [draw(schemas)], "$defs": {"x": draw(schemas)}}


def _several_at_once(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(children, min_size=1, max_size=3)
    keywords = st.one_of(
        _keywords,
        some.map(lambda parts: {"allOf": parts}),
        some.map(lambda parts: {"anyOf": parts}),
        some.map(lambda parts: {"oneOf": parts}),
        st.dictionaries(_names, children, max_size=3).map(lambda named: {"properties": named}),
        children.map(lambda schema: {"additionalProperties": schema}),
        children.map(lambda schema: {"items": schema}),
        some.map(lambda parts: {"prefixItems": parts}),
        st.just({"$ref": "#/$defs/x"}),
    )
    return st.lists(keywords, min_size=1, max_size=4).map(lambda parts: dict(ChainMap(*parts)))
