"""A schema with the schemas that it combines: which values are possible, and which the grammar writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.gbnf.bounds import empty, matches, within
from lemonade_like.turns.gbnf.form import (
    ANYTHING,
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
    closed,
    intersect,
    same_value,
)
from lemonade_like.turns.gbnf.reader import Reader, is_number
from lemonade_like.turns.gbnf.rules import Path, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Parts that must hold at once can multiply: this bounds the work, whatever the schema.
_MAX_STEPS: Final = 10_000
_MEMBERS_A_STEP: Final = 20
#: So many pairs of branches are told apart: beyond that nothing is proven.
_MAX_PAIRS: Final = 1_000
#: So many ways may be open at one place. An engine follows them all for every token that it looks at.
MAX_OPEN: Final = 100
_MAX_COMPARED: Final = 100_000
_MAX_CHAIN: Final = 100

Key = tuple[frozenset[Part], frozenset[Part]]


@dataclass(frozen=True)
class Choice:
    """The branch of a ``oneOf`` that was taken, among all."""

    path: Path
    branches: tuple[Place, ...]
    taken: int


@dataclass(frozen=True)
class Clause:
    """Schemas without branches that hold at once, and the shapes that they leave."""

    parts: tuple[Part, ...]
    shapes: tuple[Shape, ...]
    choices: tuple[Choice, ...]


@dataclass
class _Opening:
    """A clause of which parts (each with the places that led to it) have yet to be read, and branches to be taken."""

    waiting: list[tuple[Part, tuple[Path, ...]]]
    parts: dict[Part, None]
    shapes: tuple[Shape, ...]
    branches: list[tuple[Part, str, list[Place], tuple[Path, ...]]]
    choices: tuple[Choice, ...]


class Forms:
    """Works out places, each once.

    Every method raises ``SchemaError`` where the schema leads back to itself, or takes too much to work out.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._steps = 0
        self._pairs = 0
        self._apart: dict[tuple[frozenset[Part], frozenset[Part]], bool] = {}
        self._compared = 0
        self._comparing: set[tuple[Key, int]] = set()
        self._clauses: dict[frozenset[Part], list[Clause]] = {}
        self._shapes: dict[Key, tuple[Shape, ...]] = {}
        self._possible: dict[Key, bool] = {}

    def clauses(self, parts: tuple[Part, ...]) -> list[Clause]:
        """Return what a place comes down to; a value is valid if it is by any of them."""
        key = frozenset(parts)
        if key not in self._clauses:
            self._clauses[key] = self._spread(parts)
        return self._clauses[key]

    def shapes(self, place: Place) -> tuple[Shape, ...]:
        """Return the shapes of a place, any one of which is enough."""
        if place is Never:
            return ()
        found = self._shapes.get(place.key)
        if found is None:
            found = tuple(shape for clause in self.clauses(place.valid) for shape in clause.shapes)
            if place.written:
                found = self._both([closed(shape) for shape in self.writable(Meet(place.written))], found)
            self._shapes[place.key] = found
        return found

    def writable(self, place: Place) -> list[Shape]:
        """Return the shapes that the grammar writes: those of which there is a value, and that are meant."""
        possible = [shape for shape in self.shapes(place) if self.possible_shape(shape)]
        return [shape for shape in possible if not shape.unsaid] or possible

    def possible(self, place: Place) -> bool:
        """Return whether any value can be there. Values are finite: what always leads on to itself has none."""
        if place is Never:
            return False
        if place.key not in self._possible:
            waiting, found = [place], {place.key: place}
            while waiting:
                for needed in [need for shape in self.shapes(waiting.pop()) for need in _needs(shape) or ()]:
                    if needed is not Never and needed.key not in found and needed.key not in self._possible:
                        found[needed.key] = needed
                        waiting.append(needed)
            known: set[Key] = set()
            grows = True
            while grows:
                grows = False
                for key, one in reversed(found.items()):
                    if key not in known and any(self._made_of(shape, known) for shape in self.shapes(one)):
                        known.add(key)
                        grows = True
            self._possible |= {key: key in known for key in found}
        return self._possible[place.key]

    def possible_shape(self, shape: Shape) -> bool:
        """Return whether there is a value of this shape."""
        return (needs := _needs(shape)) is not None and all(map(self.possible, needs))

    def overlap(self, clause: Clause) -> tuple[Path, int, int] | None:
        """Return the ``oneOf`` of which a clause's values may be valid by a second branch, and the two branches."""
        for choice in clause.choices:
            for other, branch in enumerate(choice.branches):
                if other == choice.taken or branch is Never:
                    continue
                if not self._told_apart(clause, branch) and self._meet(clause, branch):
                    return choice.path, choice.taken, other
        return None

    def _meet(self, clause: Clause, branch: Meet) -> bool:
        self._pairs += 1
        return self._pairs > _MAX_PAIRS or self.possible(Meet(branch.valid, clause.parts))

    def _told_apart(self, clause: Clause, branch: Meet) -> bool:
        """Whether a property tells them apart that both are objects with: the usual case, seen without going through
        all that they have in common."""

        def by_member(one: Shape, other: Shape) -> bool:
            if type(one) is not type(other):
                return not isinstance(one, Literals) and not isinstance(other, Literals)
            return (
                isinstance(one, Object)
                and isinstance(other, Object)
                and any(
                    self._differ(one.at(name), other.at(name))
                    for name in {*one.required, *other.required} & one.members.keys() & other.members.keys()
                )
            )

        key = frozenset(clause.parts), frozenset(branch.valid)
        if key not in self._apart:
            self._apart[key] = all(
                by_member(one, other) for one in self.writable(Meet(clause.parts)) for other in self.shapes(branch)
            )
        return self._apart[key]

    def _differ(self, one: Place, other: Place) -> bool:
        """Whether it is plain that two places have no value in common."""
        return not any(map(self.possible_shape, self._both(self.shapes(one), self.shapes(other))))

    def _spread(self, parts: tuple[Part, ...]) -> list[Clause]:
        if not parts:
            return [Clause((), ANYTHING, ())]
        clauses: list[Clause] = []
        openings = [_Opening([(part, ()) for part in parts], {}, ANYTHING, [], ())]
        while openings:
            opening = openings.pop()
            if not self._read(opening):
                continue
            if not opening.branches:
                clauses.append(Clause(tuple(opening.parts), opening.shapes, opening.choices))
                if len(clauses) > MAX_OPEN:
                    raise SchemaError(
                        f"has more than {MAX_OPEN} branches when those of its parts are put together",
                        parts[0].path,
                        kind="unsupported",
                    )
                continue
            (part, several, branches, chain), *rest = opening.branches
            if len(branches) > MAX_OPEN:
                raise SchemaError(f"has more than {MAX_OPEN} branches", (*part.path, several), kind="unsupported")
            for taken, branch in reversed(list(enumerate(branches))):
                if branch is Never:
                    continue
                choice = () if several == "anyOf" else (Choice((*part.path, several), tuple(branches), taken),)
                openings.append(
                    _Opening(
                        [(each, chain) for each in branch.valid],
                        dict(opening.parts),
                        opening.shapes,
                        list(rest),
                        (*opening.choices, *choice),
                    )
                )
        return clauses

    def _read(self, opening: _Opening) -> bool:
        """Take the waiting parts in; ``False`` if no value is left."""
        while opening.waiting:
            part, chain = opening.waiting.pop(0)
            if not part.bare and part.path in chain:
                raise SchemaError("only leads back to itself", part.path)
            bare = replace(part, bare=True)
            if bare in opening.parts:
                continue
            self._spend(part.path)
            if len(chain) > _MAX_CHAIN:
                raise SchemaError(f"combines more than {_MAX_CHAIN} schemas, each within another", part.path)
            opening.parts[bare] = None
            for shapes in self._reader.shapes(part):
                opening.shapes = tuple(shapes) if opening.shapes is ANYTHING else self._both(opening.shapes, shapes)
            if not opening.shapes:
                return False
            if part.bare:
                continue
            chain = (*chain, part.path)
            combined = self._reader.combined(part)
            if Never in combined:
                return False
            opening.waiting = [(each, chain) for place in combined if place for each in place.valid] + opening.waiting
            opening.branches += [(part, several, branches, chain) for several, branches in self._reader.choices(part)]
        return True

    def _both(self, some: Iterable[Shape], others: Sequence[Shape]) -> tuple[Shape, ...]:
        pairs = (self._intersect(one, other) for one in some for other in others)
        return tuple(shape for shape in pairs if shape is not None)

    def _intersect(self, one: Shape, other: Shape) -> Shape | None:
        if isinstance(other, Literals):
            one, other = other, one
        if not isinstance(one, Literals):
            if isinstance(one, Object) and isinstance(other, Object):
                self._spend(one.path, (len(one.members) + len(other.members)) // _MEMBERS_A_STEP)
            return intersect(one, other)
        kept, blocked = [], one.blocked
        if isinstance(other, Literals):
            same = set(map(same_value, other.values))
            kept = [value for value in one.values if same_value(value) in same]
            return replace(one, values=tuple(kept), blocked=blocked or other.blocked) if kept else None
        for value in one.values:
            held = self._has(other, value)
            if isinstance(held, SchemaError):
                blocked = blocked or held
            if held is not False:
                kept.append(value)
        return replace(one, values=tuple(kept), blocked=blocked) if kept else None

    def _holds(self, place: Place, value: Any) -> bool | SchemaError:
        """Whether a value is valid at a place, or why it cannot be told."""
        if place is Never:
            return False
        doing = (place.key, id(value))
        if doing in self._comparing:
            return SchemaError("only leads back to itself", next(part.path for part in place.valid))
        self._comparing.add(doing)
        try:
            return _any(
                _all([_any(self._has(shape, value) for shape in clause.shapes), *self._alone(clause, value)])
                for clause in self.clauses(place.valid)
            )
        finally:
            self._comparing.remove(doing)

    def _alone(self, clause: Clause, value: Any) -> Iterable[bool | SchemaError]:
        """For each branch of a ``oneOf`` that was not taken: whether the value is not valid by it."""
        for choice in clause.choices:
            for other, branch in enumerate(choice.branches):
                if other != choice.taken:
                    held = self._holds(branch, value)
                    yield held if isinstance(held, SchemaError) else not held

    def _has(self, shape: Shape, value: Any) -> bool | SchemaError:
        self._compared += 1
        if self._compared > _MAX_COMPARED:
            raise SchemaError("has too many values to compare with what is beside them", kind="unsupported")
        held: bool | SchemaError = False
        if isinstance(shape, Literals):
            held = same_value(value) in map(same_value, shape.values)
        elif isinstance(shape, Null):
            held = value is None
        elif isinstance(shape, Boolean):
            held = isinstance(value, bool)
        elif isinstance(shape, Number):
            held = is_number(value) and within(shape, value)
        elif isinstance(shape, String):
            held = isinstance(value, str) and matches(shape, value)
        elif isinstance(shape, Array):
            held = isinstance(value, list) and self._has_items(shape, value)
        elif isinstance(shape, Object):
            held = isinstance(value, dict) and _all(
                [
                    all(name in value for name in shape.required),
                    *(self._holds(shape.at(name), member) for name, member in value.items()),
                ]
            )
        return held if held is False or shape.blocked is None else shape.blocked

    def _has_items(self, shape: Array, value: list[Any]) -> bool | SchemaError:
        if len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
            return False
        if shape.unique is not None and len(set(map(same_value, value))) < len(value):
            return False
        places = [*shape.prefix, *[shape.items] * (len(value) - len(shape.prefix))]
        return _all(self._holds(place, item) for place, item in zip(places, value, strict=False))

    def _made_of(self, shape: Shape, known: set[Key]) -> bool:
        needs = _needs(shape)
        return needs is not None and all(
            need is not Never and (need.key in known or self._possible.get(need.key, False)) for need in needs
        )

    def _spend(self, path: Path, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise SchemaError(
                f"takes more than {_MAX_STEPS} steps to work out: combine fewer schemas", path, kind="unsupported"
            )


def _needs(shape: Shape) -> list[Place] | None:
    """What must be possible for a shape to have a value; ``None`` if it has none anyway."""
    if isinstance(shape, Object):
        return [shape.at(name) for name in shape.required]
    if isinstance(shape, Array):
        if shape.most is not None and shape.most < shape.least:
            return None
        return [*shape.prefix[: shape.least], *([shape.items] if shape.least > len(shape.prefix) else [])]
    if isinstance(shape, String):
        lengths = shape.least, shape.most
        too_short = shape.most is not None and shape.most < shape.least
        return None if too_short or not all(pattern.possible(*lengths) for pattern, _ in shape.patterns) else []
    if isinstance(shape, Number):
        return None if empty(shape) else []
    return None if isinstance(shape, Literals) and not shape.values else []


def _any(held: Iterable[bool | SchemaError]) -> bool | SchemaError:
    every = list(held)
    return True if True in every else next((one for one in every if isinstance(one, SchemaError)), False)


def _all(held: Iterable[bool | SchemaError]) -> bool | SchemaError:
    every = list(held)
    return False if False in every else next((one for one in every if isinstance(one, SchemaError)), True)
