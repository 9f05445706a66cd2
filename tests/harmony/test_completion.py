from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.completion import Part, parts_of, without_request
from tests.support.completions import IDS, any_parts

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.completions import Part as WrittenPart


def test_text_is_cut_at_its_markers_and_only_there() -> None:
    assert parts_of("a<|start|>b<|nonsense|>c<|reserved_200013|>") == [
        Part("a", 0),
        Part(tokens.START, 1),
        Part("b<|nonsense|>c", 10),
        Part(200_013, 24),
    ]


def test_ids_are_cut_at_control_tokens_and_not_at_spelled_markers(encoder: HarmonyEncoding) -> None:
    spelled = encoder.encode("<|end|>")

    assert parts_of([*spelled, tokens.END], encoder) == [
        Part("<|end|>", 0, len(spelled)),
        Part(tokens.END, len(spelled), 1),
    ]


@given(text=st.text() | st.lists(st.sampled_from([*IDS, "a", "<|", "|>", "end"])).map("".join))
def test_no_text_is_lost(text: str) -> None:
    parts = parts_of(text)

    assert "".join(p.value if isinstance(p.value, str) else tokens.spelling(p.value) for p in parts) == text
    assert [part.position for part in parts] == sorted(part.position for part in parts)


@given(written=any_parts)
def test_no_id_is_lost(encoder: HarmonyEncoding, written: list[WrittenPart]) -> None:
    ids = [one for part in written for one in ([part] if isinstance(part, int) else encoder.encode(part))]

    assert sum(part.count for part in parts_of(ids, encoder)) == len(ids)


@pytest.mark.parametrize("number", [-1, tokens.VOCABULARY_SIZE, "5", 1.5])
def test_a_number_that_is_no_id_is_named(encoder: HarmonyEncoding, number: object) -> None:
    with pytest.raises(ValueError, match="is no id of o200k_harmony"):
        parts_of([5, number], encoder)  # type: ignore[list-item]


def test_the_numbers_of_an_array_are_ids(encoder: HarmonyEncoding) -> None:
    class Number:
        def __index__(self) -> int:
            return tokens.END

    assert parts_of([Number()], encoder) == [Part(tokens.END, 0, 1)]  # type: ignore[list-item]


def test_ids_need_an_encoder() -> None:
    with pytest.raises(TypeError, match="encoder"):
        parts_of([5])


def test_the_request_at_the_end_of_a_prompt_is_no_part_of_what_was_said() -> None:
    prompt = parts_of("<|start|>user<|message|>Hi<|end|><|start|>assistant")

    assert [part.value for part in without_request(prompt)][-1] == tokens.END
    assert without_request([]) == []
