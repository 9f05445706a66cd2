"""A turn goes on when its engine dies: what the next engine is asked, and what becomes of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import EngineFailure
from lemonade_like.turns.events import Progress, ToolCallStart
from lemonade_like.turns.request import ResponseFormat
from tests.support.fake_llama_server import one_by_one, requests_of
from tests.support.rig import content, fake_rig, finish, reasoning

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.turns.events import Event
    from tests.support.fake_llama_server import Frame, Step
    from tests.support.written import Writer

ANSWER = (
    "<|channel|>analysis<|message|>Let me think 🙂 of 漢字.<|end|><|start|>assistant<|channel|>final<|message|>"
    "Here: 🙂漢字, and so on.<|return|>"
)
DIES: Step = {"exit": 9}
#: A constraint that the fake cannot know of, so that the turn is one that must be generated again.
JSON = ResponseFormat("anything", {"type": "object"}, strict=False)


def _asked(folder: Path) -> list[dict[str, Any]]:
    return [request["body"] for request in requests_of(folder / "gpt-oss-fake.gguf")]


def _rest_of(frames: list[Frame], cut: int) -> list[Step]:
    """What the next engine says that goes on behind the first ``cut`` frames: it counts from there."""
    before = frames[cut - 1]["tokens_predicted"]
    return one_by_one({**frame, "tokens_predicted": frame["tokens_predicted"] - before} for frame in frames[cut:])


def _same(survived: list[Event], expected: list[Event]) -> None:
    assert (reasoning(survived), content(survived)) == (reasoning(expected), content(expected))
    one, other = finish(survived), finish(expected)
    assert (one.reason, one.usage, one.recovered) == (other.reason, other.usage, other.recovered)


async def test_a_free_turn_goes_on_behind_what_was_generated(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(ANSWER, prompt_tokens=50, cached=40)
    replies = [one_by_one(frames), [*one_by_one(frames[:12]), DIES], _rest_of(frames, 12)]
    async with fake_rig(tmp_path, vocabulary, *replies) as rig:
        expected, survived = await rig.ask(max_tokens=500), await rig.ask(max_tokens=500)
    _, first, second = _asked(tmp_path)

    _same(survived, expected)
    assert finish(survived).resumed == 1
    predicted = frames[11]["tokens_predicted"]
    assert second["prompt"] == [*first["prompt"], *writer.ids(ANSWER)[:predicted]]
    assert (first["n_predict"], second["n_predict"]) == (500, 500 - predicted)


async def test_while_the_engine_is_started_again_the_turn_says_that_it_loads(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    frames = writer.frames(ANSWER)
    async with fake_rig(tmp_path, vocabulary, [*one_by_one(frames[:12]), DIES], _rest_of(frames, 12)) as rig:
        stages = [event.stage for event in await rig.ask() if isinstance(event, Progress)]

    assert stages[-1] == "loading"
    assert stages.index("prefill") < len(stages) - 1


@pytest.mark.parametrize("constrained", [True, False], ids=["constrained", "with ids that are not certain"])
async def test_a_turn_that_cannot_go_on_is_generated_again_with_the_same_seed(
    tmp_path: Path, vocabulary: Path, writer: Writer, constrained: bool
) -> None:
    frames = writer.frames(ANSWER)
    if not constrained:
        lost = next(place for place, frame in enumerate(frames) if "think" in frame["content"])
        joined = frames[lost - 1]["content"] + frames[lost]["content"]
        frames[lost - 1 : lost + 1] = [{**frames[lost], "content": joined, "tokens": [1]}]
    whole = one_by_one(frames)
    more: Any = {"response_format": JSON} if constrained else {}
    async with fake_rig(tmp_path, vocabulary, whole, [*whole[:14], DIES], [{"frames": frames}]) as rig:
        expected, survived = await rig.ask(**more), await rig.ask(**more)
    _, first, second = _asked(tmp_path)

    _same(survived, expected)
    assert second == first
    assert 0 <= first["seed"] < 2**32 - 1


async def test_what_comes_out_differently_is_told(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    whole = one_by_one(writer.frames(ANSWER))
    other = one_by_one(writer.frames(ANSWER.replace("think", "reason")))
    seen: list[Event] = []
    async with fake_rig(tmp_path, vocabulary, [*whole[:14], DIES], other) as rig:
        with pytest.raises(EngineFailure, match="came out differently"):
            async for batch in rig.turns.run(rig.request(response_format=JSON)):
                seen += batch

    assert reasoning(seen).startswith("Let me think")


async def test_a_turn_that_lacks_only_its_end_needs_no_other_engine(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    whole = one_by_one(writer.frames(ANSWER))
    async with fake_rig(tmp_path, vocabulary, whole, [*whole[:-1], DIES]) as rig:
        expected, survived = await rig.ask(), await rig.ask()

    _same(survived, expected)
    assert len(_asked(tmp_path)) == 2


async def test_a_call_that_was_begun_keeps_its_id(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    written = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"city":"東京"}<|call|>'
    frames = writer.frames(written)
    cut = next(place for place, frame in enumerate(frames) if "city" in frame["content"])
    async with fake_rig(tmp_path, vocabulary, [*one_by_one(frames[:cut]), DIES], _rest_of(frames, cut)) as rig:
        events = await rig.ask()

    assert len([event for event in events if isinstance(event, ToolCallStart)]) == 1
    assert finish(events).reason == "tool_calls"


async def test_an_engine_that_dies_again_and_again_is_given_up(
    tmp_path: Path, vocabulary: Path, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    frames = writer.frames(ANSWER)
    async with fake_rig(tmp_path, vocabulary, [{"print": "out of luck"}, *one_by_one(frames[:9]), DIES]) as rig:
        with pytest.raises(EngineFailure, match="died in the middle of the turn") as caught:
            await rig.ask(response_format=JSON)

    assert "out of luck" not in caught.value.message
    assert "out of luck" in caplog.text
    assert len(_asked(tmp_path)) == 3
