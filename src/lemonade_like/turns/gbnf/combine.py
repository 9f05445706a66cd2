"""Several schemas that must hold at once (``allOf``, or a ``$ref`` with more beside it), as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lemonade_like.turns.gbnf.rules import SchemaError

Path = tuple[str | int, ...]
Resolve = Callable[[str, Path], Any]

_OF_TYPE: Final = {
    "object": (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "unevaluatedProperties",
    ),
    "array": (
        "items",
        "prefixItems",
        "additionalItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "unevaluatedItems",
    ),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_APPLICATORS: Final = ("$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$dynamicRef", "$recursiveRef")
#: Every keyword that says what is valid; all others (title, default, …) are annotations.
CONSTRAINTS: Final = frozenset(("type", "enum", "const", *_APPLICATORS)).union(*_OF_TYPE.values())
_ALL_TYPES: Final = ("object", "array", "string", "number", "boolean", "null")
_TIGHTER: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "minProperties": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
    "maxProperties": min,
}
_MAX_STEPS: Final = 200


def types_of(schema: dict[str, Any]) -> list[str]:
    """Return the types that a schema without branches allows; if it does not say, those that its keywords are about."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if isinstance(named, list) and named:
        return ["number" if kind == "integer" and "number" in named else kind for kind in named]
    spoken_of = [kind for kind, keywords in _OF_TYPE.items() if any(keyword in schema for keyword in keywords)]
    return spoken_of or list(_ALL_TYPES)


def combined(schema: dict[str, Any], resolve: Resolve, path: Path, *, strict: bool) -> dict[str, Any] | None:
    """Return the schema with references and ``allOf`` worked in; ``None`` if nothing can be valid.

    Raises:
        SchemaError: the parts cannot be put into one, or lead back to themselves.
    """
    merged: dict[str, Any] = {}
    waiting: list[Any] = [schema]
    steps = 0
    while waiting:
        steps += 1
        if steps > _MAX_STEPS:
            raise SchemaError("combines too many schemas, or leads back to itself", path)
        part = waiting.pop(0)
        if part is False:
            return None
        if not isinstance(part, dict):
            continue
        part = {key: value for key, value in part.items() if key in CONSTRAINTS}
        if "$ref" in part:
            waiting.insert(0, resolve(part.pop("$ref"), path))
        waiting = [*part.pop("allOf", ()), *waiting]
        for keyword, value in part.items():
            differs = keyword in merged and merged[keyword] != value
            merged[keyword] = _both(keyword, merged[keyword], value, path, strict=strict) if differs else value
    if merged.get("type") == []:
        return None
    return merged


def _both(keyword: str, one: Any, other: Any, path: Path, *, strict: bool) -> Any:
    if keyword == "properties":
        names = dict.fromkeys([*one, *other])
        return {
            name: {"allOf": [one[name], other[name]]}
            if name in one and name in other
            else one.get(name, other.get(name))
            for name in names
        }
    if keyword == "required":
        return list(dict.fromkeys([*one, *other]))
    if keyword == "type":
        return _common_types(one, other)
    if keyword == "enum":
        return [value for value in one if value in other]
    if keyword in ("items", "additionalProperties"):
        return {"allOf": [one, other]}
    if keyword in _TIGHTER and not isinstance(one, bool) and not isinstance(other, bool):
        return _TIGHTER[keyword](one, other)
    if strict:
        raise SchemaError(
            f"has parts that must hold at once, whose '{keyword}' cannot be put into one",
            (*path, keyword),
            unsupported=True,
        )
    return one


def _common_types(one: str | list[str], other: str | list[str]) -> list[str]:
    first, second = ([kind] if isinstance(kind, str) else kind for kind in (one, other))
    common = [kind for kind in first if kind in second]
    if "integer" not in common and (
        ("integer" in first and "number" in second) or ("number" in first and "integer" in second)
    ):
        common.append("integer")
    return common
