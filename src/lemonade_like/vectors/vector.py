"""A vector as it travels, and made shorter. Pure functions over ``array("f")``, 32-bit floats."""

from __future__ import annotations

import base64
import math
import sys
from array import array


def decoded(text: str) -> array[float]:
    """Return the vector that base64 of little-endian floats says. Raises ``ValueError``."""
    vector = array("f", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def encoded(vector: array[float]) -> str:
    """Return base64 of the vector as little-endian floats."""
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode("ascii")


def shortened(vector: array[float], dimensions: int) -> array[float]:
    """Return the vector's first ``dimensions`` numbers, stretched to length 1."""
    first = vector[:dimensions]
    length = math.sqrt(math.fsum(number * number for number in first))
    return array("f", (number / length for number in first)) if length else first
