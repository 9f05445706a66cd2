"""Text becomes ordinary ids, quickly, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.encoding import MAX_CALL, MAX_RUN, HarmonyEncoding, HarmonyUnavailable, bounded_pieces
from tests.support import chats

if TYPE_CHECKING:
    from pathlib import Path

_unkind = st.builds(lambda piece, times: piece * times, chats.texts, st.integers(1, 3_000))


@given(text=_unkind)
def test_pieces_are_bounded_and_joined_are_the_text(text: str) -> None:
    assert "".join(bounded_pieces(text)) == text


@pytest.mark.parametrize("run", ["a", "字", " ", "-", "é", "aé-"])
def test_a_long_run_is_cut(run: str) -> None:
    pieces = list(bounded_pieces(run * 50_000))

    assert "".join(pieces) == run * 50_000
    assert max(map(len, pieces)) <= MAX_RUN or run == "aé-"


def test_ordinary_long_text_is_cut_where_the_tokenizer_cuts_too(encoder: HarmonyEncoding) -> None:
    text = "It's 5 o'clock, said the fox;\n\n\tand 漢字 too. " * 2_000

    assert len(text) > 4 * MAX_CALL
    assert encoder.encode(text) == encoder._library.encode(text, disallowed_special=())


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
