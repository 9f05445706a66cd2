from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from lemonade_like.engine.client import (
    EngineClient,
    EngineConnectionLost,
    EngineResponseError,
    EventStreamDecoder,
    Frame,
)
from lemonade_like.engine.process import EngineProcess
from tests.engine.conftest import StartFake
from tests.support.fake_llama_server import context_exceeded, frames_for, one_by_one, requests_of

HELLO = frames_for([(1, b"Hel"), (2, b"lo"), (3, b"")])


async def collect(stream: Any, into: list[list[Frame]] | None = None) -> list[list[Frame]]:
    reads = [] if into is None else into
    async with aclosing(stream):
        async for frames in stream:
            reads.append(frames)
    return reads


def flat(reads: list[list[Frame]]) -> list[Frame]:
    return [frame for frames in reads for frame in frames]


def text_of(reads: list[list[Frame]]) -> str:
    return "".join(frame["content"] for frame in flat(reads))


# The decoder


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_any_cut_of_the_stream_gives_the_same_objects(end: bytes) -> None:
    lines = [
        b": a comment",
        b"",
        b"event: x",
        b'data: {"a": "\xf0\x9f\x99\x82"}',
        b"",
        b'data:{"b":',
        b"data: 2}",
        b"",
        b"",
    ]
    whole = end.join(lines) + b"data: [DONE]" + end * 2
    expected = [{"a": "🙂"}, {"b": 2}]
    assert EventStreamDecoder().feed(whole) == (expected, None)
    for size in (1, 2, 3, 7, 20):
        decoder = EventStreamDecoder()
        found: list[Frame] = []
        for start in range(0, len(whole), size):
            frames, broken = decoder.feed(whole[start : start + size])
            assert broken is None
            found += frames
        assert found == expected
        assert decoder.done


def test_what_came_before_garbage_is_kept() -> None:
    frames, broken = EventStreamDecoder().feed(b'data: {"a":1}\n\ndata: {nonsense\n\ndata: {"b":2}\n\n')
    assert frames == [{"a": 1}]
    assert broken is not None


def test_a_long_event_in_small_pieces_costs_linear_time() -> None:
    decoder = EventStreamDecoder()
    event = b'data: {"a":"' + b"x" * 400_000 + b'"}\n\n'
    pieces = [event[start : start + 10] for start in range(0, len(event), 10)]
    # Quadratic joining of 40,000 pieces copies eight gigabytes: the suite's time limit would tell.
    assert [frame for piece in pieces for frame in decoder.feed(piece)[0]] == [{"a": "x" * 400_000}]


def test_the_error_field_of_older_llama_servers_is_an_error_frame() -> None:
    assert EventStreamDecoder().feed(b'error: {"code":500,"message":"m"}\n\n') == (
        [{"error": {"code": 500, "message": "m"}}],
        None,
    )


# The client, on a real engine


async def test_a_completion_streams_progress_then_tokens_then_one_final_frame(real_engine: EngineProcess) -> None:
    frames = flat(await collect(real_engine.client.stream_completion({"prompt": [5, 6, 7], "n_predict": 4})))
    progress = [frame for frame in frames if "prompt_progress" in frame]
    tokens = [frame for frame in frames if "prompt_progress" not in frame and not frame["stop"]]
    assert progress[-1]["prompt_progress"]["processed"] == 3
    assert {tuple(frame["tokens"]) for frame in progress} == {(0,)}
    assert [frame["tokens_predicted"] for frame in tokens] == [1, 2, 3, 4]
    assert all(len(frame["tokens"]) == 1 for frame in tokens)
    assert [frame["stop"] for frame in frames].count(True) == 1
    assert frames[-1]["stop_type"] == "limit"
    assert frames[-1]["timings"]["cache_n"] + frames[-1]["timings"]["prompt_n"] == 3
    assert "prompt" not in frames[-1]


async def test_a_chat_streams_deltas_a_finish_reason_and_usage(real_engine: EngineProcess) -> None:
    payload = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    frames = flat(await collect(real_engine.client.stream_chat(payload)))
    reasons = [choice["finish_reason"] for frame in frames for choice in frame["choices"]]
    assert reasons[-1] == "length"
    assert frames[-1]["usage"]["completion_tokens"] == 3


