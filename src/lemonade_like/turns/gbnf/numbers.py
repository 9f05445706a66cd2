"""Numbers between bounds, digit by digit."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Final

#: Numbers without an upper bound have at most so many digits: what a double holds exactly.
_DIGITS: Final = 15
_FRACTION: Final = '( "." [0-9]{1,16} )?'


def integers(least: int | None, most: int | None) -> str | None:
    """Return the whole numbers from ``least`` to ``most`` as an expression; ``None`` if there are none."""
    low = -(10**_DIGITS) + 1 if least is None else least
    high = max(10**_DIGITS - 1, low) if most is None else most
    low = min(low, high) if least is None else low
    if low > high:
        return None
    options = []
    if low < 0:
        options += [f'"-" {digits}' for digits in _range(max(1, -high), -low)]
    if high >= 0:
        options += _range(max(0, low), high)
    return " | ".join(options)


def numbers(least: Decimal | None, most: Decimal | None, *, above: bool = False, below: bool = False) -> str | None:
    """Return the numbers from ``least`` to ``most`` as an expression; ``None`` if there are none that can be said.

    With ``above`` and ``below`` the bounds themselves are left out. No exponents; what a bound cuts off is decided in
    its own decimal places.
    """
    options: list[str] = []
    end = Decimal(10**_DIGITS)
    low, high = -end if least is None else least, end if most is None else most
    if low < 0:
        # The mirror image of what is above zero.
        top = -high if high < 0 else Decimal(0)
        options += [
            f'"-" {digits}' for digits in _positive(top, -low, below and high <= 0, above and least is not None)
        ]
    if high >= 0:
        bottom = max(low, Decimal(0))
        options += _positive(bottom, high, above and low >= 0, below)
    return " | ".join(options) or None


def _positive(low: Decimal, high: Decimal, above: bool, below: bool) -> list[str]:
    """The numbers from ``low`` (or, with ``above``, just over it) to ``high``, none below zero."""
    if low > high or (low == high and (above or below)):
        return []
    places = max(1, _places(low), _places(high)) + 1
    scale = 10**places
    first, last = int(low * scale) + above, int(high * scale) - below
    if first > last:
        return []
    options = []
    whole_low, part_low = divmod(first, scale)
    whole_high, part_high = divmod(last, scale)
    if whole_low == whole_high:
        return _with_parts(whole_low, part_low, part_high, places)
    if part_low:
        options += _with_parts(whole_low, part_low, scale - 1, places)
        whole_low += 1
    if whole_low < whole_high:
        options += [f"( {digits} ) {_FRACTION}" for digits in _range(whole_low, whole_high - 1)]
    options += _with_parts(whole_high, 0, part_high, places)
    return options


def _with_parts(whole: int, low: int, high: int, places: int) -> list[str]:
    parts = [f'"{whole}." {digits}' for digits in _fixed(str(low).zfill(places), str(high).zfill(places))]
    return [f'"{whole}"', *parts] if low == 0 else parts


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def ceiling(value: Decimal) -> int:
    """Return the least whole number that is not below ``value``."""
    return -int((-value).to_integral_value(rounding=ROUND_FLOOR))


def floor(value: Decimal) -> int:
    """Return the greatest whole number that is not above ``value``."""
    return int(value.to_integral_value(rounding=ROUND_FLOOR))


def _range(low: int, high: int) -> list[str]:
    """Whole numbers without sign, one expression for each pattern of digits."""
    options = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 0 if length == 1 else 10 ** (length - 1))
        options += _fixed(str(first), str(min(high, 10**length - 1)))
    return options


def _fixed(low: str, high: str) -> list[str]:
    """Strings of digits of one length, from ``low`` to ``high``."""
    if not low:
        return [""]
    if low[0] == high[0]:
        return [f'"{low[0]}" {rest}'.rstrip() for rest in _fixed(low[1:], high[1:])]
    rest = len(low) - 1
    options = []
    first, last = int(low[0]), int(high[0])
    if low[1:].strip("0"):
        options += [f'"{first}" {digits}'.rstrip() for digits in _fixed(low[1:], "9" * rest)]
        first += 1
    tail = []
    if high[1:].strip("9"):
        tail = [f'"{last}" {digits}'.rstrip() for digits in _fixed("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        any_digits = f" [0-9]{{{rest}}}" if rest else ""
        options.append(f"[{first}-{last}]{any_digits}" if first < last else f'"{first}"{any_digits}')
    return options + tail
