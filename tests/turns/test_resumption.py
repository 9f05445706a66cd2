"""How a turn goes on after its engine has died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.turns.resumption import Attempt, Differs, Replay, next_attempt
from lemonade_like.turns.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.written import Writer

PROMPT = [200_006, 1, 2]
ANSWER = (
    "<|channel|>analysis<|message|>Let me think 🙂 of 漢字.<|end|><|start|>assistant<|channel|>final<|message|>"
    "Here: <|marker 🙂漢字.<|return|>"
)
Frame = dict[str, Any]


def _frames(writer: Writer, completion: str = ANSWER) -> list[Frame]:
    return [frame for frame in writer.frames(completion) if "prompt_progress" not in frame]


def _received(frames: Iterable[Frame]) -> Transcript:
    transcript = Transcript()
    _write_down(transcript, frames)
    return transcript


def _write_down(transcript: Transcript, frames: Iterable[Frame]) -> None:
    for frame in frames:
        transcript.add(frame["tokens"], frame["content"], frame["tokens_predicted"])


def _joined(transcript: Transcript) -> list[str | int]:
    """All of it, however the text was cut."""
    parts: list[str | int] = [""]
    for part in transcript.parts():
        if isinstance(part, str) and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def _next(transcript: Transcript, encoder: HarmonyEncoding, **more: Any) -> Attempt | Frame:
    payload = {"prompt": PROMPT, "n_predict": -1, "seed": 7, **more}
    return next_attempt(payload, transcript, encoder, context_length=4096)


def test_a_free_turn_goes_on_from_the_prompt_and_what_was_generated(encoder: HarmonyEncoding, writer: Writer) -> None:
    for cut in range(1, len(_frames(writer)) - 1):
        received = _received(_frames(writer)[:cut])
        attempt = _next(received, encoder, n_predict=500)

        assert isinstance(attempt, Attempt)
        assert attempt.payload["prompt"] == [*PROMPT, *writer.ids(ANSWER)[: received.predicted]]
        assert attempt.payload["n_predict"] == 500 - received.predicted
        assert attempt.payload["seed"] == 7
        counted = attempt.new_in([{"tokens_predicted": 1}])
        assert counted == [{"tokens_predicted": received.predicted + 1}]


def test_a_turn_without_a_bound_stays_without_one(encoder: HarmonyEncoding, writer: Writer) -> None:
    attempt = _next(_received(_frames(writer)[:4]), encoder)

    assert isinstance(attempt, Attempt)
    assert attempt.payload["n_predict"] == -1


def test_a_turn_of_which_nothing_has_come_is_posted_as_it_was(encoder: HarmonyEncoding) -> None:
    attempt = _next(Transcript(), encoder, grammar="root ::= text", n_predict=0)

    assert isinstance(attempt, Attempt)
    assert attempt == Attempt({"prompt": PROMPT, "n_predict": 0, "seed": 7, "grammar": "root ::= text"})


@pytest.mark.parametrize(
    "constrained", [{"grammar": "root ::= text"}, {"reasoning_budget_tokens": 5}], ids=["grammar", "budget"]
)
def test_a_constrained_turn_is_generated_again(
    encoder: HarmonyEncoding, writer: Writer, constrained: dict[str, Any]
) -> None:
    attempt = _next(_received(_frames(writer)[:4]), encoder, **constrained)

    assert isinstance(attempt, Attempt)
    assert attempt.replay is not None
    assert attempt.payload["prompt"] == PROMPT


def test_a_turn_whose_ids_are_not_certain_is_generated_again(encoder: HarmonyEncoding) -> None:
    received = Transcript()
    received.add([5], "a", 3)
    attempt = _next(received, encoder)

    assert isinstance(attempt, Attempt)
    assert attempt.replay is not None


@pytest.mark.parametrize(
    ("more", "completion", "stop_type"),
    [
        ({}, "<|channel|>final<|message|>Hi<|return|>", "eos"),
        ({"n_predict": 4}, "<|channel|>final<|message|>Hi", "limit"),
        ({"prompt": [1] * 4092}, "<|channel|>final<|message|>Hi", "limit"),
    ],
    ids=["ended", "as long as it may be", "as long as the context"],
)
def test_a_turn_that_lacks_only_its_last_frame_needs_no_engine(
    encoder: HarmonyEncoding, writer: Writer, more: dict[str, Any], completion: str, stop_type: str
) -> None:
    last = _next(_received(_frames(writer, completion)[:-1]), encoder, **more)

    assert isinstance(last, dict)
    assert (last["stop"], last["stop_type"]) == (True, stop_type)
    assert last["tokens_predicted"] == len(writer.ids(completion))


def _cut_anew(frames: list[Frame], draw: Any) -> list[Frame]:
    """The same output with neighbouring text frames joined as the draw says; the ids of joined ones are lost."""
    cut: list[Frame] = []
    for frame in frames:
        is_text = not frame["stop"] and max(frame["tokens"]) < tokens.FIRST_SPECIAL
        if is_text and cut and cut[-1].get("text") and draw(st.booleans()):
            cut[-1] = {**frame, "content": cut[-1]["content"] + frame["content"], "text": True}
        else:
            cut.append({**frame, "text": is_text})
    return cut


@given(data=st.data())
def test_a_replay_gives_just_what_had_not_come_whatever_the_frames_are(
    encoder: HarmonyEncoding, writer: Writer, data: st.DataObject
) -> None:
    frames = _frames(writer)
    cut = data.draw(st.integers(1, len(frames) - 2))
    received = _received(frames[:cut])
    replay = Replay(received)
    again = _cut_anew(frames, data.draw)
    rest: list[Frame] = []
    while again:
        size = data.draw(st.integers(1, len(again)))
        new = replay.rest(again[:size])
        _write_down(received, new)
        rest += new
        again = again[size:]

    assert replay.over
    assert rest[-1]["stop"]
    assert _joined(received) == _joined(_received(frames))
    assert _joined(_received([*frames[:cut], *rest])) == _joined(received)
    ids = received.ids(encoder)
    assert ids is None or list(ids) == writer.ids(ANSWER)


def test_progress_is_told_while_a_replay_matches(writer: Writer) -> None:
    frames = writer.frames(ANSWER)
    rest = Replay(_received(_frames(writer)[:6])).rest(frames[:5])

    assert rest == [frame for frame in frames[:5] if "prompt_progress" in frame] != []


@pytest.mark.parametrize(
    "other",
    [
        ANSWER.replace("think", "thank"),
        ANSWER.replace("<|end|>", "<|return|>"),
        "<|channel|>analysis<|message|>Let me<|end|>",
        "<|channel|>analysis<|message|>Let me",
        "final<|message|>",
    ],
)
def test_what_comes_out_differently_is_noticed(writer: Writer, other: str) -> None:
    replay = Replay(_received(_frames(writer)[:-4]))

    with pytest.raises(Differs):
        replay.rest(_frames(writer, other))


def test_a_marker_that_is_only_spelled_out_is_not_the_marker(writer: Writer) -> None:
    received = Transcript()
    received.add([5], "a<|end|>", 1)

    with pytest.raises(Differs):
        Replay(received).rest([{"tokens": [5], "content": "a"}, {"tokens": [tokens.END], "content": "<|end|>"}])


def test_an_engine_that_dies_while_it_replays_can_be_replaced_once_more(
    encoder: HarmonyEncoding, writer: Writer
) -> None:
    frames = _frames(writer)
    received = _received(frames[:10])
    for died_after in (3, 9, 5):
        attempt = _next(received, encoder, grammar="root ::= text")
        assert isinstance(attempt, Attempt)
        assert attempt.new_in(frames[:died_after]) == []
    attempt = _next(received, encoder, grammar="root ::= text")
    assert isinstance(attempt, Attempt)

    assert attempt.new_in(frames) == frames[10:]
