"""Whole turns over an engine that does what a real one will not do on demand."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, EngineUnavailable, ModelNotFound
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.events import (
    ContentDelta,
    MessageEnd,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
)
from lemonade_like.turns.request import Sampling
from tests.support.fake_llama_server import context_exceeded, one_by_one, requests_of
from tests.support.rig import busy_slots, content, fake_rig, finish, reasoning

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llama_server import Step
    from tests.support.written import Writer

ANSWER = (
    "<|channel|>analysis<|message|>Let me think 🙂 of 漢字.<|end|><|start|>assistant<|channel|>final<|message|>"
    "Here: 🙂漢字.<|return|>"
)
WEATHER = FunctionTool("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


async def test_reasoning_and_answer_are_told_apart(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as rig:
        events = await rig.ask()

    assert reasoning(events) == "Let me think 🙂 of 漢字."
    assert content(events) == "Here: 🙂漢字."
    assert finish(events).reason == "stop"


async def test_tokens_are_counted_although_their_ids_get_lost(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(ANSWER, prompt_tokens=50, cached=40)
    reasoned = next(frame for frame in frames if frame["content"] == "<|end|>")["tokens_predicted"] - 4
    sent = [frame for frame in frames if "prompt_progress" not in frame and not frame["stop"]]
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        usage = finish(await rig.ask()).usage

    assert len(sent) < usage.completion_tokens == frames[-1]["tokens_predicted"]
    assert usage.reasoning_tokens == reasoned
    assert usage.cached_tokens == 40


async def test_all_frames_in_one_read_give_the_same_answer(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames(ANSWER)
    async with fake_rig(tmp_path, vocabulary, [{"frames": frames}], one_by_one(frames)) as rig:
        at_once, one_each = await rig.ask(), await rig.ask()

    assert (content(at_once), reasoning(at_once)) == (content(one_each), reasoning(one_each))


async def test_a_call_comes_with_name_id_and_arguments(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    written = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"東京"}<|call|>'
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(written))) as rig:
        events = await rig.ask(tools=(WEATHER,))

    start = next(event for event in events if isinstance(event, ToolCallStart))
    assert (start.index, start.name) == (0, "get_weather")
    assert start.id.startswith("call_")
    pieces = [event.text for event in events if isinstance(event, ToolCallArgumentsDelta)]
    assert "".join(pieces) == '{"city":"東京"}'
    assert len(pieces) > 1
    assert finish(events).reason == "tool_calls"


async def test_what_comes_after_a_stop_token_is_kept(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames("<|channel|>final<|message|>Done.<|return|>More<|return|>")
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        assert content(await rig.ask()) == "Done.\nMore"


async def test_a_cut_answer_says_length(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames("<|channel|>final<|message|>Once upon", stop_type="limit")
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        events = await rig.ask(max_tokens=5)

    assert (content(events), finish(events).reason) == ("Once upon", "length")


async def test_a_stop_string_ends_the_turn_on_the_engine(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames("<|channel|>final<|message|>one two three four<|return|>")
    reply: list[Step] = [*one_by_one(frames[:7]), {"hang": True}]
    async with fake_rig(tmp_path, vocabulary, reply) as rig:
        events = await rig.ask(stop=("two",))

    assert content(events) == "one "
    assert finish(events).reason == "stop"
    assert finish(events).stop_string == "two"


async def test_mended_output_is_counted(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    frames = writer.frames("<|channel|>analysis<|message|>a<|start|>assistant<|channel|>final<|message|>b<|return|>")
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames)) as rig:
        assert finish(await rig.ask()).recovered == {"missing_end": 1}


async def test_raw_messages_come_with_the_events(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as rig:
        raw = [event.message for event in await rig.ask() if isinstance(event, MessageEnd)]

    assert [(m.channel, m.end) for m in raw] == [("analysis", "<|end|>"), ("final", "<|return|>")]


async def test_a_crash_in_the_middle_is_explained_and_the_next_turn_runs(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    steps = one_by_one(writer.frames(ANSWER))
    crash: list[Step] = [*steps[:8], {"print": "GGML_ASSERT failed: out of luck"}, {"exit": 3}]
    async with fake_rig(tmp_path, vocabulary, crash) as rig:
        seen = []
        with pytest.raises(EngineFailure, match="exited with code 3") as caught:
            async for batch in rig.turns.run(rig.request()):
                seen += batch
        assert any(isinstance(event, ReasoningDelta) for event in seen)
        assert "out of luck" not in caught.value.message

        with pytest.raises(EngineFailure, match="exited with code 3"):
            await rig.ask()
        assert rig.pool.loaded() == [] or rig.pool.loading() == []


async def test_an_engine_that_dies_while_loading_is_explained_to_all_who_wait(tmp_path: Path, vocabulary: Path) -> None:
    load: list[Step] = [{"print": "llama_model_load: error loading model: no luck"}, {"exit": 1}]
    async with fake_rig(tmp_path, vocabulary, load=load) as rig:
        results = await asyncio.gather(*(rig.ask() for _ in range(3)), return_exceptions=True)

    assert all(isinstance(result, EngineFailure) and "no luck" in result.message for result in results)


async def test_a_model_is_loaded_once_however_many_ask(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as rig:
        answers = await asyncio.gather(*(rig.ask() for _ in range(5)))
        pids = {loaded.pid for loaded in rig.pool.loaded()}

    assert {content(events) for events in answers} == {"Here: 🙂漢字."}
    assert len(pids) == 1


async def test_a_client_that_goes_away_ends_the_turn_on_the_engine(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    reply: list[Step] = [*one_by_one(writer.frames(ANSWER)[:8]), {"hang": True}]
    async with fake_rig(tmp_path, vocabulary, reply) as rig:
        async with aclosing(rig.turns.run(rig.request())) as turn:
            async for batch in turn:
                if any(isinstance(event, ReasoningDelta) for event in batch):
                    break
        async with rig.pool.lease(rig.model) as lease:
            while await busy_slots(lease.engine):
                await asyncio.sleep(0.01)


async def test_garbage_from_the_engine_is_a_failure_not_a_crash(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    reply: list[Step] = [*one_by_one(writer.frames(ANSWER)[:5]), {"raw": "data: {not json\n\n"}]
    async with fake_rig(tmp_path, vocabulary, reply) as rig:
        with pytest.raises(EngineFailure, match="is still running"):
            await rig.ask()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (context_exceeded(5_000, 4_096), ContextLengthExceeded),
        (
            {"status": 400, "body": {"error": {"code": 400, "message": "no", "type": "invalid_request_error"}}},
            BadRequest,
        ),
        ({"status": 500, "body": {"error": {"code": 500, "message": "no", "type": "server_error"}}}, EngineFailure),
        ({"frames": [{"error": {"code": 500, "message": "no", "type": "server_error"}}]}, EngineFailure),
    ],
)
async def test_a_refusal_of_the_engine_is_told_for_what_it_is(
    tmp_path: Path, vocabulary: Path, reply: Step, error: type[Exception]
) -> None:
    async with fake_rig(tmp_path, vocabulary, [reply]) as rig:
        with pytest.raises(error):
            await rig.ask()


async def test_a_prompt_that_fills_the_context_is_refused_before_the_engine_is_asked(
    tmp_path: Path, vocabulary: Path
) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(ContextLengthExceeded, match="4096"):
            await rig.ask("word " * 5_000)

    assert requests_of(tmp_path / "gpt-oss-fake.gguf") == []


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"reasoning_effort": "frantic"}, "reasoning_effort"),
        ({"messages": None}, "messages[0].content"),
    ],
)
async def test_what_cannot_be_said_in_harmony_names_the_field(
    tmp_path: Path, vocabulary: Path, more: dict[str, Any], param: str
) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        request = rig.request(**{key: value for key, value in more.items() if value is not None})
        if "messages" in more:
            image = MediaPart("image_url", {"type": "image_url"})
            request = rig.request()
            object.__setattr__(request.messages[0], "content", (image,))
        with pytest.raises(BadRequest) as caught:
            async for _ in rig.turns.run(request):
                pass

    assert caught.value.param == param


async def test_the_engine_is_asked_with_ids_and_the_sampling_of_gpt_oss(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as rig:
        await rig.ask(max_tokens=7, sampling=Sampling(seed=3, extra={"top_k": 5}))
    body = requests_of(tmp_path / "gpt-oss-fake.gguf")[0]["body"]

    assert all(isinstance(token_id, int) for token_id in body["prompt"])
    asked = {key: body[key] for key in ("temperature", "top_p", "top_k", "min_p", "seed", "n_predict", "stream")}
    assert asked == {
        "temperature": 1.0, "top_p": 1.0, "top_k": 5, "min_p": 0.0, "seed": 3, "n_predict": 7, "stream": True
    }  # fmt: skip
    assert "grammar" not in body


async def test_tools_that_may_not_be_used_are_not_offered(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as rig:
        await rig.ask()
        await rig.ask(tools=(WEATHER,), tool_choice="none")
        await rig.ask(tools=(WEATHER,))
    plain, forbidden, offered = (one["body"]["prompt"] for one in requests_of(tmp_path / "gpt-oss-fake.gguf"))

    assert plain == forbidden != offered


async def test_an_unknown_model_is_named(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        rig.model = "gpt-oss-fick"
        with pytest.raises(ModelNotFound, match="gpt-oss-fake"):
            await rig.ask()


async def test_a_closed_pool_takes_no_turns(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        await rig.pool.close()
        with pytest.raises(EngineUnavailable):
            await rig.ask()


async def test_other_models_go_through_their_own_template(tmp_path: Path, vocabulary: Path) -> None:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    call = {"index": 0, "id": "abc", "function": {"name": "f", "arguments": "{}"}}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
    frames = [
        {**chunk({"role": "assistant", "content": None}), "prompt_progress": {"total": 9, "cache": 2, "processed": 9}},
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hi."}),
        chunk({"tool_calls": [call]}),
        chunk({}, "tool_calls"),
        {"choices": [], "usage": usage, "timings": {"cache_n": 2}},
    ]
    steps: list[Step] = [*one_by_one(frames), {"raw": "data: [DONE]\n\n"}]
    async with fake_rig(tmp_path, vocabulary, steps, name="some-model") as rig:
        events = await rig.ask(sampling=Sampling(temperature=0.0))

    assert (reasoning(events), content(events), finish(events).reason) == ("hm", "Hi.", "tool_calls")
    assert [event for event in events if isinstance(event, ToolCallStart)] == [ToolCallStart(0, "abc", "f")]
    assert (finish(events).usage.prompt_tokens, finish(events).usage.cached_tokens) == (9, 2)
    sent = requests_of(tmp_path / "some-model.gguf")[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"]["messages"] == [{"role": "user", "content": "Hello"}]
    assert any(isinstance(event, ContentDelta) for event in events)


async def test_the_next_turn_of_a_tool_loop_replays_what_was_generated(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    called = (
        "<|channel|>analysis<|message|>Ich sehe nach 🙂.<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"東京"}<|call|>'
    )
    replies = [one_by_one(writer.frames(called)), one_by_one(writer.frames(ANSWER))]
    async with fake_rig(tmp_path, vocabulary, *replies) as rig:
        events = await rig.ask(tools=(WEATHER,))
        start = next(event for event in events if isinstance(event, ToolCallStart))
        call = ToolCall(start.id, start.name, '{"city":"東京"}')
        question = rig.request(tools=(WEATHER,))
        for thoughts in (None, "Ich sehe nach 🙂."):
            grown = (
                *question.messages,
                ChatMessage("assistant", reasoning=thoughts, tool_calls=(call,)),
                ChatMessage("tool", (TextPart("sunny"),), tool_call_id=call.id),
            )
            for owner in ("", "somebody else"):
                async for _ in rig.turns.run(replace(question, messages=grown, owner=owner)):
                    pass
    first, forgetful, stranger, faithful, _ = (
        one["body"]["prompt"] for one in requests_of(tmp_path / "gpt-oss-fake.gguf")
    )

    generated = writer.ids(called)
    assert forgetful[: len(first) + len(generated)] == [*first, *generated]
    assert faithful == forgetful != stranger
