"""Whether a string or a number has a shape."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from jsonschema import FormatChecker

from lemonade_like.turns.gbnf import numbers
from lemonade_like.turns.gbnf.rules import SchemaError

if TYPE_CHECKING:
    from lemonade_like.turns.gbnf.form import Number, String

_FORMATS: Final = FormatChecker()


def empty(shape: Number) -> bool:
    """Return whether no number is within the bounds."""
    low, high = shape.low, shape.high
    if low is None or high is None:
        return False
    if shape.integer:
        return whole_bounds(shape)[0] > whole_bounds(shape)[1]  # type: ignore[operator]
    return low > high or (low == high and (shape.above or shape.below))


def whole_bounds(shape: Number) -> tuple[int | None, int | None]:
    """Return the least and the greatest integer of a shape."""
    low, high = shape.low, shape.high
    least = None if low is None else numbers.floor(low) + 1 if shape.above else numbers.ceiling(low)
    most = None if high is None else numbers.ceiling(high) - 1 if shape.below else numbers.floor(high)
    return least, most


def within(shape: Number, value: float) -> bool:
    """Return whether a number has the shape."""
    exact = Decimal(str(value))
    return (
        (shape.low is None or exact > shape.low or (exact == shape.low and not shape.above))
        and (shape.high is None or exact < shape.high or (exact == shape.high and not shape.below))
        and (not shape.integer or exact == exact.to_integral_value())
    )


def matches(shape: String, value: str) -> bool | SchemaError:
    """Return whether a text has the shape, or why that cannot be told."""
    if len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
        return False
    if not all(_FORMATS.conforms(value, name) for name, _ in shape.formats):
        return False
    for pattern, path in shape.patterns:
        try:
            matches = pattern.matches(value)
        except SchemaError as error:
            return SchemaError(str(error), path, kind=error.kind)
        if not matches and value.isascii():
            return False
        if not matches:  # of other characters, patterns here know fewer than other engines
            return SchemaError("cannot be compared with such characters", path, kind="unsupported")
    return True
