"""Any sequence of ids and text is parsed; nothing raises, nothing is lost, nothing that is a control token is shown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.conversation import Opening
from lemonade_like.harmony.messages import Message
from lemonade_like.harmony.parser import Body, Parser
from tests.support.completions import (
    ORDINARY,
    Part,
    any_frames,
    any_parts,
    one_frame_each,
    parse,
    parse_text,
    parts_of,
    well_formed,
)

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.library import Reference

_JSON = "<|constrain|>json"


def _summary(written: str) -> list[tuple[str | None, str | None, str]]:
    return [(m.channel, m.recipient, m.content) for m in parse_text(written).messages]


@given(written=well_formed())
def test_well_formed_output_is_what_openai_harmony_makes_of_it(
    reference: Reference, encoder: HarmonyEncoding, written: str
) -> None:
    ids = [one for part in parts_of(written) for one in ([part] if isinstance(part, int) else encoder.encode(part))]

    ours = [
        {
            "role": m.role,
            "channel": m.channel,
            "recipient": m.recipient,
            "content_type": m.content_type,
            "content": m.content,
        }
        for m in parse_text(written).messages
    ]

    assert ours == reference.parse(ids)


@given(parts=any_parts, data=st.data())
def test_frames_may_be_cut_anywhere(parts: list[Part], data: st.DataObject) -> None:
    whole = parse(one_frame_each(parts))
    cut = parse(data.draw(any_frames(parts)))

    assert cut == whole


@given(parts=any_parts)
def test_the_stream_is_the_whole(parts: list[Part]) -> None:
    parsed = parse(one_frame_each(parts))
    whole = [(m.role, m.channel, m.recipient, m.content_type, m.content) for m in parsed.messages if m.content]

    assert [(h.role, h.channel, h.recipient, h.content_type, text) for h, text in parsed.streamed if text] == whole


@given(parts=any_parts)
def test_no_text_is_lost_and_no_control_token_is_shown(parts: list[Part]) -> None:
    said = Counter("".join(part for part in parts if isinstance(part, str)))
    parsed = parse(one_frame_each(parts))
    shown: Counter[str] = Counter()
    for message in parsed.messages:
        shown.update(message.content)
        header = (message.role, message.channel, message.recipient, message.content_type)
        shown.update("".join(part for part in header if part))

    lost = Counter({character: n for character, n in (said - shown).items() if not character.isspace()})
    # What a header is made of is said by its fields, in their own spelling; a field that is overruled by a later
    # one of the same header (a second channel, a second recipient) is not shown.
    header_words = Counter("assistantanalysiscommentaryfinalto=functions.fpythonjsoncodeuserthoughts" * len(parts))
    assert not (lost - header_words)
    for message in parsed.messages:
        assert _count_markers(message.content) <= sum(_count_markers(part) for part in parts if isinstance(part, str))


def _count_markers(text: str) -> int:
    return sum(text.count(tokens.spelling(token_id)) for token_id in range(tokens.FIRST_SPECIAL, 200_020))


@pytest.mark.parametrize(
    ("written", "messages"),
    [
        pytest.param(
            "<|channel|>analysis<|message|>hm<|end|>assistant<|channel|>final<|message|>4<|return|>",
            [("analysis", None, "hm"), ("final", None, "4")],
            id="missing start",
        ),
        pytest.param(
            "<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>4<|return|>",
            [("analysis", None, "hm"), ("final", None, "4")],
            id="missing start and role",
        ),
        pytest.param(
            "<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>final<|message|>4<|return|>",
            [("analysis", None, "hm"), ("final", None, "4")],
            id="missing end",
        ),
        pytest.param(
            "<|channel|>analysis<|message|>hm<|channel|>final<|message|>4<|return|>",
            [("analysis", None, "hm"), ("final", None, "4")],
            id="missing end, start and role",
        ),
        pytest.param("<|channel|>final 4 it is<|return|>", [("final", None, " 4 it is")], id="missing message"),
        pytest.param("<|channel|>finalFour.<|return|>", [("final", None, "Four.")], id="missing message and space"),
        pytest.param("<|channel|>finalfour<|return|>", [("final", None, "four")], id="missing message, small letters"),
        pytest.param(
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistantThere.<|return|>",
            [("analysis", None, "hm"), (None, None, "There.")],
            id="a start and a role, and no header",
        ),
        pytest.param("<|message|>4<|return|>", [(None, None, "4")], id="missing channel"),
        pytest.param("It is 4.<|return|>", [(None, None, "It is 4.")], id="no header at all"),
        pytest.param("assistant is my job<|return|>", [(None, None, "assistant is my job")], id="role word as text"),
        pytest.param(
            "<|channel|>analysis<|channel|>final<|message|>4<|return|>", [("final", None, "4")], id="two channels"
        ),
        pytest.param(
            "<|channel|>final <|constrain|>json<|message|>{}<|return|>", [("final", None, "{}")], id="constrained"
        ),
        pytest.param("<|channel|>thoughts<|message|>4<|return|>", [("thoughts", None, "4")], id="unknown channel"),
        pytest.param("<|channel|>I think 4<|return|>", [(None, None, "I think 4")], id="text for a channel"),
        pytest.param(
            " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
            [("commentary", "functions.f", "{}")],
            id="recipient in the role",
        ),
        pytest.param(
            "<|channel|>commentaryto=functions.f <|constrain|>json<|message|>{}<|call|>",
            [("commentary", "functions.f", "{}")],
            id="recipient glued to the channel",
        ),
        pytest.param(
            '<|channel|>commentary to=functions.f <|constrain|>json{"a":1}<|call|>',
            [("commentary", "functions.f", '{"a":1}')],
            id="arguments glued to the content type",
        ),
        pytest.param(
            '<|channel|>commentary to=functions.f{"a":1}<|call|>',
            [("commentary", "functions.f", '{"a":1}')],
            id="arguments glued to the recipient",
        ),
        pytest.param(
            "<|channel|>commentary <|constrain|>json to=functions.f<|message|>{}<|call|>",
            [("commentary", "functions.f", "{}")],
            id="recipient last",
        ),
        pytest.param(
            "<|channel|>final<|message|>a<|constrain|>b<|message|>c<|return|>",
            [("final", None, "abc")],
            id="stray tokens",
        ),
        pytest.param(
            "<|channel|>commentary to=functions.f<|call|>", [("commentary", "functions.f", "")], id="empty call"
        ),
        pytest.param("<|channel|>final<|message|>half", [("final", None, "half")], id="cut in a body"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_malformed_output_is_mended(written: str, messages: list[tuple[str | None, str | None, str]]) -> None:
    assert _summary(written) == messages


def test_what_was_mended_is_counted() -> None:
    assert parse_text("<|channel|>analysis<|message|>a<|start|>assistant<|channel|>x<|message|>b").recovered == {
        "missing_end": 1,
        "unknown_channel": 1,
    }
    assert parse_text("<|channel|>final<|message|>fine<|return|>").recovered == {}


def test_what_stands_behind_a_recipient_is_shown_although_no_body_ever_began() -> None:
    parsed = parse_text("<|start|>json to=functions.f json")

    assert [text for _, text in parsed.streamed] == [message.content for message in parsed.messages] != [""]


def test_a_recipient_cut_in_half_is_called_by_nobody() -> None:
    parsed = parse_text("<|channel|>commentary to=functions.get_wea")

    assert parsed.streamed == []
    assert [m.recipient for m in parsed.messages] == ["functions.get_wea"]


def test_a_marker_in_ordinary_tokens_is_text() -> None:
    frames = [([tokens.CHANNEL], "<|channel|>"), ([ORDINARY], "final"), ([tokens.MESSAGE], "<|message|>")]
    frames += [([ORDINARY], "<|"), ([ORDINARY], "end|>"), ([ORDINARY], "<|start|>"), ([tokens.RETURN], "")]

    assert parse(frames).messages == [Message("assistant", "<|end|><|start|>", "final", end="<|return|>")]


def test_text_before_a_control_token_in_one_frame_belongs_before_it() -> None:
    frames = [([tokens.CHANNEL], "<|channel|>"), ([ORDINARY], "final")]
    frames += [([tokens.MESSAGE], "<|message|>"), ([tokens.END], "é<|end|>")]

    assert [m.content for m in parse(frames).messages] == ["é"]


def test_an_opened_message_is_continued() -> None:
    parsed = parse([([ORDINARY], " two"), ([tokens.RETURN], "")], Opening("final", "one,"))

    assert parsed.messages == [Message("assistant", "one, two", "final", end="<|return|>")]


def test_text_after_the_last_token_of_a_turn_is_kept() -> None:
    assert _summary("<|channel|>final<|message|>4<|return|>And more") == [
        ("final", None, "4"),
        (None, None, "And more"),
    ]


def test_a_body_is_handed_on_as_it_comes() -> None:
    parser = Parser(Opening("final"))

    assert parser.feed([ORDINARY], "a") == [Body("a")]
    assert parser.feed([], "b") == [Body("b")]


@pytest.mark.parametrize(
    "written", ["Hello, I am" + " very" * 300, "<|channel|>" + "x" * 2_000, "<|channel|>final to=" + "x" * 2_000]
)
def test_a_header_without_end_is_shown_before_the_turn_is_over(written: str) -> None:
    parser = Parser()
    pieces = [piece for ids, text in one_frame_each(parts_of(written)) for piece in parser.feed(ids, text)]

    assert any(isinstance(piece, Body) for piece in pieces)
