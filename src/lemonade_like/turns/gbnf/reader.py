"""One JSON Schema read into shapes, apart from the schemas that it combines."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from lemonade_like.turns.gbnf.form import (
    Array,
    Boolean,
    Literals,
    Meet,
    Never,
    Null,
    Number,
    Object,
    Part,
    Place,
    Shape,
    String,
)
from lemonade_like.turns.gbnf.formats import FORMATS
from lemonade_like.turns.gbnf.pattern import parsed
from lemonade_like.turns.gbnf.rules import Path, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lemonade_like.turns.gbnf.pattern import Pattern

_OF_KIND: Final = {
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
    "boolean": (),
    "null": (),
}
_CONDITIONS: Final = ("not", "if", "then", "else", "$dynamicRef", "$recursiveRef")
#: Every keyword that says what is valid; all others (title, default, …) are annotations.
_CONSTRAINTS: Final = frozenset(("type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf", *_CONDITIONS)).union(
    *_OF_KIND.values()
)
_OBJECT_UNSUPPORTED: Final = _OF_KIND["object"][3:]
_ARRAY_UNSUPPORTED: Final = _OF_KIND["array"][6:]
#: Of these, nothing (0, false, {}) asks for nothing.
_NOTHING_ASKED: Final = frozenset(
    (
        "patternProperties",
        "minProperties",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
    )
)
#: Where a schema has others in it: by name, in a list, or as themselves.
_BY_NAME: Final = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_NESTED: Final = frozenset(
    (
        *("allOf", "anyOf", "oneOf", "prefixItems", "items", "additionalItems", "additionalProperties"),
        *("not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
    )
)


class Reader:
    """Reads the schemas within ``root``. What no grammar can enforce is marked so if ``strict``, and else is left out.

    ``check`` raises ``SchemaError`` for what is no schema: references may lead to what nobody has looked at.
    """

    def __init__(self, root: Any, check: Callable[[Any], None], *, strict: bool) -> None:
        self._root = root
        self._check = check
        self._strict = strict
        self._checked: set[Path] = set()
        #: What references lead to that is no reference itself.
        self._led_to: dict[str, tuple[Any, Path]] = {}

    def place(self, schema: Any, path: Path) -> Place:
        """Return where values of a schema are; for a plain reference, of what it refers to.

        Raises:
            SchemaError: a reference leads nowhere, or to itself.
        """
        followed: set[str] = set()
        while True:
            keywords = _CONSTRAINTS.intersection(schema) if isinstance(schema, dict) else frozenset()
            if keywords != {"$ref"}:
                break
            reference = schema["$ref"]
            if reference in self._led_to:
                schema, path = self._led_to[reference]
                continue
            if reference in followed:
                raise SchemaError(f"refers to '{reference}', which only leads back to itself", path)
            followed.add(reference)
            schema, path = self._resolved(reference, path) or (True, path)
        self._led_to |= dict.fromkeys(followed, (schema, path))
        if schema is False:
            return Never
        return Meet((Part(path, schema),)) if isinstance(schema, dict) and keywords else Meet()

    def combined(self, part: Part) -> list[Place]:
        """Return the places that must hold beside a schema's own keywords."""
        schema, path = part.schema, part.path
        places = self._places(schema.get("allOf", []), (*path, "allOf"))
        if "$ref" in schema:
            places.append(self.place({"$ref": schema["$ref"]}, path))
        return places

    def choices(self, part: Part) -> list[tuple[str, list[Place]]]:
        """Return the places of which one is enough, by keyword."""
        return [
            (several, self._places(part.schema[several], (*part.path, several)))
            for several in ("anyOf", "oneOf")
            if several in part.schema
        ]

    def _places(self, schemas: list[Any], path: Path) -> list[Place]:
        return [self.place(schema, (*path, at)) for at, schema in enumerate(schemas)]

    def shapes(self, part: Part) -> list[list[Shape]]:
        """Return what a schema's own keywords allow: of each list, one shape must hold."""
        schema, path = part.schema, part.path
        groups: list[list[Shape]] = []
        if "enum" in schema:
            groups.append([Literals(tuple(schema["enum"]))])
        if "const" in schema:
            groups.append([Literals((schema["const"],))])
        named = schema.get("type")
        spoken = {kind for kind, keywords in _OF_KIND.items() if not schema.keys().isdisjoint(keywords)}
        blocked = self._blocked(schema, _CONDITIONS, path)
        if named is not None or spoken or blocked:
            kinds = [*_OF_KIND] if named is None else [named] if isinstance(named, str) else named
            whole = "integer" in kinds and "number" not in kinds
            groups.append(
                [
                    self._shape(
                        kind,
                        part,
                        whole,
                        unsaid=named is None and bool(spoken) and kind not in spoken,
                        blocked=blocked,
                    )
                    for kind in dict.fromkeys("number" if kind == "integer" else kind for kind in kinds)
                ]
            )
        return groups

    def _shape(self, kind: str, part: Part, whole: bool, *, unsaid: bool, blocked: SchemaError | None) -> Shape:
        if kind == "object":
            return self._object(part, unsaid, blocked)
        if kind == "array":
            return self._array(part, unsaid, blocked)
        if kind == "string":
            return self._string(part, unsaid, blocked)
        if kind == "number":
            return self._number(part, whole, unsaid, blocked)
        return (Null if kind == "null" else Boolean)(unsaid=unsaid, blocked=blocked)

    def _object(self, part: Part, unsaid: bool, blocked: SchemaError | None) -> Object:
        schema, path = part.schema, part.path
        members = schema.get("properties", {})
        extra = schema.get("additionalProperties", True)
        return Object(
            {name: self.place(value, (*path, "properties", name)) for name, value in members.items()},
            tuple(dict.fromkeys(schema.get("required", ()))),
            # What matches a pattern is no further property.
            Meet() if schema.get("patternProperties") else self.place(extra, (*path, "additionalProperties")),
            open="additionalProperties" in schema,
            listed="properties" in schema and not schema.get("patternProperties"),
            path=path,
            unsaid=unsaid,
            blocked=blocked or self._blocked(schema, _OBJECT_UNSUPPORTED, path),
        )

    def _array(self, part: Part, unsaid: bool, blocked: SchemaError | None) -> Array:
        schema, path = part.schema, part.path
        keyword, prefix, items = "prefixItems", schema.get("prefixItems", []), schema.get("items", True)
        following, listed = "items", "items" in schema
        if isinstance(items, list):  # as drafts before 2020-12 spell prefixItems
            keyword, prefix, items = "items", items, schema.get("additionalItems", True)
            following, listed = "additionalItems", "additionalItems" in schema
        most = schema.get("maxItems")
        return Array(
            tuple(self._places(prefix, (*path, keyword))),
            self.place(items, (*path, following)),
            int(schema.get("minItems", 0)),
            None if most is None else int(most),
            listed,
            (*path, "uniqueItems") if schema.get("uniqueItems") and self._strict else None,
            path,
            unsaid=unsaid,
            blocked=blocked or self._blocked(schema, _ARRAY_UNSUPPORTED, path),
        )

    def _string(self, part: Part, unsaid: bool, blocked: SchemaError | None) -> String:
        schema, path = part.schema, part.path
        patterns: tuple[tuple[Pattern, Path], ...] = ()
        formats: tuple[tuple[str, Path], ...] = ()
        if "pattern" in schema:
            where = (*path, "pattern")
            try:
                patterns = ((parsed(schema["pattern"]), where),)
            except SchemaError as error:
                if self._strict:
                    refusal = SchemaError(str(error), where, kind=error.kind)
                    if error.kind == "invalid":
                        raise refusal from None
                    blocked = blocked or refusal
        if schema.get("format") in FORMATS:
            formats = ((schema["format"], (*path, "format")),)
        most = schema.get("maxLength")
        return String(
            int(schema.get("minLength", 0)),
            None if most is None else int(most),
            patterns,
            formats,
            path,
            unsaid=unsaid,
            blocked=blocked,
        )

    def _number(self, part: Part, whole: bool, unsaid: bool, blocked: SchemaError | None) -> Number:
        schema, path = part.schema, part.path
        low, above = _bound(schema, "minimum", "exclusiveMinimum", max)
        high, below = _bound(schema, "maximum", "exclusiveMaximum", min)
        ones = schema.get("multipleOf") == 1
        if not ones:
            blocked = blocked or self._blocked(schema, ("multipleOf",), path)
        return Number(low, above, high, below, whole or ones, path, unsaid=unsaid, blocked=blocked)

    def _blocked(self, schema: dict[str, Any], keywords: tuple[str, ...], path: Path) -> SchemaError | None:
        for keyword in keywords:
            if self._strict and keyword in schema and (schema[keyword] or keyword not in _NOTHING_ASKED):
                return SchemaError("cannot be enforced here: leave it out", (*path, keyword), kind="unsupported")
        return None

    def _resolved(self, reference: str, path: Path) -> tuple[Any, Path] | None:
        if not reference.startswith("#") or (reference[1:] and not reference.startswith("#/")):
            if not self._strict:
                return None
            raise SchemaError(
                f"refers to '{reference}', but only references like '#/$defs/name' are followed",
                path,
                kind="unsupported",
            )
        target = self._root
        where: Path = ()
        for step in unquote(reference[2:]).split("/") if reference[1:] else ():
            key: str | int = step.replace("~1", "/").replace("~0", "~")
            try:
                if isinstance(target, list):
                    key = int(key)
                target = target[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaError(f"refers to '{reference}', which is not in the schema", path) from None
            where = (*where, key)
        if where not in self._checked:
            self._checked.add(where)
            if not _known(where):
                try:
                    self._check(target)
                except SchemaError as error:
                    raise SchemaError(f"refers to '{reference}', which {error}", path) from None
        return target, where


def _known(path: Path) -> bool:
    """Whether what is at a path is a schema to the whole schema, which has been checked."""
    steps = iter(path)
    for step in steps:
        if step in _BY_NAME:
            if next(steps, None) is None:
                return False
        elif step not in _NESTED and not isinstance(step, int):
            return False
    return not path or isinstance(path[-1], str) or path[-1] >= 0


def _bound(schema: dict[str, Any], inclusive: str, exclusive: str, tighter: Any) -> tuple[Decimal | None, bool]:
    """The tighter of the two bounds, and whether it is itself left out."""
    bounds = []
    if is_number(schema.get(inclusive)):
        bounds.append((Decimal(str(schema[inclusive])), schema.get(exclusive) is True))  # draft 4 has a flag
    if is_number(schema.get(exclusive)):
        bounds.append((Decimal(str(schema[exclusive])), True))
    if not bounds:
        return None, False
    value = tighter(bound for bound, _ in bounds)
    return value, any(excluded for bound, excluded in bounds if bound == value)


def is_number(value: Any) -> bool:
    """Return whether JSON calls it a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
