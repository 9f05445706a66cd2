"""Raw completions over an engine that does what a real one will not do on demand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure
from lemonade_like.turns.events import ContentDelta, Progress, Usage
from lemonade_like.turns.request import ResponseFormat, Sampling
from tests.support.fake_llama_server import frames_for, one_by_one, requests_of
from tests.support.rig import content, fake_rig, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from lemonade_like.turns.events import Event
    from tests.support.fake_llama_server import Frame, Step
    from tests.support.rig import Rig
    from tests.support.written import Writer

RAW = (
    "<|channel|>analysis<|message|>Let me think 🙂 of 漢字.<|end|><|start|>assistant<|channel|>final<|message|>"
    "Here.<|return|>"
)
SHOWN = RAW.removesuffix("<|return|>")
DIES: Step = {"exit": 9}
#: What the fake says is asked of another model's /tokenize.
IDS: Step = {"status": 200, "body": {"tokens": [5, 6, 7]}}
#: A sentence of another model: the last token is its end, and has no text. The ids would be control tokens of GPT-OSS.
WORDS = [(200_006, b"One"), (200_007, b" two"), (12, b" \xf0\x9f"), (13, b"\x99\x82"), (14, b" three"), (200_002, b"")]
PLAIN = "One two 🙂 three"
ANOTHER = "another"


@asynccontextmanager
async def another(folder: Path, vocabulary: Path, *replies: Sequence[Step]) -> AsyncIterator[Rig]:
    """A model that is no GPT-OSS; each answer comes after one of /tokenize."""
    asked = [each for reply in replies for each in ([IDS], reply)]
    async with fake_rig(folder, vocabulary, *asked, name=ANOTHER) as rig:
        yield rig


def _posted(folder: Path, name: str = "gpt-oss-fake") -> list[dict[str, Any]]:
    return [one["body"] for one in requests_of(folder / f"{name}.gguf") if one["path"] == "/completion"]


def _rest_of(frames: list[Frame], cut: int) -> list[Step]:
    before = frames[cut - 1]["tokens_predicted"]
    return one_by_one({**frame, "tokens_predicted": frame["tokens_predicted"] - before} for frame in frames[cut:])


def _same(survived: list[Event], expected: list[Event]) -> None:
    assert content(survived) == content(expected)
    one, other = finish(survived), finish(expected)
    assert (one.reason, one.usage, one.stop_string) == (other.reason, other.usage, other.stop_string)
    assert (one.resumed, other.resumed) == (1, 0)


async def test_all_that_is_written_is_content(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(RAW, prompt_tokens=1, cached=1)
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames), [{"frames": frames}]) as rig:
        events, at_once = await rig.complete(), await rig.complete()

    assert content(events) == content(at_once) == SHOWN
    assert {type(event) for event in events[:-1]} == {Progress, ContentDelta}
    assert finish(events).reason == "stop"
    assert finish(events).usage == Usage(1, frames[-1]["tokens_predicted"], cached_tokens=1)


async def test_what_is_posted_for_gpt_oss(tmp_path: Path, vocabulary: Path, encoder: HarmonyEncoding) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        await rig.complete("<|end|> Hi", sampling=Sampling(temperature=0.5, extra={"top_k": 7}), max_tokens=9)
        await rig.complete("<|end|> Hi", parse_special=True)
        await rig.complete((200_006, 1), grammar='root ::= "a"', top_logprobs=0, sampling=Sampling(seed=4))
    text, marked, ids = _posted(tmp_path)

    assert text["prompt"] == encoder.encode("<|end|> Hi")
    assert marked["prompt"] == [200_007, *encoder.encode(" Hi")]
    assert ids["prompt"] == [200_006, 1]
    assert (text["temperature"], text["top_p"], text["top_k"], text["min_p"]) == (0.5, 1.0, 7, 0.0)
    assert (text["n_predict"], marked["n_predict"]) == (9, -1)
    assert 0 <= text["seed"] < 2**32 - 1 and text["seed"] != marked["seed"]
    assert (ids["grammar"], ids["n_probs"], ids["seed"]) == ('root ::= "a"', 1, 4)
    assert all(posted["stream"] for posted in (text, marked, ids))


async def test_what_is_posted_for_another_model(tmp_path: Path, vocabulary: Path) -> None:
    async with another(tmp_path, vocabulary, *[one_by_one(frames_for(WORDS))] * 2) as rig:
        await rig.complete("Hi")
        await rig.complete("Hi", parse_special=False)
    read, posted, unread, _ = (one["body"] for one in requests_of(tmp_path / f"{ANOTHER}.gguf"))

    assert read == {"content": "Hi", "add_special": True, "parse_special": True, "with_pieces": False}
    assert unread == {**read, "parse_special": False}
    assert posted["prompt"] == [5, 6, 7]
    assert "temperature" not in posted and "message_delimiters" not in posted


async def test_a_format_is_made_a_grammar_of_all_that_is_written(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        await rig.complete(response_format=ResponseFormat("f", {"const": "x"}, param="json_schema"))
        with pytest.raises(BadRequest) as caught:
            await rig.complete(response_format=ResponseFormat("f", {"type": "x"}, param="json_schema"))
    (posted,) = _posted(tmp_path)

    assert posted["grammar"].startswith("root ::= ")
    assert caught.value.param == "json_schema.type"


async def test_a_stop_string_ends_it_wherever_it_is_cut(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(RAW)
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames), [{"frames": frames}]) as rig:
        stopped = [await rig.complete(stop=("<|end|><|start|>", "never")) for _ in range(2)]

    for events in stopped:
        assert content(events) == SHOWN.partition("<|end|>")[0]
        assert (finish(events).reason, finish(events).stop_string) == ("stop", "<|end|><|start|>")


async def test_text_that_was_held_back_comes_at_the_end(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(RAW)
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        assert content(await rig.complete(stop=("Here. And more",))) == SHOWN


async def test_the_bound_is_told(tmp_path: Path, vocabulary: Path) -> None:
    frames = frames_for([(1, b"a"), (2, b"b")], stop_type="limit")
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        assert finish(await rig.complete(max_tokens=2)).reason == "length"
        events = await rig.complete("Hello there", max_tokens=0)

    assert (content(events), finish(events).reason, finish(events).usage) == ("", "length", Usage(2))
    assert len(_posted(tmp_path)) == 1


@pytest.mark.parametrize("cut", [6, 12, 18])
async def test_it_goes_on_behind_what_was_generated(tmp_path: Path, vocabulary: Path, writer: Writer, cut: int) -> None:
    frames = writer.frames(RAW, prompt_tokens=50, cached=40)
    replies = [one_by_one(frames), [*one_by_one(frames[:cut]), DIES], _rest_of(frames, cut)]
    async with fake_rig(tmp_path, vocabulary, *replies) as rig:
        expected, survived = await rig.complete(max_tokens=500), await rig.complete(max_tokens=500)
    _, first, second = _posted(tmp_path)

    _same(survived, expected)
    predicted = frames[cut - 1]["tokens_predicted"]
    assert second["prompt"] == [*first["prompt"], *writer.ids(RAW)[:predicted]]
    assert second["n_predict"] == 500 - predicted


@pytest.mark.parametrize("constrained", [True, False], ids=["grammar", "suffix"])
async def test_what_cannot_go_on_is_generated_again(
    tmp_path: Path, vocabulary: Path, writer: Writer, constrained: bool
) -> None:
    frames = writer.frames(RAW)
    whole = one_by_one(frames)
    more: dict[str, Any] = {"grammar": "root ::= text"} if constrained else {"suffix": "end"}
    async with fake_rig(tmp_path, vocabulary, whole, [*whole[:12], DIES], [{"frames": frames}]) as rig:
        expected, survived = await rig.complete(**more), await rig.complete(**more)
    _, first, second = (one["body"] for one in requests_of(tmp_path / "gpt-oss-fake.gguf"))

    _same(survived, expected)
    assert first == second


async def test_another_model_goes_on_by_its_ids(tmp_path: Path, vocabulary: Path) -> None:
    frames = frames_for(WORDS)
    cut = next(place for place, frame in enumerate(frames, 1) if "two" in frame["content"])
    async with another(tmp_path, vocabulary, one_by_one(frames)) as rig:
        expected = await rig.complete("Hi")
    folder = tmp_path / "dies"
    folder.mkdir()
    replies = [[IDS], [*one_by_one(frames[:cut]), DIES], _rest_of(frames, cut)]
    async with fake_rig(folder, vocabulary, *replies, name=ANOTHER) as rig:
        survived = await rig.complete("Hi")

    _same(survived, expected)
    assert content(survived) == PLAIN
    assert [posted["prompt"] for posted in _posted(folder, ANOTHER)] == [[5, 6, 7], [5, 6, 7, 200_006, 200_007]]


@pytest.mark.parametrize("cut", [2, 1], ids=["behind an id that never came", "behind what may be the end"])
async def test_another_model_whose_ids_are_not_certain_begins_again(tmp_path: Path, vocabulary: Path, cut: int) -> None:
    frames = frames_for(WORDS)
    whole = one_by_one(frames)
    replies = [[IDS], [*whole[: len(whole) - cut - (cut == 2)], DIES], whole]
    async with fake_rig(tmp_path, vocabulary, *replies, name=ANOTHER) as rig:
        survived = await rig.complete("Hi")
    first, second = _posted(tmp_path, ANOTHER)

    assert content(survived) == PLAIN
    assert finish(survived).usage.completion_tokens == len(WORDS)
    assert first == second


async def test_an_engine_that_dies_over_the_prompt_is_asked_again(tmp_path: Path, vocabulary: Path) -> None:
    replies = [[DIES], [IDS], one_by_one(frames_for(WORDS))]
    async with fake_rig(tmp_path, vocabulary, *replies, name=ANOTHER) as rig:
        assert content(await rig.complete("Hi")) == PLAIN


async def test_an_engine_that_dies_again_and_again_is_given_up(
    tmp_path: Path, vocabulary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_rig(tmp_path, vocabulary, [{"print": "out of luck"}, DIES]) as rig:
        with pytest.raises(EngineFailure, match="exited with code 9") as raised:
            await rig.complete()
    assert "out of luck" in caplog.text
    assert "out of luck" not in raised.value.message


async def test_the_middle_is_filled_in_by_the_engine(tmp_path: Path, vocabulary: Path) -> None:
    frames = frames_for(WORDS, prompt_tokens=12, cached=3)
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames), name=ANOTHER) as rig:
        events = await rig.complete("def f(", suffix="):\n")
    (request,) = requests_of(tmp_path / f"{ANOTHER}.gguf")

    assert request["path"] == "/infill"
    assert (request["body"]["input_prefix"], request["body"]["input_suffix"]) == ("def f(", "):\n")
    assert "prompt" not in request["body"]
    assert (content(events), finish(events).usage) == (PLAIN, Usage(12, len(WORDS), cached_tokens=3))


@pytest.mark.parametrize(
    ("error", "more", "param"),
    [
        ({"code": 501, "message": "Infill is not supported", "type": "not_supported_error"}, {"suffix": "x"}, "suffix"),
        ({"code": 400, "message": "Prompt contains invalid tokens", "type": "invalid_request_error"}, {}, "prompt"),
        (
            {"code": 400, "message": "failed to parse grammar", "type": "invalid_request_error"},
            {"grammar": "x"},
            "grammar",
        ),
    ],
)
async def test_refusals_of_the_engine_name_the_field(
    tmp_path: Path, vocabulary: Path, error: dict[str, Any], more: dict[str, Any], param: str
) -> None:
    async with fake_rig(tmp_path, vocabulary, [{"status": error["code"], "body": {"error": error}}]) as rig:
        with pytest.raises(BadRequest, match=error["message"]) as caught:
            await rig.complete(**more)

    assert caught.value.param == param


async def test_any_other_error_of_the_engine_stays_one(tmp_path: Path, vocabulary: Path) -> None:
    error = {"code": 500, "message": "out of paper", "type": "server_error"}
    async with fake_rig(tmp_path, vocabulary, [{"status": 500, "body": {"error": error}}]) as rig:
        with pytest.raises(EngineFailure, match="out of paper"):
            await rig.complete(suffix="x", grammar="y")


@pytest.mark.parametrize("prompt", ["word " * 5_000, "a" * 600_000, (1,) * 5_000], ids=["words", "letters", "ids"])
async def test_a_prompt_that_is_too_long_is_refused(
    tmp_path: Path, vocabulary: Path, prompt: str | tuple[int, ...]
) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(ContextLengthExceeded) as caught:
            await rig.complete(prompt)

    assert caught.value.param == "prompt"
    assert _posted(tmp_path) == []


@pytest.mark.parametrize("prompt", ["", (-1,), (201_088,)])
async def test_a_prompt_that_is_none_is_refused(
    tmp_path: Path, vocabulary: Path, prompt: str | tuple[int, ...]
) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(BadRequest) as caught:
            await rig.complete(prompt)

    assert caught.value.param == "prompt"
