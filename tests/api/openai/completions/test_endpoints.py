"""POST /completions over a real connection, and what its answers look like."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from openai.types import Completion

from lemonade_like.errors import EngineFailure, ModelNotFound
from lemonade_like.turns.events import ContentDelta, Finish, Progress, TokenLogprob, Usage
from tests.api.openai.test_writer import objects
from tests.support.server import serving
from tests.support.turns import ScriptedTurns, Step, client_of, scripted_app, scripted_services

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "tiny", "prompt": "Hi"}
#: Two of the tokens in the place of the first are spelled alike; those in the place of the second are no text.
HALF = TokenLogprob("🙂", list("🙂".encode()), -0.5, [("��", [0x99, 0x82], -0.5), ("\ufffd", [0xF0], -2.0)], offset=3)
WORD = TokenLogprob("Hel", [72, 101, 108], -1.0, [("Hel", [72], -1.0), ("x", [1], -2.0), ("x", [2], -3.0)])
SCRIPT: list[Step] = [
    [Progress("loading"), Progress("prefill", 1, 3)],
    [ContentDelta("Hel", None, [WORD])],
    [ContentDelta("🙂", None, [HALF]), Finish("length", Usage(3, 2, 0, 1), timings={"prompt_ms": 1.5})],
]


async def ask(script: list[Step] | None = None, **fields: Any) -> httpx.Response:
    turns = ScriptedTurns(SCRIPT if script is None else script)
    async with client_of(scripted_app(scripted_services(turns))) as client:
        return await client.post(PATH, json={**BODY, **fields})


@pytest.mark.parametrize("path", [PATH, f"/api{PATH}"])
async def test_a_whole_answer(path: str) -> None:
    async with client_of(scripted_app(scripted_services(ScriptedTurns(SCRIPT)))) as client:
        answer = (await client.post(path, json=BODY)).json()

    Completion.model_validate(answer, strict=True)
    assert answer.pop("id").startswith("cmpl-")
    assert isinstance(answer.pop("created"), int)
    assert answer == {
        "object": "text_completion",
        "model": "tiny",
        "system_fingerprint": "lemonade-like-1.2.3",
        "choices": [{"text": "Hel🙂", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "timings": {"prompt_ms": 1.5},
    }


async def test_log_probabilities_are_lists_side_by_side() -> None:
    choice = (await ask(logprobs=2)).json()["choices"][0]

    assert choice["logprobs"] == {
        "tokens": ["Hel", "🙂"],
        "token_logprobs": [-1.0, -0.5],
        "top_logprobs": [
            {"Hel": -1.0, "x": -2.0},
            {"bytes:\\x99\\x82": -0.5, "bytes:\\xf0": -2.0, "🙂": -0.5},
        ],
        "text_offset": [0, 3],
    }


async def test_a_stream_ends_with_the_reason_and_the_usage() -> None:
    response = await ask(stream=True, stream_options={"include_usage": True})
    *chunks, last, done = objects(response.content)

    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["Hel", "🙂", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "length"]
    assert [chunk["choices"][0]["logprobs"] is None for chunk in chunks] == [False, False, True]
    assert all(chunk["usage"] is None and chunk["object"] == "text_completion" for chunk in chunks)
    assert (last["choices"], last["usage"]["total_tokens"], done) == ([], 5, "[DONE]")


async def test_usage_counts_each_prompt_once_and_each_completion() -> None:
    for stream in (False, True):
        answer = await ask(prompt=["a", "b"], n=3, stream=stream, stream_options={"include_usage": True})
        usage = objects(answer.content)[-2]["usage"] if stream else answer.json()["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (6, 12)
        assert usage["prompt_tokens_details"] == {"cached_tokens": 2}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_echo_stands_before_the_text(stream: bool) -> None:
    for prompt, text in (("Hi", "Hi"), ([5, 6], "tiny: [5, 6]")):
        answer = await ask(prompt=prompt, echo=True, stream=stream)
        if stream:
            written = "".join(chunk["choices"][0]["text"] for chunk in objects(answer.content)[:-1])
        else:
            written = answer.json()["choices"][0]["text"]
        assert written == f"{text}Hel🙂"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("echo", [False, True])
async def test_what_goes_wrong_first_has_its_own_status(stream: bool, echo: bool) -> None:
    answer = await ask([[Progress("loading")], ModelNotFound("who?", param="model")], stream=stream, echo=echo)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_what_goes_wrong_later_ends_the_stream() -> None:
    answer = await ask([[ContentDelta("Hel", None)], EngineFailure("died")], stream=True)
    *_, error, done = objects(answer.content)

    assert (answer.status_code, error["error"]["message"], done) == (200, "died", "[DONE]")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_every_completion(stream: bool) -> None:
    turns = ScriptedTurns([[ContentDelta("Hel", None)], asyncio.Event()])
    async with serving(scripted_app(scripted_services(turns))) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(client.post(PATH, json={**BODY, "prompt": ["a"] * 30, "stream": stream}))
        await turns.waiting.wait()
        asking.cancel()
        await asyncio.wait_for(turns.closed.wait(), 10)
    assert turns.cancelled > 0


async def test_no_more_run_at_once_than_may() -> None:
    turns = ScriptedTurns([[ContentDelta("Hel", None)], asyncio.Event()])
    async with serving(scripted_app(scripted_services(turns))) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(client.post(PATH, json={**BODY, "prompt": ["a"] * 30}))
        await turns.waiting.wait()
        assert turns.playing <= 16
        asking.cancel()
        await asyncio.wait_for(turns.closed.wait(), 10)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": "tiny"}', b'{"prompt": "x"}', b"[" * 10_000])
async def test_a_body_that_is_none_is_explained(body: bytes) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(PATH, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_long_lists_of_ids_are_taken() -> None:
    body = orjson.dumps({**BODY, "prompt": list(range(1_000_000))})
    async with client_of(scripted_app()) as client:
        assert (await client.post(PATH, content=body)).status_code == 200
        assert (await client.post(PATH, content=body.replace(b"[0,", b"[" + b"0," * 100_000))).status_code == 400
