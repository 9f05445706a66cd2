"""Everything that the bundled model knows, asked of a real server: streamed and whole are the same, and are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from scripts.tiny_gpt_oss.corpus import KNOWN, MISBEHAVIOURS, KnownPrompt

from tests.support.answers import Answer, streamed, whole
from tests.support.completions import parts_of
from tests.support.tools import WEATHER

if TYPE_CHECKING:
    import openai

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.library import Reference

_TOKYO = ["get_weather", '{"location":"Tokyo"}']

#: What a client should see of each misbehaviour. Nothing that the model says to the user may be missing.
MENDED = {
    "missing-start": Answer("The next start token is lost.", "The start token is missing before this."),
    "missing-role": Answer("The next role is lost.", "The role is missing before this."),
    "missing-message": Answer("The next message token is lost.", " The message token is missing here."),
    "missing-end": Answer("This thought has no end token.", "The end token is missing before this."),
    "second-channel": Answer("I name two channels.", "Two channels."),
    "constrained-final": Answer("I constrain the answer.", '{"shape":"odd"}'),
    "recipient-in-the-role-header": Answer("The recipient stands first.", calls=[_TOKYO]),
    "recipient-in-the-channel-header": Answer("The recipient stands later.", calls=[_TOKYO]),
    "bare-recipient": Answer("The recipient is short.", calls=[_TOKYO]),
    "broken-arguments": Answer("The arguments break off.", calls=[["get_weather", '{"location": "Tok']]),
    "glued-arguments": Answer("The arguments stick to the header.", calls=[_TOKYO]),
    "unknown-channel": Answer("I use a channel of my own.", "This channel is unknown."),
    "python-in-analysis": Answer("I want to compute."),
    "no-header": Answer("", "There is no header at all before this."),
    "no-header-after-reasoning": Answer("The header is lost.", "There is no header before this."),
    "invented-user": Answer("", "I answer, and then I ask myself.\nNobody asked this."),
    "invented-result": Answer("I invent a result.", "The tool was never run.", calls=[_TOKYO]),
    "stray-constrain": Answer("A token goes astray.", "Before  and after."),
    "two-answers": Answer("I answer twice.", "The first answer.\nThe second answer."),
    "only-reasoning": Answer("I think, and I never answer."),
}


def _request(prompt: KnownPrompt) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": "tiny-gpt-oss",
        "messages": prompt.messages,
        "temperature": 0,
        "max_tokens": 600,
    }
    if prompt.tools:
        request["tools"] = prompt.tools
    if prompt.reasoning_effort:
        request["reasoning_effort"] = prompt.reasoning_effort
    return request


def _both(client: openai.OpenAI, request: dict[str, Any]) -> Answer:
    """The answer, which must be the same streamed and whole."""
    at_once = whole(client.chat.completions.create(**request))
    in_pieces = streamed(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    assert in_pieces == at_once
    assert in_pieces.usage is not None and at_once.usage is not None
    for counted in ("prompt_tokens", "completion_tokens", "completion_tokens_details"):
        assert in_pieces.usage[counted] == at_once.usage[counted]
    return at_once


def _expected(prompt: KnownPrompt, reference: Reference, encoder: HarmonyEncoding) -> Answer:
    """What openai-harmony's own parser makes of the completion."""
    assert prompt.completion is not None
    if prompt.reasoning_effort == "none" and not prompt.tools:
        return Answer(content=prompt.completion.removesuffix("<|return|>"), finish_reason="stop")
    ids: list[int] = []
    for piece in _without_literals(prompt):
        ids += encoder.encode(piece) if isinstance(piece, str) else [piece]
    answer = Answer(finish_reason="stop")
    reasoning, content = [], []
    for message in reference.parse(ids):
        if message["recipient"]:
            answer.calls.append([message["recipient"].removeprefix("functions."), message["content"]])
            answer.finish_reason = "tool_calls"
        else:
            (reasoning if message["channel"] == "analysis" else content).append(message["content"])
    answer.reasoning, answer.content = "\n".join(reasoning), "\n".join(content)
    return answer


def _without_literals(prompt: KnownPrompt) -> list[str | int]:
    """The completion's parts, with what is only spelled like a control token kept as text."""
    written = prompt.completion or ""
    pieces: list[str | int] = []
    for literal in prompt.literal:
        before, _, written = written.partition(literal)
        pieces += [*parts_of(before), literal]
    return [*pieces, *parts_of(written)]


@pytest.mark.parametrize("prompt", [p for p in KNOWN if p.completion], ids=lambda prompt: prompt.name)
def test_a_known_prompt_is_answered_by_heart(
    client: openai.OpenAI, reference: Reference, encoder: HarmonyEncoding, prompt: KnownPrompt
) -> None:
    assert _both(client, _request(prompt)) == _expected(prompt, reference, encoder)


@pytest.mark.parametrize("prompt", MISBEHAVIOURS, ids=lambda prompt: prompt.name)
def test_nothing_of_a_malformed_answer_is_lost(client: openai.OpenAI, prompt: KnownPrompt) -> None:
    expected = MENDED[prompt.name.removeprefix("misbehave-")]
    expected.finish_reason = "tool_calls" if expected.calls else "stop"

    assert _both(client, {**_request(prompt), "tools": [WEATHER]}) == expected


def test_an_endless_answer_is_cut_at_max_tokens(client: openai.OpenAI) -> None:
    song = next(prompt for prompt in KNOWN if prompt.completion is None)
    answer = _both(client, {**_request(song), "max_tokens": 400})

    assert answer.finish_reason == "length"
    assert answer.usage is not None and answer.usage["completion_tokens"] == 400
    assert answer.content.startswith(song.verse.strip())
    assert answer.content.count(song.verse.strip()) > 3
