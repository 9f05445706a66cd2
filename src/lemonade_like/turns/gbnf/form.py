"""What a schema comes down to: the shapes that a value may have, of which one is enough; and what two have in common.

A ``Meet`` is a place that values are nested at: the schemas that must all hold there. It is worked out into shapes only
when it is looked at, so that schemas may refer to themselves. No shape at all is a value that cannot be (never); a meet
of no schemas is anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.gbnf.rules import Path, SchemaError, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from lemonade_like.turns.gbnf.pattern import Pattern


@dataclass(frozen=True)
class Part:
    """A schema within the whole one; its place identifies it. ``bare`` leaves out the schemas that it combines."""

    path: Path
    schema: Any = field(compare=False)
    bare: bool = False


@dataclass(frozen=True)
class Meet:
    """The values that are valid by all of ``valid``, and such as the grammar writes them for ``written``."""

    valid: tuple[Part, ...] = ()
    written: tuple[Part, ...] = ()

    @property
    def key(self) -> tuple[frozenset[Part], frozenset[Part]]:
        """What is the same for the same parts in whatever order."""
        return frozenset(self.valid), frozenset(self.written)

    def and_also(self, other: Meet) -> Meet:
        """Return the values of both."""
        return Meet(_joined(self.valid, other.valid), _joined(self.written, other.written))


#: No value can be here.
Never: Final = None
Place = Meet | None


def common(one: Place, other: Place) -> Place:
    """Return what is allowed in both places."""
    return Never if one is Never or other is Never else one.and_also(other)


@dataclass(frozen=True)
class Shape:
    """Values of one kind. ``unsaid`` are those of kinds that a schema without a ``type`` says nothing about: they are
    valid, but hardly meant. ``blocked`` is why no grammar can enforce what is asked of them."""

    unsaid: bool = field(default=False, kw_only=True)
    blocked: SchemaError | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Literals(Shape):
    """These values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Boolean(Shape):
    """True or false."""


@dataclass(frozen=True)
class Null(Shape):
    """Null."""


@dataclass(frozen=True)
class Number(Shape):
    """Numbers from ``low`` to ``high``; with ``above`` and ``below`` the bounds are left out."""

    low: Decimal | None = None
    above: bool = False
    high: Decimal | None = None
    below: bool = False
    integer: bool = False
    path: Path = ()


@dataclass(frozen=True)
class String(Shape):
    """Texts of ``least`` to ``most`` characters that match every pattern and every format; each with its place."""

    least: int = 0
    most: int | None = None
    patterns: tuple[tuple[Pattern, Path], ...] = ()
    formats: tuple[tuple[str, Path], ...] = ()
    path: Path = ()


@dataclass(frozen=True)
class Array(Shape):
    """Items: the first by ``prefix``, the others by ``items``, which ``listed`` says was given. ``unique`` is where it
    is said that no two may be equal."""

    prefix: tuple[Place, ...] = ()
    items: Place = Meet()
    least: int = 0
    most: int | None = None
    listed: bool = False
    unique: Path | None = None
    path: Path = ()


@dataclass(frozen=True)
class Object(Shape):
    """Members by name, in order; any other by ``extra``, which ``open`` says was given. ``listed`` says that the
    members were, be there none: that is how a tool without arguments is declared."""

    members: dict[str, Place] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    extra: Place = Meet()
    open: bool = False
    listed: bool = False
    path: Path = ()

    def at(self, name: str) -> Place:
        """Return what a member may be."""
        return self.members.get(name, self.extra)

    @property
    def extended(self) -> bool:
        """Whether members without a name in the schema are written."""
        return self.extra is not Never and (self.open or not (self.listed or self.members or self.required))


ANYTHING: Final[tuple[Shape, ...]] = (Object(), Array(), String(), Number(), Boolean(), Null())


def intersect(one: Shape, other: Shape) -> Shape | None:
    """Return the values of two shapes that are no literals; ``None`` if they are of different kinds, or if it is plain
    that there are none."""
    both: Shape | None = None
    if isinstance(one, Object) and isinstance(other, Object):
        both = _objects(one, other)
    elif isinstance(one, Array) and isinstance(other, Array):
        both = _arrays(one, other)
    elif isinstance(one, String) and isinstance(other, String):
        both = replace(
            one,
            least=max(one.least, other.least),
            most=_least(one.most, other.most),
            patterns=_joined(one.patterns, other.patterns),
            formats=_joined(one.formats, other.formats),
        )
    elif isinstance(one, Number) and isinstance(other, Number):
        both = _numbers(one, other)
    elif type(one) is type(other):
        both = one
    if both is None:
        return None
    return replace(both, unsaid=one.unsaid or other.unsaid, blocked=one.blocked or other.blocked)


def _objects(one: Object, other: Object) -> Object:
    names = dict.fromkeys([*one.members, *other.members])
    return replace(
        one,
        members={name: common(one.at(name), other.at(name)) for name in names},
        required=_joined(one.required, other.required),
        extra=common(one.extra, other.extra),
        open=one.open or other.open,
        listed=one.listed or other.listed,
    )


def _arrays(one: Array, other: Array) -> Array:
    def at(array: Array, place: int) -> Place:
        return array.prefix[place] if place < len(array.prefix) else array.items

    places = range(max(len(one.prefix), len(other.prefix)))
    return replace(
        one,
        prefix=tuple(common(at(one, place), at(other, place)) for place in places),
        items=common(one.items, other.items),
        least=max(one.least, other.least),
        most=_least(one.most, other.most),
        listed=one.listed or other.listed,
        unique=other.unique if one.unique is None else one.unique,
    )


def _numbers(one: Number, other: Number) -> Number:
    low, above = one.low, one.above
    if other.low is not None and (low is None or (other.low, other.above) > (low, above)):
        low, above = other.low, other.above
    high, below = one.high, one.below
    if other.high is not None and (high is None or (-other.high, other.below) > (-high, below)):
        high, below = other.high, other.below
    return replace(one, low=low, above=above, high=high, below=below, integer=one.integer or other.integer)


def closed(shape: Shape) -> Shape:
    """Return the values of a shape such as the grammar writes them, which are fewer."""

    def written(place: Place) -> Place:
        return Never if place is Never else Meet((), _joined(place.valid, place.written))

    if isinstance(shape, Object):
        members = {name: written(place) for name, place in named(shape).members.items()}
        return replace(shape, members=members, extra=written(shape.extra) if shape.extended else Never)
    if isinstance(shape, Array):
        return replace(shape, prefix=tuple(map(written, shape.prefix)), items=written(shape.items), most=longest(shape))
    return shape


def named(shape: Object) -> Object:
    """Return the same object with a member for each name that is required."""
    return replace(shape, members={name: shape.at(name) for name in (*shape.members, *shape.required)})


def longest(shape: Array) -> int | None:
    """Return how many items are written at most."""
    ends = shape.prefix and not shape.listed and shape.least <= len(shape.prefix)
    return _least(shape.most, len(shape.prefix)) if ends else shape.most


def same_value(value: Any) -> str:
    """Return a text that two JSON values have in common if they are equal; numbers are, however they are written."""

    def folded(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: folded(value[name]) for name in sorted(value)}
        if isinstance(value, list):
            return [folded(item) for item in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return json_text(folded(value))


def _joined(one: Iterable[Any], other: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*one, *other]))


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
