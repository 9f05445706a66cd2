"""What holds for any output at all, tried on thousands of sequences in the suite and on 100,000 every night.

The night's run is ``HYPOTHESIS_PROFILE=nightly pytest -m nightly``.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.conversation import Opening
from lemonade_like.harmony.header import _CONTENT_TYPES, CHANNELS
from tests.support.completions import (
    ORDINARY,
    Frame,
    Part,
    any_parts,
    one_frame_each,
    parse,
    parse_text,
    parts_of,
    spelled,
    well_formed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from lemonade_like.harmony.messages import Message
    from tests.support.library import Reference

_MARKERS = [tokens.spelling(token_id) for token_id in range(tokens.FIRST_SPECIAL, 200_020)]
#: What a header is made of is said by its fields, in their own spelling; a field that a later one of the same header
#: overrules (a second channel, a second recipient) is not shown.
_HEADER_WORDS = "assistantanalysiscommentaryfinalto=functions.fpythonjsoncodeuserthoughts" + "".join(_CONTENT_TYPES)
_openings = st.none() | st.builds(Opening, st.sampled_from(CHANNELS), st.text(max_size=5))


def _check(parts: list[Part], opening: Opening | None, seed: int) -> None:
    whole = parse(one_frame_each(parts), opening)

    # However the engine cuts its frames, the pieces joined are the same.
    assert parse(_frames(parts, random.Random(seed)), opening) == whole

    # What was streamed, piece by piece and never taken back, is the whole.
    said = [(_fields(message), message.content) for message in whole.messages if message.content]
    assert [((h.role, h.channel, h.recipient, h.content_type), text) for h, text in whole.streamed if text] == said

    # No text disappears, and no control token shows that was one.
    text = (opening.body if opening else "") + "".join(part if isinstance(part, str) else "\n" for part in parts)
    overruled = "".join(re.findall(r"to=[\w.:-]*", text))
    shown: Counter[str] = Counter()
    for message in whole.messages:
        shown.update(message.content)
        shown.update("".join(field for field in _fields(message) if field))
    lost = Counter({one: n for one, n in (Counter(text) - shown).items() if not one.isspace()})
    assert not lost - Counter(_HEADER_WORDS * len(parts) + overruled)
    assert sum(map(_markers, (m.content for m in whole.messages))) <= _markers_at_most(parts, opening)


def _frames(parts: list[Part], chance: random.Random) -> Iterator[Frame]:
    """The same parts in frames cut anywhere, whose ids are there, are several, or got lost."""
    for part in parts:
        if isinstance(part, int):
            yield [part], spelled(part)
            continue
        at = 0
        while at < len(part):
            end = at + chance.choice([1, 1, 2, 3, 50])
            yield [ORDINARY] * chance.choice([0, 1, 1, 2]), part[at:end]
            at = end


def _fields(message: Message) -> tuple[str, str | None, str | None, str | None]:
    return message.role, message.channel, message.recipient, message.content_type


def _markers(text: str) -> int:
    return sum(map(text.count, _MARKERS))


def _markers_at_most(parts: list[Part], opening: Opening | None) -> int:
    """Markers that were spelled out in ordinary text, whatever stood between its pieces."""
    return _markers("".join([opening.body if opening else "", *(part for part in parts if isinstance(part, str))]))


@settings(max_examples=2_000)
@given(parts=any_parts, opening=_openings, seed=st.integers(0, 2**32))
def test_any_sequence_is_parsed(parts: list[Part], opening: Opening | None, seed: int) -> None:
    _check(parts, opening, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@settings(settings.get_profile("nightly"), max_examples=100_000)
@given(parts=any_parts, opening=_openings, seed=st.integers(0, 2**32))
def test_a_hundred_thousand_sequences_are_parsed(parts: list[Part], opening: Opening | None, seed: int) -> None:
    _check(parts, opening, seed)


def _check_against_the_library(reference: Reference, encoder: HarmonyEncoding, written: str) -> None:
    ids = [one for part in parts_of(written) for one in ([part] if isinstance(part, int) else encoder.encode(part))]
    parsed = parse_text(written)

    assert [(*_fields(message), message.content) for message in parsed.messages] == [
        (one["role"], one["channel"], one["recipient"], one["content_type"], one["content"])
        for one in reference.parse(ids)
    ]
    assert parsed.recovered == {}


@settings(max_examples=500)
@given(written=well_formed())
def test_well_formed_output_is_what_openai_harmony_makes_of_it(
    reference: Reference, encoder: HarmonyEncoding, written: str
) -> None:
    _check_against_the_library(reference, encoder, written)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@settings(settings.get_profile("nightly"), max_examples=50_000)
@given(written=well_formed())
def test_much_well_formed_output_is_what_openai_harmony_makes_of_it(
    reference: Reference, encoder: HarmonyEncoding, written: str
) -> None:
    _check_against_the_library(reference, encoder, written)
