"""A JSON Schema as grammar rules: whatever they let through is valid by the schema.

The other way round does not hold, on purpose: an object has its properties in the declared order, no property that was
not declared unless ``additionalProperties`` says so, and no key twice; these are the narrower choices that models write
well.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.gbnf import numbers
from lemonade_like.turns.gbnf.combine import CONSTRAINTS, combined, types_of
from lemonade_like.turns.gbnf.disjoint import Disjoint
from lemonade_like.turns.gbnf.pattern import FORMATS, string_matching
from lemonade_like.turns.gbnf.rules import Rules, SchemaError, json_text, literal
from lemonade_like.turns.gbnf.words import one_literal, other_key

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]

_COMMA: Final = 'space "," space'
_MAX_DEPTH: Final = 64
#: Parts that must hold at once can multiply: this bounds the work, whatever the schema.
_MAX_PARTS: Final = 10_000
#: So many ways may be open at one place. An engine follows them all for every token that it looks at.
_MAX_OPEN: Final = 100
_MAX_VALUES: Final = 500
_MAX_ITEMS: Final = 1000
_MAX_LENGTH: Final = 100_000
_BLOCK: Final = 100
_ANYTHING: Final = {"object": "object", "array": "array", "string": "string", "number": "number", "integer": "integer"}


class Converter:
    """Converts one schema. What no grammar can enforce is an error if ``strict``, and else is left to the model."""

    def __init__(self, root: Any, rules: Rules, *, strict: bool) -> None:
        self._root = root
        self._rules = rules
        self._strict = strict
        self._referenced: dict[str, str] = {}
        #: Which references lead to which without a character between them: a circle of these has no end.
        self._unguarded: dict[str, set[str]] = {}
        self._inside: str | None = None
        self._parts = 0

    def convert(self) -> str:
        """Return the name of the rule for the whole schema."""
        name = self._rules.add(self._value(self._root, (), 0))
        self._check_circles()
        return name

    def _value(self, schema: Any, path: Path, depth: int) -> str:
        """An expression for the values of a schema; alternatives in it are in parentheses."""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise SchemaError(f"has more than {_MAX_PARTS} parts when it is written out")
        if depth > _MAX_DEPTH:
            raise SchemaError(f"nests more than {_MAX_DEPTH} deep", path)
        if schema is True or not isinstance(schema, dict):
            return "value"
        here = {key: value for key, value in schema.items() if key in CONSTRAINTS}
        reference = here.get("$ref")
        if reference is not None and len(here) == 1:
            return self._reference(reference, path, depth)
        merged = combined(here, self._resolve, path, strict=self._strict)
        if merged is None:
            raise SchemaError("allows no value at all", path)
        here = merged
        for several in ("anyOf", "oneOf"):
            if several in here:
                if len(here[several]) > _MAX_OPEN:
                    raise SchemaError(f"has more than {_MAX_OPEN} branches", (*path, several))
                rest = {key: value for key, value in here.items() if key != several}
                if several == "oneOf" and self._strict:
                    self._check_one_of(rest, here[several], (*path, several))
                return self._any_of(rest, here[several], (*path, several), depth)
        self._refuse(here, ("not", "if", "then", "else", "$dynamicRef", "$recursiveRef"), path)
        if "const" in here or "enum" in here:
            return self._one_of([here["const"]] if "const" in here else here["enum"], here, path)
        return _either(self._of_type(kind, here, path, depth) for kind in types_of(here))

    def _check_one_of(self, rest: dict[str, Any], options: list[Any], path: Path) -> None:
        """A grammar can say "any of": that is "one of" only where no two can hold at once."""
        both = Disjoint(self._resolve).overlapping([{"allOf": [rest, option]} for option in options])
        if both is not None:
            raise SchemaError(
                f"has branches of which two may hold at once ({both[0]} and {both[1]}), so that 'exactly one' cannot "
                "be enforced: use 'anyOf', or tell them apart by their types, or by a required property with a 'const' "
                "in each",
                path,
                unsupported=True,
            )

    def _any_of(self, rest: dict[str, Any], options: list[Any], path: Path, depth: int) -> str:
        possible = []
        for place, option in enumerate(options):
            merged = {"allOf": [rest, option]} if rest else option
            if option is False:
                continue
            possible.append(self._value(merged, (*path, place), depth + 1))
        if not possible:
            raise SchemaError("allows no value at all", path)
        return _either(possible)

    def _one_of(self, values: Iterable[Any], here: dict[str, Any], path: Path) -> str:
        kinds = set(types_of(here)) if "type" in here else None
        fitting = [value for value in values if kinds is None or kinds & _kinds(value)]
        if not fitting:
            raise SchemaError("allows no value at all", path)
        if len(fitting) > _MAX_VALUES:
            if self._strict:
                raise SchemaError(f"has more than {_MAX_VALUES} values", (*path, "enum"), unsupported=True)
            return "string" if all(isinstance(value, str) for value in fitting) else "value"
        return one_literal(sorted({json_text(value) for value in fitting}), self._rules)

    def _of_type(self, kind: str, here: dict[str, Any], path: Path, depth: int) -> str:
        if kind == "object":
            return self._object(here, path, depth)
        if kind == "array":
            return self._array(here, path, depth)
        if kind == "string":
            return self._string(here, path)
        if kind in ("number", "integer"):
            return self._number(kind, here, path)
        return {"null": '"null"', "boolean": '( "true" | "false" )'}[kind]

    def _reference(self, reference: str, path: Path, depth: int) -> str:
        if self._inside is not None:
            self._unguarded.setdefault(self._inside, set()).add(reference)
        name = self._referenced.get(reference)
        if name is None:
            target = self._resolve(reference, path)
            name = self._referenced[reference] = self._rules.reserve()
            around, self._inside = self._inside, reference
            self._rules.define(name, self._value(target, path, depth + 1))
            self._inside = around
        return name

    def _resolve(self, reference: str, path: Path) -> Any:
        target = self._root
        if not reference.startswith("#") or (reference[1:] and not reference.startswith("#/")):
            raise SchemaError(f"refers to '{reference}', but only references like '#/$defs/name' are followed", path)
        for part in reference[2:].split("/") if reference[1:] else ():
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(key)] if isinstance(target, list) else target[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaError(f"refers to '{reference}', which is not in the schema", path) from None
        return target

    def _check_circles(self) -> None:
        done: set[str] = set()

        def visit(reference: str, way: frozenset[str]) -> None:
            if reference in way:
                raise SchemaError(f"refers to '{reference}', which only leads back to itself")
            if reference not in done:
                for following in self._unguarded.get(reference, ()):
                    visit(following, way | {reference})
                done.add(reference)

        for reference in list(self._unguarded):
            visit(reference, frozenset())

    def _refuse(self, here: dict[str, Any], keywords: Iterable[str], path: Path) -> None:
        for keyword in keywords:
            if self._strict and keyword in here:
                raise SchemaError("cannot be enforced here: leave it out", (*path, keyword), unsupported=True)

    def _nested(self, schema: Any, path: Path, depth: int) -> str:
        """A value within an object or an array, where a reference may lead back."""
        around, self._inside = self._inside, None
        name = self._rules.add(self._value(schema, path, depth + 1))
        self._inside = around
        return name

    def _object(self, here: dict[str, Any], path: Path, depth: int) -> str:
        self._refuse(here, _OBJECT_UNSUPPORTED, path)
        properties = here.get("properties", {})
        required = here.get("required", [])
        extra = here.get("additionalProperties", not properties and not required)
        if not properties and not required:
            if extra is False:
                return '"{" space "}"'
            if extra is True or extra == {}:
                return "object"
        members: list[tuple[str, bool]] = []
        for name in dict.fromkeys([*properties, *required]):
            wanted = properties.get(name, extra if isinstance(extra, dict) else True)
            if wanted is False:
                if name in required:
                    raise SchemaError(f"requires '{name}' and forbids it", path)
                continue
            where = (*path, "properties", name) if name in properties else path
            key = literal(json_text(name))
            value = self._nested(wanted, where, depth)
            members.append((self._rules.add(f'{key} space ":" space {value}'), name in required))
        runs = (list(run) for required, run in itertools.groupby(members, key=lambda member: member[1]) if not required)
        if max(map(len, runs), default=0) > _MAX_OPEN:
            if not self._strict:
                return "object"
            raise SchemaError(
                f"has more than {_MAX_OPEN} optional properties in a row: make some of them required",
                (*path, "properties"),
                unsupported=True,
            )
        more = None
        if extra is not False:
            value = self._nested(extra, (*path, "additionalProperties"), depth)
            key = other_key(list(properties), self._rules) if properties else "string"
            more = self._rules.add(f'{key} space ":" space {value}')
        return self._rules.add(f'"{{" space {self._members(members, more)} "}}"')

    def _members(self, members: list[tuple[str, bool]], more: str | None) -> str:
        """The members in order, with commas only between those that are there."""
        first_required = next((place for place, (_, required) in enumerate(members) if required), None)
        after = self._rules.add(f"( {_COMMA} {more} )*") if more else ""
        if first_required is not None:
            before = [f"( {name} {_COMMA} )?" for name, _ in members[:first_required]]
            rest = [
                f"{_COMMA} {name}" if required else f"( {_COMMA} {name} )?"
                for name, required in members[first_required + 1 :]
            ]
            return " ".join([*before, members[first_required][0], *rest, after, "space"])
        options = [f"{more} {after}"] if more else []
        for name, _ in reversed(members):
            options.append(f"{name} {after}")
            after = self._rules.add(f"( {_COMMA} {name} )? {after}")
        return f"( ( {' | '.join(reversed(options))} ) space )?" if options else ""

    def _array(self, here: dict[str, Any], path: Path, depth: int) -> str:
        self._refuse(here, _ARRAY_UNSUPPORTED, path)
        least, most = here.get("minItems", 0), here.get("maxItems")
        prefix, items = here.get("prefixItems", []), here.get("items", True)
        if isinstance(items, list):  # as drafts before 2020-12 spell prefixItems
            prefix, items = items, here.get("additionalItems", True)
        if least > _MAX_ITEMS or (most is not None and most > _MAX_ITEMS):
            if self._strict:
                raise SchemaError(f"asks for more than {_MAX_ITEMS} items", path, unsupported=True)
            least, most = min(least, _MAX_ITEMS), None
        if most is not None and most < least:
            raise SchemaError("allows no value at all", path)
        prefix = prefix[:most]
        written = [self._nested(item, (*path, "prefixItems", place), depth) for place, item in enumerate(prefix)]
        least = max(0, least - len(prefix))
        most = None if most is None else most - len(prefix)
        if items is False or (prefix and "items" not in here and least == 0):
            if least:
                raise SchemaError("allows no value at all", path)
            most = 0
        sequence = f" {_COMMA} ".join(written)
        if most != 0:
            item = self._nested(items, (*path, "items"), depth)
            following = self._rules.add(f"{_COMMA} {item}")
            if sequence:
                sequence += f" {self._rules.repeat(following, least, most)}"
            else:
                again = self._rules.repeat(following, max(0, least - 1), None if most is None else most - 1)
                sequence = f"{item} {again}"
                if least == 0:
                    return self._rules.add(f'"[" space ( {sequence} space )? "]"')
        return self._rules.add(f'"[" space {sequence} space "]"' if sequence else '"[" space "]"')

    def _string(self, here: dict[str, Any], path: Path) -> str:
        least, most = here.get("minLength", 0), here.get("maxLength")
        bounded = least > 0 or most is not None
        if "pattern" in here or here.get("format") in FORMATS:
            keyword = "pattern" if "pattern" in here else "format"
            other = "format" if keyword == "pattern" and here.get("format") in FORMATS else None
            other = other or ("minLength" if least else "maxLength" if most is not None else None)
            if other and self._strict:
                raise SchemaError(
                    f"cannot be enforced together with '{keyword}': keep one of them", (*path, other), unsupported=True
                )
            try:
                return self._rules.add(
                    string_matching(here["pattern"] if keyword == "pattern" else FORMATS[here["format"]], self._rules)
                )
            except SchemaError as error:
                if self._strict:
                    raise SchemaError(str(error), (*path, keyword), unsupported=error.unsupported) from None
        if not bounded:
            return "string"
        if most is not None and most < least:
            raise SchemaError("allows no value at all", path)
        if max(least, most or 0) > _MAX_LENGTH:
            if self._strict:
                raise SchemaError(f"asks for more than {_MAX_LENGTH} characters", path, unsupported=True)
            least, most = min(least, _MAX_LENGTH), None
        more = "content" if most is None else self._up_to(most - least)
        return self._rules.add(f'"\\"" {self._exactly(least)} {more} "\\""')

    def _exactly(self, count: int) -> str:
        blocks, single = divmod(count, _BLOCK)
        parts = [self._rules.repeat("chars-100", blocks, blocks)] if blocks else []
        parts += [self._rules.repeat("char", single, single)] if single else []
        return " ".join(parts)

    def _up_to(self, count: int) -> str:
        """So many characters or fewer. Long ones go by blocks, since an engine unrolls what is repeated."""
        blocks, single = divmod(count, _BLOCK)
        if not blocks:
            return self._rules.repeat("char", 0, single) if single else ""
        fewer = f"{self._rules.repeat('chars-100', 0, blocks - 1)} {self._rules.repeat('char', 0, _BLOCK)}"
        if not single:
            return fewer
        all_blocks = self._rules.repeat("chars-100", blocks, blocks)
        return f"( {fewer} | {all_blocks} {self._rules.repeat('char', 1, single)} )"

    def _number(self, kind: str, here: dict[str, Any], path: Path) -> str:
        if here.get("multipleOf") != 1 or kind == "number":
            self._refuse(here, ("multipleOf",), path)
        low, above = _bound(here, "minimum", "exclusiveMinimum", max)
        high, below = _bound(here, "maximum", "exclusiveMaximum", min)
        if low is None and high is None:
            return kind
        for bound in (low, high):
            if bound is not None and (abs(bound) >= Decimal(10) ** 15 or len(bound.as_tuple().digits) > 30):
                if self._strict:
                    raise SchemaError("has a bound with more digits than are enforced", path, unsupported=True)
                return kind
        if kind == "integer":
            least = None if low is None else numbers.floor(low) + 1 if above else numbers.ceiling(low)
            most = None if high is None else numbers.ceiling(high) - 1 if below else numbers.floor(high)
            expression = numbers.integers(least, most)
        else:
            expression = numbers.numbers(low, high, above=above, below=below)
        if expression is None:
            raise SchemaError("allows no value at all", path)
        return self._rules.add(expression)


_OBJECT_UNSUPPORTED: Final = (
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
)
_ARRAY_UNSUPPORTED: Final = ("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems")


def _bound(here: dict[str, Any], inclusive: str, exclusive: str, tighter: Any) -> tuple[Decimal | None, bool]:
    """The tighter of the two bounds, and whether it is itself left out."""
    bounds = []
    if _is_number(here.get(inclusive)):
        bounds.append((Decimal(str(here[inclusive])), here.get(exclusive) is True))  # draft 4 has a flag
    if _is_number(here.get(exclusive)):
        bounds.append((Decimal(str(here[exclusive])), True))
    if not bounds:
        return None, False
    value = tighter(bound for bound, _ in bounds)
    return value, any(excluded for bound, excluded in bounds if bound == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kinds(value: Any) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int | float):
        return {"number", "integer"} if float(value).is_integer() else {"number"}
    return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}


def _either(options: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(options))
    return distinct[0] if len(distinct) == 1 else f"( {' | '.join(distinct)} )"
