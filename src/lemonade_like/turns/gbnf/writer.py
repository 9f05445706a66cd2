"""A JSON Schema as grammar rules: whatever they let through is valid by the schema.

The other way round does not hold, on purpose: an object has its properties in the declared order, no property that was
not declared unless ``additionalProperties`` says so, and no key twice; these are the narrower choices that models write
well.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.gbnf.form import (
    Array,
    Boolean,
    Literals,
    Meet,
    Number,
    Object,
    Part,
    Place,
    Shape,
    String,
    longest,
    named,
    same_value,
)
from lemonade_like.turns.gbnf.forms import MAX_OPEN, Forms
from lemonade_like.turns.gbnf.reader import Reader
from lemonade_like.turns.gbnf.rules import Path, Rules, SchemaError, json_text, literal
from lemonade_like.turns.gbnf.scalars import number, string
from lemonade_like.turns.gbnf.words import one_literal, other_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lemonade_like.turns.gbnf.forms import Key

_COMMA: Final = 'space "," space'
_MAX_DEPTH: Final = 64
_MAX_VALUES: Final = 500
_MAX_ITEMS: Final = 1000
#: No reference can lead here.
_AN_OBJECT: Final = Part((-1,), {"type": "object"})


class Writer:
    """Writes one schema. What no grammar can enforce is an error if ``strict``, and else is left to the model.

    ``check`` raises ``SchemaError`` for what is no schema.
    """

    def __init__(self, root: Any, rules: Rules, check: Callable[[Any], None], *, strict: bool) -> None:
        self._root = root
        self._reader = Reader(root, check, strict=strict)
        self._forms = Forms(self._reader)
        self._rules = rules
        self._strict = strict
        self._names: dict[Key, str] = {}
        #: The places around the one that is being written, and the names of those that lead back to themselves.
        self._around: dict[Key, str | None] = {}

    def write(self, *, object_only: bool = False) -> str:
        """Return the name of the rule for the whole schema; with ``object_only``, for the objects that are valid."""
        place = self._reader.place(self._root, ())
        if place is not None and object_only:
            place = place.and_also(Meet((_AN_OBJECT,)))
        if place is None or not self._forms.possible(place):
            what = "object" if object_only else "value"
            raise SchemaError(f"allows no {what} at all", self._fault(place, ()), kind="impossible")
        return self._value(place, 0)

    def _fault(self, place: Place, path: Path) -> Path:
        """The innermost place that is known to make the whole one impossible."""
        seen: set[Key] = set()
        while place is not None and place.key not in seen:
            seen.add(place.key)
            shapes = self._forms.shapes(place)
            path = next((part.path for part in place.valid if part is not _AN_OBJECT), path)
            if len(shapes) != 1 or not isinstance(shapes[0], Object):
                break
            wanted = shapes[0]
            name = next((name for name in wanted.required if not self._forms.possible(wanted.at(name))), None)
            if name is None:
                break
            path = (*path, "properties", name) if name in wanted.members else path
            place = wanted.at(name)
        return path

    def _value(self, place: Meet, depth: int) -> str:
        """Return the name of the rule for the values at a place."""
        if not place.valid:
            return "value"
        key = place.key
        if key in self._names:
            return self._names[key]
        if key in self._around:
            name = self._around[key] = self._around[key] or self._rules.reserve()
            return name
        path = place.valid[0].path
        if depth > _MAX_DEPTH:
            raise SchemaError(f"nests more than {_MAX_DEPTH} deep", path)
        self._around[key] = None
        expression = self._expression(place, path, depth)
        reserved = self._around.pop(key)
        if reserved is not None:
            self._rules.define(reserved, expression)
        self._names[key] = reserved or self._rules.add(expression)
        return self._names[key]

    def _expression(self, place: Meet, path: Path, depth: int) -> str:
        self._check_one_of(place)
        shapes = self._forms.writable(place)
        for shape in shapes:
            if shape.blocked is not None:
                raise shape.blocked
        values = [value for shape in shapes if isinstance(shape, Literals) for value in shape.values]
        options = [self._literals(values, path)] if values else []
        for shape in shapes:
            option = self._shape(shape, depth)
            if option is not None:
                options.append(option)
        if not options:
            raise SchemaError("allows no value that this server can write", path, kind="unsupported")
        return _either(options)

    def _check_one_of(self, place: Meet) -> None:
        """A grammar can say "any of": that is "one of" only where no two can hold at once."""
        for clause in self._forms.clauses(place.valid) if self._strict else ():
            both = self._forms.overlap(clause)
            if both is not None:
                path, one, other = both
                raise SchemaError(
                    f"has branches of which two may hold at once ({one} and {other}), so that 'exactly one' cannot be "
                    "enforced: use 'anyOf', or tell them apart by their types, or by a required property with a "
                    "'const' in each",
                    path,
                    kind="unsupported",
                )

    def _literals(self, values: list[Any], path: Path) -> str:
        distinct = list({same_value(value): value for value in values}.values())
        if len(distinct) > _MAX_VALUES:
            if self._strict:
                raise SchemaError(f"has more than {_MAX_VALUES} values", (*path, "enum"), kind="unsupported")
            return "string" if all(isinstance(value, str) for value in distinct) else "value"
        return one_literal(sorted({json_text(value) for value in distinct}), self._rules)

    def _shape(self, shape: Shape, depth: int) -> str | None:
        if isinstance(shape, Object):
            return self._object(named(shape), shape.extended, depth)
        if isinstance(shape, Array):
            return self._array(shape, depth)
        if isinstance(shape, String | Number):
            if isinstance(shape, String):
                expression = string(shape, self._rules, strict=self._strict)
            else:
                expression = number(shape, strict=self._strict)
            return None if expression is None else self._rules.add(expression)
        if isinstance(shape, Literals):
            return None
        return '( "true" | "false" )' if isinstance(shape, Boolean) else '"null"'

    def _nested(self, place: Place, depth: int) -> str | None:
        """The rule for a place within a value; ``None`` if nothing can be there."""
        return self._value(place, depth + 1) if place is not None and self._forms.possible(place) else None

    def _object(self, shape: Object, extended: bool, depth: int) -> str:
        if extended and not shape.members and shape.extra == Meet():
            return "object"
        members: list[tuple[str, bool]] = []
        for name, place in shape.members.items():
            value = self._nested(place, depth)
            if value is not None:
                rule = self._rules.add(f'{literal(json_text(name))} space ":" space {value}')
                members.append((rule, name in shape.required))
        runs = (list(run) for required, run in itertools.groupby(members, key=lambda member: member[1]) if not required)
        if max(map(len, runs), default=0) > MAX_OPEN:
            if not self._strict:
                return "object"
            raise SchemaError(
                f"has more than {MAX_OPEN} optional properties in a row: make some of them required",
                (*shape.path, "properties"),
                kind="unsupported",
            )
        more = None
        value = self._nested(shape.extra, depth) if extended else None
        if value is not None:
            key = other_key(list(shape.members), self._rules) if shape.members else "string"
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

    def _array(self, shape: Array, depth: int) -> str:
        least, most = shape.least, longest(shape)
        if least > _MAX_ITEMS or (most is not None and most > _MAX_ITEMS and shape.items is not None):
            if self._strict:
                raise SchemaError(f"asks for more than {_MAX_ITEMS} items", shape.path, kind="unsupported")
            least, most = min(least, _MAX_ITEMS), None
        prefix: list[str] = []
        for place in shape.prefix[:most]:
            value = self._nested(place, depth)
            if value is None:
                most = len(prefix)
                break
            prefix.append(value)
        item = self._nested(shape.items, depth) if most is None or most > len(prefix) else None
        if item is None:
            most = len(prefix)
        if shape.unique is not None and (most is None or most > 1):
            raise SchemaError(
                "cannot be enforced here: leave it out, and say in the description that no two may be equal",
                shape.unique,
                kind="unsupported",
            )
        least = max(0, least - len(prefix))
        most = None if most is None else most - len(prefix)
        sequence = f" {_COMMA} ".join(prefix)
        if item is not None:
            following = self._rules.add(f"{_COMMA} {item}")
            if sequence:
                sequence += f" {self._rules.repeat(following, least, most)}"
            else:
                again = self._rules.repeat(following, max(0, least - 1), None if most is None else most - 1)
                sequence = f"{item} {again}"
                if least == 0:
                    return self._rules.add(f'"[" space ( {sequence} space )? "]"')
        return self._rules.add(f'"[" space {sequence} space "]"' if sequence else '"[" space "]"')


def _either(options: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(options))
    return distinct[0] if len(distinct) == 1 else f"( {' | '.join(distinct)} )"
