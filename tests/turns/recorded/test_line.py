"""What is recorded of a turn, whichever way it ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import BadRequest, EngineFailure, ModelNotFound, ServerError
from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.events import Event, ToolCallStart
from lemonade_like.turns.recorded.replay import read_record
from lemonade_like.turns.recorded.schema import Record
from lemonade_like.turns.request import ResponseFormat, Sampling, ToolServerUse, TurnRequest
from tests.support.fake_llama_server import one_by_one, requests_of
from tests.support.recordings import recording
from tests.support.rig import content, fake_rig, reasoning

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.fake_llama_server import Step
    from tests.support.written import Writer

ANSWER = (
    "<|channel|>analysis<|message|>Let me think 🙂 of 漢字.<|end|><|start|>assistant<|channel|>final<|message|>"
    "Here: 🙂漢字.<|return|>"
)
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"東京"}<|call|>'
WEATHER = FunctionTool("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def _asked(record: Record) -> str:
    assert isinstance(record.request, TurnRequest)
    return record.request.messages[0].text


async def _recorded(
    folder: Path, vocabulary: Path, reply: list[Step], **request: Any
) -> tuple[Record, dict[str, Any], list[Event]]:
    """The record of one turn over the fake, the line as it is, and the events that the client got."""
    async with fake_rig(folder, vocabulary, reply) as plain:
        rig, kept = recording(plain)
        try:
            events = await rig.ask(**request)
        except ServerError:
            events = []
        (record,), (line,) = kept.records(), kept.lines()
    return record, json.loads(line), events


async def test_a_line_has_the_request_the_prompt_what_was_posted_and_what_came_back(
    tmp_path: Path, vocabulary: Path, writer: Writer, encoder: HarmonyEncoding
) -> None:
    reply = one_by_one(writer.frames(ANSWER, prompt_tokens=50, cached=40))
    record, line, events = await _recorded(tmp_path, vocabulary, reply, owner="ab12", client="ab12 10.0.0.1")
    (posted,) = (asked["body"] for asked in requests_of(tmp_path / "gpt-oss-fake.gguf"))

    assert set(line) == {field.alias or name for name, field in Record.model_fields.items()}
    assert line["schema"] == 1
    assert (record.id, record.endpoint, record.server) == ("req_0", "/v1/chat/completions", "1.2.3")
    assert record.prompt is not None and record.payload is not None and record.output is not None
    assert record.prompt.ids == posted["prompt"]
    assert record.prompt.text == encoder.decode(posted["prompt"])
    assert record.prompt.system is not None
    assert record.prompt.system.current_date == "2026-07-01"
    assert record.payload.items() <= posted.items()
    assert record.payload["seed"] == posted["seed"]
    assert "prompt" not in record.payload
    assert record.output.text == ANSWER
    assert record.output.exact
    assert record.output.ids is not None
    assert record.output.tokens == len(record.output.ids)
    assert encoder.decode(record.output.ids) == ANSWER
    told = {event["type"]: event.get("text") for event in record.events}
    assert (told["reasoning"], told["content"]) == (reasoning(events), content(events))
    assert (record.outcome, record.finish_reason) == ("finished", "stop")
    assert record.usage is not None
    assert record.usage.cached_tokens == 40
    assert record.model is not None and record.engine is not None
    assert record.model.path == str(tmp_path / "gpt-oss-fake.gguf")
    assert record.model.bytes == (tmp_path / "gpt-oss-fake.gguf").stat().st_size
    assert record.engine.backend == "system"
    assert 0 < (record.first_token_seconds or 0) <= record.seconds
    assert record.owner == "ab12"
    assert "10.0.0.1" not in json.dumps(line)


async def test_the_request_comes_back_as_it_was(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    asked: dict[str, Any] = {
        "messages": (
            ChatMessage("user", (TextPart("Weather?"),), name="ann", index=0),
            ChatMessage("assistant", (), reasoning="Hm.", tool_calls=(ToolCall("c1", "get_weather", "{}"),), index=1),
            ChatMessage("tool", (TextPart("fine"),), tool_call_id="c1", index=2),
        ),
        "tools": (WEATHER,),
        "allowed_tools": frozenset({"get_weather"}),
        "response_format": ResponseFormat("answer", {"type": "object"}),
        "sampling": Sampling(temperature=0.5, seed=7, extra={"top_k": 3, "logit_bias": [[5, -1.0]]}),
        "stop": ("END",),
        "reasoning_effort": "low",
        "server_calls": MappingProxyType({"c1": ("lab", "get_weather")}),
        "tool_servers": (ToolServerUse("lab", frozenset({"f"})),),
        "on_slot": lambda: None,
    }
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as plain:
        rig, kept = recording(plain)
        request = rig.request(**asked)
        [event async for batch in rig.turns.run(request) for event in batch]
    assert kept.records()[0].request == request


async def test_a_call_is_one_event_with_its_arguments(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    record, _, events = await _recorded(tmp_path, vocabulary, one_by_one(writer.frames(CALL)), tools=(WEATHER,))
    (call,) = (event for event in record.events if event["type"] == "tool_call")
    (start,) = (event for event in events if isinstance(event, ToolCallStart))
    assert (call["id"], call["name"], call["arguments"]) == (start.id, "get_weather", '{"city":"東京"}')
    assert call["pieces"] > 1
    assert record.finish_reason == "tool_calls"


async def test_ids_that_cannot_be_told_are_not_told_but_the_text_is(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    frames = writer.frames("<|channel|>final<|message|>Hello there<|return|>")
    lost = next(frame for frame in frames if frame["content"] == "Hello")
    lost["tokens"] = []
    for frame in frames[frames.index(lost) :]:
        if "tokens_predicted" in frame:
            frame["tokens_predicted"] += 3
    record, line, _ = await _recorded(tmp_path, vocabulary, one_by_one(frames))
    assert line["output"]["ids"] is None
    assert line["output"]["exact"] is False
    assert line["output"]["text"] == "<|channel|>final<|message|>Hello there<|return|>"
    assert record.output is not None


async def test_a_marker_that_is_only_text_is_told_apart(
    tmp_path: Path, vocabulary: Path, writer: Writer, encoder: HarmonyEncoding
) -> None:
    frames = writer.frames("<|channel|>final<|message|>Say X now<|return|>")
    place = next(place for place, frame in enumerate(frames) if frame["content"] == " X")
    frames[place]["content"] = " <|end|>"
    _, line, events = await _recorded(tmp_path, vocabulary, one_by_one(frames))
    assert content(events) == "Say <|end|> now"
    assert line["output"]["parts"] == [
        *(tokens.CHANNEL, "final", tokens.MESSAGE),
        *("Say <|end|> now", tokens.RETURN),
    ]


async def test_a_turn_that_fails_on_its_way_is_recorded_as_far_as_it_came(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    reply: list[Step] = [*one_by_one(writer.frames(ANSWER)[:8]), {"print": "out of luck"}, {"exit": 3}]
    async with fake_rig(tmp_path, vocabulary, reply) as plain:
        rig, kept = recording(plain)
        with pytest.raises(EngineFailure):
            await rig.ask()
    (record,) = kept.records()
    assert record.outcome == "failed"
    assert record.error is not None
    assert "exited with code 3" in record.error.message
    assert record.error.code == "engine_failure"
    assert record.output is not None
    assert record.output.text.startswith("<|channel|>analysis<|message|>Let me think")
    assert record.output.tokens > 0
    assert (record.usage, record.finish_reason) == (None, None)


async def test_a_turn_that_its_client_leaves_is_recorded_as_cancelled(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    reply: list[Step] = [*one_by_one(writer.frames(ANSWER)[:8]), {"hang": True}]
    async with fake_rig(tmp_path, vocabulary, reply) as plain:
        rig, kept = recording(plain)
        async with aclosing(rig.turns.run(rig.request())) as turn:
            async for batch in turn:
                if reasoning(batch):
                    break

        left, seen = asyncio.Event(), asyncio.Event()

        async def ask() -> None:
            async for batch in rig.turns.run(rig.request()):
                if reasoning(batch):
                    seen.set()
                    await left.wait()

        task = asyncio.create_task(ask())
        await seen.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while len(kept.tapes) < 2:
            await asyncio.sleep(0)
    for record in kept.records():
        assert record.outcome == "cancelled"
        assert record.error is None
        assert record.output is not None
        assert record.output.text.startswith("<|channel|>analysis<|message|>Let")


async def test_a_client_that_leaves_with_the_whole_answer_has_not_cancelled_it(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as plain:
        rig, kept = recording(plain)
        async with aclosing(rig.turns.run(rig.request())) as turn:
            async for batch in turn:
                if type(batch[-1]).__name__ == "Finish":
                    break
    assert kept.records()[0].outcome == "finished"


async def test_what_never_came_to_an_engine_is_recorded_with_why(tmp_path: Path, vocabulary: Path) -> None:
    image = (ChatMessage("user", (MediaPart("image_url", {"type": "image_url"}),)),)
    async with fake_rig(tmp_path, vocabulary) as plain:
        rig, kept = recording(plain)
        with pytest.raises(ModelNotFound):
            async for _ in rig.turns.run(replace(rig.request(), model="nobody")):
                pass
        with pytest.raises(BadRequest):
            await rig.ask(messages=image)
        with pytest.raises(BadRequest):
            await rig.ask(reasoning_preset="nonsense")
    unknown, unreadable, preset = kept.records()
    assert {record.outcome for record in (unknown, unreadable, preset)} == {"failed"}
    assert unknown.error is not None and unknown.error.code == "model_not_found"
    assert (unknown.model, unknown.prompt, unknown.payload, unknown.output) == (None, None, None, None)
    assert unreadable.model is not None
    assert isinstance(unreadable.request, TurnRequest)
    assert unreadable.request.messages == image
    assert preset.error is not None and preset.error.param == "reasoning_preset"


@pytest.mark.parametrize("odd", ["half a pair: \ud83d", 2**70])
async def test_what_orjson_cannot_write_is_written_all_the_same(
    tmp_path: Path, vocabulary: Path, writer: Writer, odd: Any
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as plain:
        rig, kept = recording(plain)
        tool = FunctionTool("f", "", {"type": "object", "properties": {"a": {"default": odd}}})
        await rig.ask(tools=(tool,), tool_choice="none")
        (line,) = kept.lines()
    assert line.count(b"\n") == 1
    request = read_record(line).request
    assert isinstance(request, TurnRequest)
    parameters = request.tools[0].parameters
    assert parameters is not None
    assert parameters["properties"]["a"]["default"] == odd


async def test_turns_side_by_side_have_each_their_own(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as plain:
        rig, kept = recording(plain)
        await plain.ask()
        assert kept.tapes == []
        await asyncio.gather(*(rig.ask(f"Number {number}") for number in range(6)))
    records = [read_record(line) for line in kept.lines()]
    asked = sorted(map(_asked, records))
    assert asked == [f"Number {number}" for number in range(6)]
    for record in records:
        assert record.prompt is not None
        assert _asked(record) in (record.prompt.text or "")
    assert len({record.turn for record in records}) == 6