async def test_a_token_within_a_character_sends_no_frame_and_its_id_never_comes(real_engine: EngineProcess) -> None:
    text = "🙂漢x🎉"
    payload = {"prompt": [5, 6], "n_predict": 40, "temperature": 0, "grammar": f'root ::= "{text}"'}
    frames = flat(await collect(real_engine.client.stream_completion(payload)))
    tokens = [frame for frame in frames if "prompt_progress" not in frame and not frame["stop"] and frame["content"]]
    assert [frame["content"] for frame in tokens] == list(text)
    assert all(len(frame["tokens"]) == 1 for frame in tokens)
    counts = [frame["tokens_predicted"] for frame in tokens]
    assert counts[-1] > len(tokens)

    # The fake does the same with the same text cut in the same places, in frames of the same shape.
    pieces: list[tuple[int, bytes]] = []
    for character, before, after in zip(text, [0, *counts], counts, strict=False):
        jump = after - before
        encoded = character.encode()
        pieces += [(9, encoded[position : position + 1]) for position in range(jump - 1)] + [(9, encoded[jump - 1 :])]
    fake = frames_for(pieces, prompt_tokens=2)
    fake_tokens = [frame for frame in fake if "prompt_progress" not in frame and not frame["stop"]]
    assert [(frame["content"], frame["tokens_predicted"]) for frame in fake_tokens] == [
        (frame["content"], frame["tokens_predicted"]) for frame in tokens
    ]
    assert {frozenset(frame) for frame in fake} == {frozenset(frame) for frame in frames}


async def test_a_prompt_longer_than_a_slot_is_refused_with_both_numbers(real_engine: EngineProcess) -> None:
    with pytest.raises(EngineResponseError) as refused:
        await collect(real_engine.client.stream_completion({"prompt": [5] * 600}))
    assert (refused.value.status, refused.value.type) == (400, "exceed_context_size_error")
    assert refused.value.details == {"n_prompt_tokens": 600, "n_ctx": 512}


async def test_an_error_frame_is_raised_after_the_frames_before_it(real_engine: EngineProcess) -> None:
    reads: list[list[Frame]] = []
    payload = {"prompt": [5, 6], "n_predict": 4, "grammar": "root ::= <[1]> <[2]>"}
    with pytest.raises(EngineResponseError) as failed:
        await collect(real_engine.client.stream_completion(payload), reads)
    assert failed.value.status == 500
    assert flat(reads)[-1]["tokens"] == [1]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_leaving_a_stream_frees_the_slot(
    real_engine: EngineProcess, session: aiohttp.ClientSession, how: str
) -> None:
    client = real_engine.client
    payload = {"prompt": [5, 6], "n_predict": 400, "ignore_eos": True}
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(client.stream_completion(payload)) as stream:
            async for frames in stream:
                if frames[-1]["tokens_predicted"] > 2:
                    begun.set()
                    if how == "closed":
                        return

    reading = asyncio.create_task(read())
    await begun.wait()
    if how == "cancelled":
        reading.cancel()
    await asyncio.wait({reading})

    async def until_idle() -> None:
        while True:
            async with session.get(f"{client.base_url}/slots", headers=client._headers) as response:
                if not any(slot["is_processing"] for slot in await response.json()):
                    return

    await asyncio.wait_for(until_idle(), 2)
    # It was cancelled, and did not just come to its end.
    assert "400 tokens" not in real_engine.log_tail(5)


async def test_the_engine_takes_nobody_without_its_key(
    real_engine: EngineProcess, session: aiohttp.ClientSession
) -> None:
    stranger = EngineClient(real_engine.client.base_url, "another key", session)
    assert await stranger.health()
    with pytest.raises(EngineResponseError) as refused:
        await collect(stranger.stream_completion({"prompt": [5]}))
    assert refused.value.status == 401


# The client, on what a real engine will not do on demand


async def test_all_frames_of_one_read_come_together(start_fake: StartFake) -> None:
    engine = await start_fake([{"frames": HELLO}])
    assert [len(frames) for frames in await collect(engine.client.stream_completion({}))] == [len(HELLO)]


async def test_frames_come_as_soon_as_they_are_sent(start_fake: StartFake, session: aiohttp.ClientSession) -> None:
    engine = await start_fake([{"frames": HELLO[:3]}, {"wait": True}, {"frames": HELLO[3:]}])
    stream = engine.client.stream_completion({})
    assert await anext(stream) == HELLO[:3]
    async with session.post(f"{engine.client.base_url}/__release__"):
        pass
    assert flat(await collect(stream)) == HELLO[3:]


async def test_the_prompt_arrives_untouched_and_streaming_is_forced(start_fake: StartFake) -> None:
    engine = await start_fake(one_by_one(HELLO))
    ids = list(range(200_000, 0, -1))
    await collect(engine.client.stream_completion({"prompt": ids, "stream": False}))
    [request] = requests_of(engine.spec.model_path)
    assert request["path"] == "/completion"
    assert request["body"]["prompt"] == ids
    assert all(request["body"][name] is True for name in ("stream", "return_tokens", "return_progress"))


@pytest.mark.parametrize(
    "end",
    [
        [{"drop": True}],
        [{"exit": 1}],
        [{"exit": -9}],
        [],
        [{"raw": "data: \xff\xfe{{{\n\n"}],
        [{"raw": "data: 5\n\n"}],
    ],
    ids=["dropped", "crashed", "killed", "ended early", "garbage", "no object"],
)
async def test_a_stream_that_breaks_is_a_lost_connection_after_all_that_came(
    start_fake: StartFake, end: list[dict[str, Any]]
) -> None:
    engine = await start_fake([*one_by_one(HELLO[:4]), *end])
    reads: list[list[Frame]] = []
    with pytest.raises(EngineConnectionLost):
        await collect(engine.client.stream_completion({}), reads)
    assert text_of(reads) == "Hello"


