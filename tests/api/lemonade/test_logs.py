"""``GET /v1/logs/stream``."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lemonade_like.api.lemonade.logs import LogWriter
from lemonade_like.app import create_app
from lemonade_like.errors import ShuttingDown
from lemonade_like.observe.lines import Batch
from lemonade_like.settings import Settings
from tests.support.server import serving
from tests.support.turns import FakePool, client_of, scripted_app, scripted_services

LOGGER = logging.getLogger("lemonade_like.tests")


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lemonade_like")


async def entries(answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The next lines of a stream; only ``data:`` counts."""
    found: list[dict[str, Any]] = []
    async with aclosing(answer.aiter_lines()) as lines:
        async for line in lines:
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_what_was_logged_comes_first_and_then_what_is(prefix: str) -> None:
    async with serving(scripted_app()) as url, httpx.AsyncClient(base_url=url) as client:
        LOGGER.info("before")
        async with client.stream("GET", f"{prefix}/logs/stream", params={"tail": 1}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            LOGGER.info("after", extra={"facts": {"model": "m"}})
            first, second = await entries(answer, 2)
    assert (first["message"], second["message"]) == ("before", "after")
    assert (second["level"], second["logger"], second["model"]) == ("info", "lemonade_like.tests", "m")
    assert second["time"].endswith("Z")


async def test_a_stream_with_nothing_to_tell_opens_at_once() -> None:
    async with (
        serving(scripted_app()) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/v1/logs/stream?tail=0&level=error") as answer,
        aclosing(answer.aiter_lines()) as lines,
    ):
        assert await anext(lines) == ": nothing new"


async def test_a_silent_log_is_kept_alive_as_often_as_is_set() -> None:
    app = scripted_app(scripted_services(keep_alive_seconds=0.01))
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/v1/logs/stream?tail=0&level=error") as answer,
        aclosing(answer.aiter_lines()) as lines,
    ):
        # The first one is there at once, whatever is set.
        told = [line for line in [await anext(lines) for _ in range(6)] if line]
    assert told == [": nothing new"] * 3


async def test_only_the_level_asked_for_is_streamed() -> None:
    async with (
        serving(scripted_app()) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/v1/logs/stream?tail=0&level=warning") as answer,
    ):
        LOGGER.info("chatter")
        LOGGER.warning("trouble")
        assert [entry["message"] for entry in await entries(answer, 1)] == ["trouble"]


async def test_the_stream_ends_when_the_log_does() -> None:
    app: FastAPI = scripted_app()
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/v1/logs/stream?tail=0") as answer,
    ):
        LOGGER.info("goodbye")
        app.state.observation.logs.end()
        text = "".join([piece async for piece in answer.aiter_text()])
    assert '"goodbye"' in text
    assert "error" not in text


async def test_a_stream_that_the_shutdown_cuts_off_says_so() -> None:
    async with httpx.AsyncClient() as client:
        async with serving(scripted_app()) as url:
            stream = client.stream("GET", f"{url}/v1/logs/stream?tail=0")
            answer = await stream.__aenter__()
        text = "".join([piece async for piece in answer.aiter_text()])
        await stream.__aexit__(None, None, None)
    assert "event: error" in text and "shutting_down" in text


async def test_a_client_that_leaves_is_no_reader_any_more() -> None:
    app: FastAPI = scripted_app()
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("GET", "/v1/logs/stream?tail=0"):
            assert len(app.state.observation.logs._readers) == 1
        while app.state.observation.logs._readers:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("query", "param"),
    [("tail=x", "tail"), ("tail=-1", "tail"), ("tail=1001", "tail"), ("level=loud", "level"), ("level=", "level")],
)
async def test_what_cannot_be_is_refused_by_name(query: str, param: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.get(f"/v1/logs/stream?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_required_parameter"),
        ("&model=nobody", 404, "model_not_found"),
        ("&model=", 404, "model_not_found"),
        ("&model=../../etc/passwd", 404, "model_not_found"),
        ("&model=tiny-gpt-oss", 404, "model_not_loaded"),
    ],
)
async def test_an_engine_that_does_not_run_has_no_log(tmp_path: Path, query: str, status: int, code: str) -> None:
    async with client_of(create_app(Settings(cache_dir=tmp_path))) as client:
        answer = await client.get(f"/v1/logs/stream?source=engine{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["param"] == "model"


async def test_the_pool_is_asked_in_the_event_loop_which_its_state_belongs_to() -> None:
    asked_in: list[threading.Thread] = []

    class Pool(FakePool):
        def engine_log(self, name: str, tail: int) -> AsyncGenerator[list[str], None]:
            asked_in.append(threading.current_thread())
            return super().engine_log(name, tail)

    async with client_of(scripted_app(scripted_services(pool=Pool()))) as client:
        answer = await client.get("/v1/logs/stream?source=engine&model=tiny")
    assert "tiny says this" in answer.text
    assert asked_in == [threading.current_thread()]


def test_lost_lines_are_told_before_those_that_are_left() -> None:
    written = LogWriter().write(Batch([{"message": "é\ud800\n"}], dropped=3))
    dropped, line, rest = written.split(b"\n\n")
    assert dropped == b'event: dropped\ndata: {"dropped":3}'
    assert json.loads(line.removeprefix(b"data: ")) == {"message": "é\ud800\n"}
    assert rest == b""


def test_comments_and_errors_are_spelt_as_server_sent_events() -> None:
    writer = LogWriter()
    assert writer.write(Batch([])) == writer.keep_alive() == b": nothing new\n\n"
    assert b'"code":"shutting_down"' in writer.fail(ShuttingDown("stop"))
    assert writer.end() == b""
