"""Generated JSON Schemas, of what can be enforced."""

from __future__ import annotations

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


def _several(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(children, min_size=1, max_size=3).map(lambda options: {"anyOf": options})


def json_schemas() -> st.SearchStrategy[Any]:
    """Schemas of all kinds, nested."""
    return st.recursive(
        _leaves, lambda children: st.one_of(_objects(children), _arrays(children), _several(children)), max_leaves=6
    )
