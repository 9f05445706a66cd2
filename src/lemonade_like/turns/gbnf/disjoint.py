"""Whether two branches of a ``oneOf`` can be told apart: only then is one of them valid whenever the other is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.gbnf.combine import Resolve, combined, types_of
from lemonade_like.turns.gbnf.rules import SchemaError, json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_DEPTH: Final = 8
#: How many pairs of schemas are looked at: beyond that nothing is proven.
_MAX_PAIRS: Final = 20_000
_BRANCHES: Final = ("anyOf", "oneOf")
_KINDS: Final = frozenset(("object", "array", "string", "number", "boolean", "null"))


class Disjoint:
    """Looks for proof that what is *written* for one schema is never valid by another.

    Written is less than valid: the grammar gives an object no property that its schema does not name, unless
    ``additionalProperties`` says so. So two objects also differ where one requires a property that the other never has.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._pairs = 0

    def overlapping(self, branches: Sequence[Any]) -> tuple[int, int] | None:
        """Return the places of two branches that may both hold; ``None`` if there are none."""
        try:
            merged = [self._merged(branch) for branch in branches]
        except SchemaError:  # said in full where the branches are written
            return None
        places = [(one, other) for one in range(len(branches)) for other in range(len(branches)) if one != other]
        return next((pair for pair in places if not self._merged_differ(merged[pair[0]], merged[pair[1]], 0)), None)

    def _differ(self, written: Any, valid: Any, depth: int) -> bool:
        try:
            return self._merged_differ(self._merged(written), self._merged(valid), depth)
        except SchemaError:
            return False

    def _merged_differ(self, one: dict[str, Any] | None, other: dict[str, Any] | None, depth: int) -> bool:
        self._pairs += 1
        if depth > _MAX_DEPTH or self._pairs > _MAX_PAIRS:
            return False
        if one is None or other is None:  # one of them allows nothing
            return True
        for several in _BRANCHES:
            if several in one:
                return all(self._differ(option, other, depth + 1) for option in _options(one, several))
        for several in _BRANCHES:
            if several in other:
                return all(self._differ(one, option, depth + 1) for option in _options(other, several))
        common = _kinds_written(one) & _kinds_valid(other)
        if not common:
            return True
        if (values := _values(one)) is not None and (others := _values(other)) is not None:
            return not values & others
        return common == {"object"} and self._objects_differ(one, other, depth)

    def _merged(self, schema: Any) -> dict[str, Any] | None:
        if schema is False:
            return None
        return combined(schema if isinstance(schema, dict) else {}, self._resolve, (), strict=True)

    def _objects_differ(self, one: dict[str, Any], other: dict[str, Any], depth: int) -> bool:
        if _values(one) is not None or _values(other) is not None:
            return False
        has, may = _required(one), one.get("properties", {})
        needs, knows = _required(other), other.get("properties", {})
        open_ended = one.get("additionalProperties", not may and not has)
        if open_ended is False and needs - set(may) - has:
            return True
        if other.get("additionalProperties") is False and "patternProperties" not in other and has - set(knows):
            return True
        return any(
            self._differ(may[name], knows[name], depth + 1)
            for name in sorted(has | needs)
            if name in may and name in knows
        )


def _options(schema: dict[str, Any], several: str) -> list[Any]:
    rest = {key: value for key, value in schema.items() if key != several}
    return [{"allOf": [rest, option]} for option in schema[several]] if rest else schema[several]


def _required(schema: dict[str, Any]) -> set[str]:
    return set(schema.get("required", ()))


def _kinds_written(schema: dict[str, Any]) -> set[str]:
    values = _listed(schema)
    kinds = types_of(schema) if values is None or "type" in schema else _KINDS
    return _folded(kinds) & (_KINDS if values is None else {_kind(value) for value in values})


def _kinds_valid(schema: dict[str, Any]) -> set[str]:
    values = _listed(schema)
    kinds = types_of(schema) if "type" in schema else _KINDS
    return _folded(kinds) & (_KINDS if values is None else {_kind(value) for value in values})


def _folded(kinds: Any) -> set[str]:
    return {"number" if kind == "integer" else kind for kind in kinds}


def _listed(schema: dict[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _values(schema: dict[str, Any]) -> set[str] | None:
    """The values that are listed, each as a text of its own; equal numbers are one, however they are written."""
    values = _listed(schema)
    if values is None:
        return None
    return {json_text(float(value) if _kind(value) == "number" else value) for value in values}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
