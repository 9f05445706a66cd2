from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.vectors.vector import decoded, encoded, shortened
from tests.support.vectors import length, packed

NUMBERS = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50)


@given(NUMBERS)
def test_a_vector_is_written_as_it_was_read(numbers: list[float]) -> None:
    assert decoded(packed(*numbers)).tolist() == numbers
    assert encoded(array("f", numbers)) == packed(*numbers)


@pytest.mark.parametrize("text", ["A", "AAAA", "no base64!", "AAAAAAAA="])
def test_what_is_no_vector_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        decoded(text)


@given(NUMBERS.filter(lambda numbers: length(numbers) > 1e-3), st.integers(1, 60))
def test_a_shorter_vector_has_the_same_direction_and_length_1(numbers: list[float], dimensions: int) -> None:
    first = numbers[:dimensions]
    short = shortened(array("f", numbers), dimensions)
    assert len(short) == len(first)
    if whole := length(first):
        assert length(short) == pytest.approx(1, abs=1e-6)
        assert short.tolist() == pytest.approx([number / whole for number in first], abs=1e-6)


def test_a_vector_without_a_direction_stays_as_it_is() -> None:
    assert shortened(array("f", [0, 0, 1]), 2).tolist() == [0, 0]
