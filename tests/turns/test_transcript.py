"""The exact ids of a turn are found again although the stream leaves some out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.turns.events import ContentDelta, ToolCallArgumentsDelta, ToolCallStart
from lemonade_like.turns.transcript import Recording, Transcript

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.written import Writer

_texts = st.lists(
    st.sampled_from(["🙂", "漢字", "e\u0301", " hello", "\n", "👩‍👩‍👧", "ß", "𝔘", "{}"]), max_size=12
).map("".join)
CALL = [ToolCallStart(0, "call_1", "f"), ToolCallArgumentsDelta(0, "{"), ToolCallArgumentsDelta(0, "}")]


def _written(writer: Writer, completion: str) -> Transcript:
    transcript = Transcript()
    for frame in writer.frames(completion):
        if "prompt_progress" not in frame:
            transcript.add(frame["tokens"], frame["content"], frame["tokens_predicted"])
    return transcript


@given(text=_texts)
def test_ids_that_were_never_sent_are_found_again(encoder: HarmonyEncoding, writer: Writer, text: str) -> None:
    transcript = _written(writer, f"<|channel|>analysis<|message|>{text}<|end|>")

    ids = transcript.ids(encoder)

    assert ids is not None
    assert list(ids) == [
        *(tokens.CHANNEL, *encoder.encode("analysis"), tokens.MESSAGE),
        *(*encoder.encode(text), tokens.END),
    ]
    assert transcript.predicted == len(ids)


@given(text=_texts)
def test_what_was_generated_comes_back_as_text_and_control_tokens(writer: Writer, text: str) -> None:
    parts = list(_written(writer, f"<|channel|>final<|message|>{text}<|return|>").parts())

    assert [part for part in parts if isinstance(part, int)] == [tokens.CHANNEL, tokens.MESSAGE, tokens.RETURN]
    assert "".join(part for part in parts if isinstance(part, str)) == f"final{text}"


@pytest.mark.parametrize(
    ("ids", "text", "predicted"),
    [
        pytest.param([5], "a", 3, id="more ids are missing than the text has"),
        pytest.param([], "", 1, id="the end of a character never came"),
        pytest.param([5, 6], "ab", 1, id="more ids than the engine counts"),
    ],
)
def test_what_cannot_be_told_for_certain_is_not_told(
    encoder: HarmonyEncoding, ids: list[int], text: str, predicted: int
) -> None:
    transcript = Transcript()
    transcript.add(ids, text, predicted)
    transcript.add([tokens.CALL], "", predicted + 1)

    assert transcript.ids(encoder) is None


@pytest.mark.parametrize(
    ("completion", "ended"),
    [("<|channel|>final<|message|>Hi<|return|>", True), ("<|channel|>analysis<|message|>Hi<|end|>", False)],
)
def test_it_tells_whether_the_model_has_ended_its_turn(writer: Writer, completion: str, ended: bool) -> None:
    assert _written(writer, completion).ended is ended
    assert not Transcript().ended


def test_a_turn_with_calls_is_remembered_as_the_client_saw_it(encoder: HarmonyEncoding) -> None:
    transcript, recording = Transcript(), Recording()
    transcript.add([5], "a", 1)
    transcript.add([tokens.CALL], "", 2)
    recording.add([ContentDelta("Let me "), ContentDelta("look.")])
    recording.add(CALL)

    turn = recording.remembered(transcript, encoder, "2026-07-01")

    assert turn is not None
    assert (list(turn.ids), turn.content) == ([5, tokens.CALL], "Let me look.")
    assert [(call.id, call.name, call.arguments) for call in turn.calls] == [("call_1", "f", "{}")]


def test_a_turn_without_calls_without_an_end_or_without_certain_ids_is_not_remembered(encoder: HarmonyEncoding) -> None:
    def remembered(last: int, *, predicted: int = 1, called: bool = True, spoilt: bool = False) -> bool:
        transcript, recording = Transcript(), Recording()
        transcript.add([last], "", predicted)
        recording.add(CALL if called else [])
        if spoilt:
            recording.spoil()
        return recording.remembered(transcript, encoder, "2026-07-01") is not None

    assert remembered(tokens.CALL)
    assert not remembered(tokens.RETURN, called=False)
    assert not remembered(5)
    assert not remembered(tokens.CALL, predicted=3)
    assert not remembered(tokens.CALL, spoilt=True)
