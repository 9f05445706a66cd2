"""Engines and servers that are stopped or killed from outside, with nothing between the signal and the client."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.support.answers import Answer, Collector, streamed
from tests.support.faults import FaultyServer, faulty_server
from tests.support.processes import running_children, wait_until_gone
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to stop or kill with")

SONG: Any = {
    "model": "tiny-gpt-oss",
    "messages": [{"role": "user", "content": "Sing forever"}],
    "max_tokens": 600,
    "temperature": 0,
}
ONE_THREAD = ("--llamacpp-args", "--threads 1")


async def _stopped_after(chunks: int, server: FaultyServer, sent: signal.Signals) -> Answer:
    """The song, from an engine that gets a signal when that many chunks of it have come."""
    collector = Collector()
    async for chunk in await server.client.chat.completions.create(**SONG, stream=True):
        collector.add(chunk)
        chunks -= 1
        if chunks == 0:
            for pid in server.pids():
                os.kill(pid, sent)
    return collector.answer


async def test_a_stopped_engine_is_found_and_its_turn_goes_on_in_another(cache_dir: Path) -> None:
    async with faulty_server(cache_dir, watchdog_timeout=2) as server:
        expected = await server.ask(stream=True, **SONG)
        before = server.pids()
        assert await _stopped_after(20, server, signal.SIGSTOP) == expected
        assert server.pids() != before


@pytest.mark.parametrize("words", [6_000, pytest.param(30_000, marks=pytest.mark.nightly)])
async def test_a_long_prefill_is_not_taken_for_a_hang(
    cache_dir: Path, caplog: pytest.LogCaptureFixture, words: int
) -> None:
    # All of the prompt is one step, in which the engine answers nothing and sends nothing.
    arguments = "--threads 1 --batch-size 32768 --ubatch-size 32768"
    async with faulty_server(cache_dir, watchdog_timeout=1, llamacpp_args=arguments, parallel=1) as server:
        answer = await server.ask(
            stream=True, messages=[{"role": "user", "content": "word " * words}], max_tokens=2, model="tiny-gpt-oss"
        )
        assert answer.finish_reason == "length"
    assert not any("died" in line or "hangs" in line for line in caplog.messages)


async def test_an_engine_that_is_killed_while_it_loads_is_told_and_the_next_request_starts_it(cache_dir: Path) -> None:
    others = running_children("--alias")
    async with faulty_server(cache_dir) as server:
        asking = asyncio.create_task(server.ask(stream=False, **SONG))
        while not (engines := [child for child in running_children("--alias") if child not in others]):
            await asyncio.sleep(0)
        for engine in engines:
            engine.kill()
        with pytest.raises(openai.InternalServerError, match=r"could not load tiny-gpt-oss.*was killed by SIGKILL"):
            await asking

        assert (await server.ask(stream=False, **SONG)).finish_reason == "length"


@pytest.fixture
def client(cache_dir: Path, tmp_path: Path) -> Iterator[tuple[openai.OpenAI, Any]]:
    """A server in a process of its own, and its client."""
    with (
        (tmp_path / "server.log").open("w") as stderr,
        server_process(cache_dir, *ONE_THREAD, stderr=stderr.fileno()) as process,
        openai.OpenAI(base_url=f"{address(process)}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client, process


def _engine(client: openai.OpenAI) -> int:
    pid: int = httpx.get(f"{client.base_url}health").json()["models"][0]["pid"]
    return pid


def test_a_client_hears_a_pause_and_no_more_when_the_engine_is_killed(client: tuple[openai.OpenAI, Any]) -> None:
    sdk, _ = client
    expected = streamed(sdk.chat.completions.create(**SONG, stream=True))
    engine, collector = _engine(sdk), Collector()
    for number, chunk in enumerate(sdk.chat.completions.create(**SONG, stream=True)):
        collector.add(chunk)
        if number == 10:
            os.kill(engine, signal.SIGKILL)

    assert collector.answer == expected
    assert _engine(sdk) != engine


def test_a_server_that_is_killed_in_the_middle_of_a_turn_leaves_no_engine(client: tuple[openai.OpenAI, Any]) -> None:
    sdk, process = client
    chunks = iter(sdk.chat.completions.create(**SONG, stream=True))
    next(chunks)
    engine = _engine(sdk)
    process.kill()
    with pytest.raises((openai.APIError, httpx.HTTPError)):
        list(chunks)

    assert wait_until_gone(engine)
