"""Text becomes ordinary ids, quickly, whatever it is."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.encoding import (
    _BOUNDARY,
    MAX_CALL,
    MAX_RUN,
    HarmonyEncoding,
    HarmonyUnavailable,
    bounded_pieces,
)
from tests.support import chats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: What the tokenizer is slow at, or was once.
RUNS = [
    *("a", "字", " ", "\n", "\r\n", "-", "é", "e\u0301", "\u0301", "🙂", "👨\u200d👩\u200d👧", "❤\ufe0f", "²", "Ⅷ"),
    *(
        "1",
        "aé-",
        "\0",
        "\ue000",
        "!?",
        "'s",
        " \n",
        "-\n",
        "𠀀",
        "ไทย",
        "a" * 509 + " ",
        "-" * 509 + " ",
        "字" * 600 + "，",
    ),
]
_unkind = st.builds(lambda piece, times: piece * times, chats.texts, st.integers(1, 3_000))
_scripts = st.text(
    st.one_of(
        st.sampled_from(" \t\r\n\u3000'’,.;-_/<|>=+*()。，！？123٣²Ⅷaßé\u0301字ж\ufe0f🙂\u200d"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=40,
)


@given(text=_unkind)
def test_pieces_are_bounded_and_joined_are_the_text(text: str) -> None:
    pieces = list(bounded_pieces(text))

    assert "".join(pieces) == text
    assert all(0 < len(piece) <= MAX_CALL for piece in pieces)


@given(text=_scripts)
def test_every_boundary_is_one_of_the_tokenizers_own(encoder: HarmonyEncoding, text: str) -> None:
    whole = _native(encoder, text)
    for match in _BOUNDARY.finditer(text):
        cut = match.end()
        assert _native(encoder, text[:cut]) + _native(encoder, text[cut:]) == whole, text[:cut]


@pytest.mark.parametrize("run", RUNS)
def test_the_cost_of_a_long_run_is_linear(encoder: HarmonyEncoding, run: str) -> None:
    calls = _calls(encoder, run * (200_000 // len(run)))

    assert max(map(len, calls)) <= MAX_CALL
    # The tokenizer takes the square of the longest run; so long as every run is short, the sum is linear.
    assert max(len(run) for call in calls for run in _runs(call)) <= MAX_RUN
    assert sum(map(len, calls)) == 200_000 // len(run) * len(run)


def _calls(encoder: HarmonyEncoding, text: str) -> list[str]:
    """What is given to the native tokenizer, call by call."""
    calls: list[str] = []

    class Recording:
        def encode(self, text: str, *, disallowed_special: tuple[()] = ()) -> list[int]:
            calls.append(text)
            return encoder._library.encode(text, disallowed_special=disallowed_special)

        def decode(self, tokens: Sequence[int], errors: str = "strict") -> str:
            return encoder._library.decode(tokens, errors=errors)

    assert HarmonyEncoding(Recording()).encode(text)
    return calls


def _runs(text: str) -> list[str]:
    """What the tokenizer may take in one piece, or two: words and gaps, as far as no boundary cuts them."""
    cuts = [0, *(match.end() for match in _BOUNDARY.finditer(text)), len(text)]
    return [run for start, end in itertools.pairwise(cuts) for run in re.findall(r"\S+|\s+", text[start:end])]


def _native(encoder: HarmonyEncoding, text: str) -> list[int]:
    return encoder._library.encode(text, disallowed_special=())


@pytest.mark.parametrize("unit", ["1", "٣", "12", "word ", "字，", "a1", "base64+/", "0xdeadbeef\n", "It's "])
def test_text_that_the_tokenizer_cuts_often_keeps_its_ids(encoder: HarmonyEncoding, unit: str) -> None:
    text = unit * 20_000

    assert encoder.encode(text) == _native(encoder, text)


def test_ordinary_long_text_is_cut_where_the_tokenizer_cuts_too(encoder: HarmonyEncoding) -> None:
    text = "It's 5 o'clock, said the fox;\n\n\tand 漢字 too. " * 2_000

    assert len(text) > 4 * MAX_CALL
    assert encoder.encode(text) == _native(encoder, text)


@given(text=chats.texts)
def test_no_text_becomes_a_control_token_and_none_is_lost(encoder: HarmonyEncoding, text: str) -> None:
    ids = encoder.encode(text)

    assert all(token_id < tokens.FIRST_SPECIAL for token_id in ids)
    assert encoder.decode(ids) == text


def test_a_lone_surrogate_becomes_a_replacement_character(encoder: HarmonyEncoding) -> None:
    assert encoder.decode(encoder.encode("a\ud800b")) == "a\ufffdb"


def test_a_vocabulary_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "o200k_base.tiktoken").write_text("nonsense")

    with pytest.raises(HarmonyUnavailable, match="vocabulary"):
        HarmonyEncoding.load(tmp_path)
