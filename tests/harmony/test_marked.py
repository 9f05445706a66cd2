"""Control tokens that a text spells out are read only where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.marked import encode_marked

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

_parts = st.lists(
    st.text(max_size=8).filter(lambda text: "<|" not in text and "|>" not in text)
    | st.integers(tokens.FIRST_SPECIAL, tokens.VOCABULARY_SIZE - 1),
    max_size=8,
)


@given(parts=_parts)
def test_markers_become_their_ids_and_text_stays_text(encoder: HarmonyEncoding, parts: list[str | int]) -> None:
    joined: list[str | int] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    text = "".join(part if isinstance(part, str) else tokens.spelling(part) for part in joined)
    expected = [token for part in joined for token in (encoder.encode(part) if isinstance(part, str) else [part])]

    assert encode_marked(encoder, text) == expected


def test_what_no_token_is_called_is_text(encoder: HarmonyEncoding) -> None:
    for text in ("<|im_start|>", "<|end|", "<| end |>", "<|END|>", "<|reserved_199997|>", "<|reserved_201088|>"):
        assert encode_marked(encoder, text) == encoder.encode(text)
        assert max(encode_marked(encoder, text)) < tokens.FIRST_SPECIAL


def test_a_token_stands_for_its_bytes(encoder: HarmonyEncoding) -> None:
    ids = encoder.encode("𝔘 漢字")
    assert b"".join(map(encoder.token_bytes, ids)).decode() == "𝔘 漢字"
    assert len(encoder.token_bytes(ids[0])) < len("𝔘".encode())
    assert encoder.token_bytes(tokens.START) == b"<|start|>"
