"""Recorded turns through the parser of today, and what cannot be run again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart, ToolCall
from lemonade_like.turns.events import ToolCallStart
from lemonade_like.turns.recorded.replay import CannotReplay, NoRecord, parse_again, read_record, run_again
from lemonade_like.turns.request import CompletionRequest
from tests.support.fake_llama_server import one_by_one, requests_of
from tests.support.record import line, record
from tests.support.recordings import recording
from tests.support.rig import content, fake_rig

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.written import Writer

ANSWER = (
    "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>It is 4.<|return|>"
)


async def test_what_a_turn_was_made_of_is_what_the_parser_makes_of_it_again(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    written = [
        ANSWER,
        "<|channel|>analysis<|message|>a<|start|>assistant<|channel|>final<|message|>b<|return|>",
        "no header at all",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "",
    ]
    async with fake_rig(tmp_path, vocabulary, *(one_by_one(writer.frames(each)) for each in written)) as plain:
        rig, kept = recording(plain)
        for _ in written:
            await rig.ask()
    replayed = [parse_again(recorded) for recorded in kept.records()]
    assert [one.difference for one in replayed] == [None] * len(written)
    assert {one.verdict for one in replayed} == {"same"}


def test_a_parser_that_reads_it_differently_is_noticed(encoder: HarmonyEncoding) -> None:
    # As if an older parser had lost the answer to the reasoning.
    told = [{"type": "reasoning", "at": 1.0, "text": "Two and two.It is 4.", "pieces": 2}]
    found = parse_again(record(ANSWER, encoder, events=told)).difference
    assert found is not None
    assert (found.what, found.before, found.recorded, found.now) == ("reasoning", "Two and two.", "It is 4.", "")


def test_a_marker_that_was_only_text_stays_text(encoder: HarmonyEncoding) -> None:
    parts = [tokens.CHANNEL, "final", tokens.MESSAGE, "Say <|end|> now", tokens.RETURN]
    text = "<|channel|>final<|message|>Say <|end|> now<|return|>"
    output = {"exact": True, "ids": [1], "tokens": 8, "text": text, "parts": parts}
    now = parse_again(record(ANSWER, encoder, output=output)).now
    assert [event["text"] for event in now.events if event["type"] == "content"] == ["Say <|end|> now"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"payload": None, "prompt": None, "output": None, "outcome": "failed"}, "its engine was never asked"),
        ({"prompt": None, "output": None}, "its engine has parsed it"),
    ],
)
def test_what_has_no_output_cannot_be_parsed_and_says_why(
    encoder: HarmonyEncoding, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(CannotReplay, match=why):
        parse_again(record(ANSWER, encoder, **changes))


@pytest.mark.parametrize("name", ["gpt-oss-fake", "other-fake"])
async def test_a_raw_completion_is_run_again_from_its_ids(
    tmp_path: Path, vocabulary: Path, writer: Writer, name: str
) -> None:
    frames = writer.frames("Once <|end|> upon<|return|>")
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames), name=name) as plain:
        rig, kept = recording(plain)
        request = CompletionRequest(rig.model, (5, 6, 7), max_tokens=30, stop=("END",), owner="ab12", client="10.0.0.1")
        events = [event async for batch in rig.turns.complete(request) for event in batch]
        (recorded,) = kept.records()
        async with rig.pool.lease(rig.model) as lease:
            replayed = await run_again(recorded, lease)
    asked = [one["body"] for one in requests_of(tmp_path / f"{name}.gguf") if one["path"] == "/completion"]
    assert recorded.request == replace(request, owner="", client="")
    assert recorded.prompt is not None and recorded.output is not None
    assert (recorded.prompt.ids, recorded.prompt.system) == ([5, 6, 7], None)
    assert (recorded.prompt.text is None) == (name == "other-fake")
    assert content(events) in recorded.output.text
    assert replayed.verdict == "same"
    assert asked == [asked[0], {**asked[0], "cache_prompt": False}]
    with pytest.raises(CannotReplay, match="raw completion"):
        parse_again(recorded)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "no JSON"),
        (b"[]", "no recorded turn"),
        (b"{}", "no recorded turn"),
        (b'{"schema": 2}', "of version 2; this program reads version 1"),
        (b'{"schema": 1}', "no whole recorded turn"),
        (b"\xff", "no JSON"),
    ],
)
def test_a_line_that_is_no_recorded_turn_says_so(text: bytes, why: str) -> None:
    with pytest.raises(NoRecord, match=why):
        read_record(text)


def test_a_wrong_field_is_named(encoder: HarmonyEncoding) -> None:
    plain = json.loads(line(ANSWER, encoder))
    plain["request"]["messages"][0]["role"] = "nobody"
    with pytest.raises(NoRecord, match=r"request\.TurnRequest\.messages\.0\.role"):
        read_record(json.dumps(plain).encode())


@given(
    damage=st.dictionaries(
        st.sampled_from(["schema", "request", "prompt", "payload", "output", "events", "usage", "outcome", "model"]),
        st.sampled_from([None, [], {}, "", 0, "x", [1], {"a": 1}, [{"a": 1}], [{"type": "message"}]]),
        min_size=1,
    )
)
def test_no_damage_is_more_than_a_line_that_is_left_out(encoder: HarmonyEncoding, damage: dict[str, Any]) -> None:
    try:
        parse_again(read_record(json.dumps(json.loads(line(ANSWER, encoder)) | damage).encode()))
    except (NoRecord, CannotReplay):
        return


async def test_it_is_run_with_the_recorded_ids_and_seed_and_without_the_cache(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    frames = writer.frames(ANSWER)
    async with fake_rig(tmp_path, vocabulary, one_by_one(frames), one_by_one(frames)) as plain:
        rig, kept = recording(plain)
        await rig.ask()
        (recorded,) = kept.records()
        async with rig.pool.lease(rig.model) as lease:
            replayed = await run_again(recorded, lease)
            anew = await run_again(recorded, lease, rendered_for="separate")
    asked = [one["body"] for one in requests_of(tmp_path / "gpt-oss-fake.gguf")]
    assert (replayed.verdict, anew.verdict) == ("same", "same")
    assert [one["cache_prompt"] for one in asked] == [True, False, False]
    assert all(one == {**asked[0], "cache_prompt": False} for one in asked[1:])


async def test_a_prompt_that_is_rendered_differently_now_is_told(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER))) as plain:
        rig, kept = recording(plain)
        await rig.ask("Hello")
        (recorded,) = kept.records()
        assert recorded.prompt is not None
        other = (recorded.prompt.text or "").replace("Reasoning: medium", "Reasoning: some")
        prompt = recorded.prompt.model_copy(update={"text": other, "ids": [*recorded.prompt.ids[:-3], 5]})
        async with rig.pool.lease(rig.model) as lease:
            anew = await run_again(recorded.model_copy(update={"prompt": prompt}), lease, rendered_for="separate")
    assert anew.verdict == "different"
    assert anew.difference is None
    assert anew.prompt_difference is not None
    assert anew.prompt_difference.what == "prompt"
    assert anew.prompt_difference.before.endswith("Reasoning: ")


async def test_a_turn_with_remembered_reasoning_renders_to_the_same_prompt(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    call = (
        "<|channel|>analysis<|message|>I must look.<|end|><|start|>assistant<|channel|>commentary to=functions.f "
        "<|constrain|>json<|message|>{}<|call|>"
    )
    replies = [one_by_one(writer.frames(text)) for text in (call, ANSWER, ANSWER)]
    async with fake_rig(tmp_path, vocabulary, *replies) as plain:
        rig, kept = recording(plain)
        tools = (FunctionTool("f"),)
        (start,) = (one for one in await rig.ask(tools=tools) if isinstance(one, ToolCallStart))
        chat = (
            ChatMessage("user", (TextPart("Hello"),)),
            ChatMessage("assistant", tool_calls=(ToolCall(start.id, "f", "{}"),), index=1),
            ChatMessage("tool", (TextPart("4"),), tool_call_id=start.id, index=2),
        )
        await rig.ask(messages=chat, tools=tools)
        recorded = kept.records()[1]
        async with rig.pool.lease(rig.model) as lease:
            anew = await run_again(recorded, lease, rendered_for="separate")
    assert recorded.prompt is not None
    assert "I must look." in (recorded.prompt.text or "")
    assert recorded.prompt.system is not None
    assert [one.place for one in recorded.prompt.system.recalled] == [1]
    assert anew.verdict == "same"
