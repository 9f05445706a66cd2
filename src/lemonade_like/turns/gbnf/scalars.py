"""Strings and numbers as expressions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from lemonade_like.turns.gbnf import numbers
from lemonade_like.turns.gbnf.bounds import whole_bounds
from lemonade_like.turns.gbnf.formats import FORMATS
from lemonade_like.turns.gbnf.pattern import parsed
from lemonade_like.turns.gbnf.rules import SchemaError

if TYPE_CHECKING:
    from lemonade_like.turns.gbnf.form import Number, String
    from lemonade_like.turns.gbnf.rules import Rules

_MAX_LENGTH: Final = 100_000
_BLOCK: Final = 100


def string(shape: String, rules: Rules, *, strict: bool) -> str | None:
    """Return an expression for the texts of a shape; ``None`` if there are none. What cannot be enforced is left out
    unless ``strict``.

    Raises:
        SchemaError: something cannot be enforced.
    """
    try:
        return _enforced(shape, rules)
    except SchemaError:
        if strict:
            raise
    if not shape.patterns and not shape.formats:
        return _of_length(min(shape.least, _MAX_LENGTH), None, rules)
    for pattern in [pattern for pattern, _ in shape.patterns] + [parsed(FORMATS[name]) for name, _ in shape.formats]:
        try:
            return pattern.written(rules)
        except SchemaError:
            continue
    return "string"


def _enforced(shape: String, rules: Rules) -> str | None:
    matched = [*shape.patterns, *((parsed(FORMATS[name]), path) for name, path in shape.formats)]
    if len(matched) > 1:
        first, second = matched[0][1], matched[1][1]
        raise SchemaError(
            f"cannot be enforced together with '{first[-1]}': keep one of them", second, kind="unsupported"
        )
    if matched:
        pattern, path = matched[0]
        try:
            return pattern.written(rules, shape.least, shape.most)
        except SchemaError as error:
            if shape.least or shape.most is not None:
                path = (*shape.path, "maxLength" if shape.most is not None else "minLength")
            raise SchemaError(str(error), path, kind=error.kind) from None
    if max(shape.least, shape.most or 0) > _MAX_LENGTH:
        raise SchemaError(f"asks for more than {_MAX_LENGTH} characters", shape.path, kind="unsupported")
    return _of_length(shape.least, shape.most, rules)


def _of_length(least: int, most: int | None, rules: Rules) -> str:
    if not least and most is None:
        return "string"
    more = "content" if most is None else _up_to(most - least, rules)
    return f'"\\"" {_exactly(least, rules)} {more} "\\""'


def _exactly(count: int, rules: Rules) -> str:
    blocks, single = divmod(count, _BLOCK)
    parts = [rules.repeat("chars-100", blocks, blocks)] if blocks else []
    parts += [rules.repeat("char", single, single)] if single else []
    return " ".join(parts)


def _up_to(count: int, rules: Rules) -> str:
    """So many characters or fewer. Long ones go by blocks, since an engine unrolls what is repeated."""
    blocks, single = divmod(count, _BLOCK)
    if not blocks:
        return rules.repeat("char", 0, single) if single else ""
    fewer = f"{rules.repeat('chars-100', 0, blocks - 1)} {rules.repeat('char', 0, _BLOCK)}"
    if not single:
        return fewer
    all_blocks = rules.repeat("chars-100", blocks, blocks)
    return f"( {fewer} | {all_blocks} {rules.repeat('char', 1, single)} )"


def number(shape: Number, *, strict: bool) -> str | None:
    """Return an expression for the numbers of a shape; ``None`` if there are none.

    Raises:
        SchemaError: it is ``strict``, and a bound cannot be enforced.
    """
    kind = "integer" if shape.integer else "number"
    if shape.low is None and shape.high is None:
        return kind
    for bound in (shape.low, shape.high):
        if bound is not None and (abs(bound) >= Decimal(10) ** 15 or len(bound.as_tuple().digits) > 30):
            if not strict:
                return kind
            raise SchemaError("has a bound with more digits than are enforced", shape.path, kind="unsupported")
    if shape.integer:
        return numbers.integers(*whole_bounds(shape))
    return numbers.numbers(shape.low, shape.high, above=shape.above, below=shape.below)
