"""The exact ids of a turn are found again although the stream leaves some out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.turns.events import ContentDelta, ToolCallArgumentsDelta, ToolCallStart
from lemonade_like.turns.transcript import Recording

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.written import Writer

CALL = " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>"
_texts = st.lists(
    st.sampled_from(["🙂", "漢字", "e\u0301", " hello", "\n", "👩‍👩‍👧", "ß", "𝔘", "{}"]), max_size=12
).map("".join)


def _record(recording: Recording, writer: Writer, written: str) -> None:
    for frame in writer.frames(written, final=False):
        if "prompt_progress" not in frame:
            recording.add(frame["tokens"], frame["content"], frame["tokens_predicted"], [])


def _ids(recording: Recording) -> list[int] | None:
    return None if recording._ids is None else list(recording._ids)


@given(text=_texts)
def test_ids_that_were_never_sent_are_found_again(encoder: HarmonyEncoding, writer: Writer, text: str) -> None:
    recording = Recording(encoder)
    _record(recording, writer, f"<|channel|>analysis<|message|>{text}<|end|>")

    assert _ids(recording) == [
        *(tokens.CHANNEL, *encoder.encode("analysis"), tokens.MESSAGE),
        *(*encoder.encode(text), tokens.END),
    ]


def test_what_cannot_be_told_for_certain_is_not_remembered(encoder: HarmonyEncoding) -> None:
    recording = Recording(encoder)
    recording.add([5], "a", 3, [])
    recording.add([tokens.CALL], "", 4, [ToolCallStart(0, "call_1", "f")])

    assert recording.remembered("2026-07-01") is None


def test_a_turn_with_calls_is_remembered_as_the_client_saw_it(encoder: HarmonyEncoding) -> None:
    recording = Recording(encoder)
    recording.add([5], "a", 1, [ContentDelta("Let me "), ContentDelta("look.")])
    recording.add(
        [6], "b", 2, [ToolCallStart(0, "call_1", "f"), ToolCallArgumentsDelta(0, "{"), ToolCallArgumentsDelta(0, "}")]
    )
    recording.add([tokens.CALL], "", 3, [])

    turn = recording.remembered("2026-07-01")

    assert turn is not None
    assert (list(turn.ids), turn.content) == ([5, 6, tokens.CALL], "Let me look.")
    assert [(call.id, call.name, call.arguments) for call in turn.calls] == [("call_1", "f", "{}")]


def test_a_turn_without_calls_or_without_an_end_is_not_remembered(encoder: HarmonyEncoding) -> None:
    answered, cut, spoilt = Recording(encoder), Recording(encoder), Recording(encoder)
    answered.add([tokens.RETURN], "", 1, [])
    cut.add([5], "{", 1, [ToolCallStart(0, "call_1", "f")])
    spoilt.add([tokens.CALL], "", 1, [ToolCallStart(0, "call_1", "f")])
    spoilt.spoil()

    assert [one.remembered("2026-07-01") for one in (answered, cut, spoilt)] == [None, None, None]