async def test_an_engine_that_breaks_after_the_final_frame_has_lost_nothing(start_fake: StartFake) -> None:
    engine = await start_fake([*one_by_one(HELLO), {"drop": True}])
    assert flat(await collect(engine.client.stream_completion({}))) == HELLO


async def test_a_refusal_keeps_the_engines_numbers(start_fake: StartFake) -> None:
    engine = await start_fake([context_exceeded(900, 512)])
    with pytest.raises(EngineResponseError) as refused:
        await collect(engine.client.stream_completion({}))
    assert refused.value.details == {"n_prompt_tokens": 900, "n_ctx": 512}


async def test_an_answer_that_is_not_json_is_quoted(start_fake: StartFake) -> None:
    engine = await start_fake([{"status": 502, "body": "<h1>Bad Gateway</h1>"}])
    with pytest.raises(EngineResponseError, match="Bad Gateway") as refused:
        await collect(engine.client.stream_completion({}))
    assert refused.value.status == 502


async def test_done_is_swallowed(start_fake: StartFake) -> None:
    chunk = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    engine = await start_fake([{"frames": [chunk]}, {"raw": "data: [DONE]\n\n"}])
    assert flat(await collect(engine.client.stream_chat({"messages": []}))) == [chunk]


async def test_an_engine_that_is_not_there_is_a_lost_connection(
    start_fake: StartFake, session: aiohttp.ClientSession
) -> None:
    engine = await start_fake()
    await engine.stop()
    assert not await engine.client.health()
    with pytest.raises(EngineConnectionLost, match="does not answer"):
        await collect(engine.client.stream_completion({}))


async def test_a_kept_connection_that_the_engine_has_dropped_is_opened_again(session: aiohttp.ClientSession) -> None:
    """llama-server closes a connection when it has been idle for a while, which may cross with the next request."""
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            served.append(await reader.readexactly(length))
            if len(served) == 2:
                break
            body = b"data: " + json.dumps(HELLO[-1]).encode() + b"\n\n"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = EngineClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "", session)
        for _ in range(2):
            assert flat(await collect(client.stream_completion({}))) == [HELLO[-1]]
    assert len(served) == 3


VECTOR = {"data": [{"embedding": "AAAAAA=="}], "usage": {"prompt_tokens": 3}}


async def test_a_whole_answer_comes_as_it_is_and_to_the_watchdog_it_is_a_stream(
    start_fake: StartFake, session: aiohttp.ClientSession
) -> None:
    engine = await start_fake([{"wait": True}, {"raw": json.dumps(VECTOR)}])
    asking = asyncio.create_task(engine.client.embeddings({"input": ["a"]}))
    while not requests_of(engine.spec.model_path):
        await asyncio.sleep(0)
    assert (engine.client.streams, engine.client.reads) == (1, 0)
    await session.post(f"{engine.client.base_url}/__release__")
    assert await asking == VECTOR
    assert (engine.client.streams, engine.client.reads) == (0, 1)
    (request,) = requests_of(engine.spec.model_path)
    assert (request["path"], request["body"]) == ("/v1/embeddings", {"input": ["a"]})


@pytest.mark.parametrize(
    "reply",
    [[{"exit": 3}], [{"raw": '{"data"'}, {"drop": True}], [{"raw": "no JSON"}]],
    ids=["the engine dies", "the answer breaks off", "the answer is no JSON"],
)
async def test_a_whole_answer_that_does_not_come_is_a_lost_connection(start_fake: StartFake, reply: Any) -> None:
    engine = await start_fake(reply)
    with pytest.raises(EngineConnectionLost):
        await engine.client.rerank({"query": "a", "documents": ["b"]})
    assert engine.client.streams == 0


async def test_a_refusal_of_a_whole_answer_keeps_the_engines_numbers(start_fake: StartFake) -> None:
    engine = await start_fake([context_exceeded(700, 512)])
    with pytest.raises(EngineResponseError) as refused:
        await engine.client.embeddings({"input": ["a"]})
    assert refused.value.details == {"n_prompt_tokens": 700, "n_ctx": 512}
    assert engine.client.streams == 0


async def test_whoever_stops_waiting_for_a_whole_answer_closes_the_connection(
    start_fake: StartFake, session: aiohttp.ClientSession
) -> None:
    engine = await start_fake([{"hang": True}])
    asking = asyncio.create_task(engine.client.embeddings({"input": ["a"]}))
    while not requests_of(engine.spec.model_path):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    # The fake is busy until its client has gone.
    while any(slot["is_processing"] for slot in json.loads(await engine.client.slots() or b"")):
        await asyncio.sleep(0)
    assert engine.client.streams == 0
