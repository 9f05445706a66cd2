"""Engines that die at a place of their stream, and a server in the test's own loop to watch them do it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest

from lemonade_like.app import create_app, open_services
from lemonade_like.engine.client import EngineClient, EngineConnectionLost
from lemonade_like.observe.observation import Observation
from lemonade_like.settings import Settings
from tests.support.answers import Answer, Collector, whole
from tests.support.processes import wait_until_gone
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from lemonade_like.api.services import Services
    from lemonade_like.engine.client import Frame

#: Is given what has come, as text with control tokens spelled out and as a count of tokens; says whether to kill now.
Place = Callable[[str, int], bool]


def after(text: str) -> Place:
    """Behind the first such text."""
    return lambda written, _: text in written


def at_token(number: int) -> Place:
    """Behind that token, or the next one whose id and text come."""
    return lambda _, count: count >= number


class Reaper:
    """Kills the engine with SIGKILL as soon as a turn has read so far, one place for each attempt at it.

    What the engine had written beyond that place is lost with it, so that a crash is at the same token each time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pids: Callable[[], list[int]]) -> None:
        self.places: list[Place] = []
        self.kills = 0
        #: Whether the next turn loses its engine when that has only said how far it is with the prompt.
        self.during_prefill = False
        self._pids = pids
        # Each crash here is meant: none is a loop to be slowed down.
        monkeypatch.setattr("lemonade_like.pool.state.back_off", lambda _failures: 0.0)
        self._stream = EngineClient._stream
        reaper = self

        def stream(client: EngineClient, *arguments: Any) -> AsyncGenerator[list[Frame], None]:
            return reaper._reaped(client, *arguments)

        monkeypatch.setattr(EngineClient, "_stream", stream)

    async def _reaped(self, client: EngineClient, *arguments: Any) -> AsyncGenerator[list[Frame], None]:
        place = self.places.pop(0) if self.places else None
        written = ""
        async with aclosing(self._stream(client, *arguments)) as batches:
            async for frames in batches:
                if self.during_prefill:
                    assert "prompt_progress" in frames[0], "the engine was too fast"
                    self.during_prefill = False
                    yield frames[:1]
                    self.kill()
                    raise EngineConnectionLost("It was killed.")
                if place is None:
                    yield frames
                    continue
                for count, frame in enumerate(frames, 1):
                    written += _text_of(frame)
                    if "prompt_progress" in frame or not place(written, frame.get("tokens_predicted", len(written))):
                        continue
                    yield frames[:count]
                    self.kill()
                    raise EngineConnectionLost("It was killed.")
                yield frames
        assert place is None, f"the turn was over before the engine was to be killed: {written}"

    def kill(self) -> None:
        """Kill all engines, and return when they are gone."""
        self.kills += 1
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)
            assert wait_until_gone(pid)


def _text_of(frame: Frame) -> str:
    if "content" in frame:
        return str(frame["content"])
    return "".join(choice.get("delta", {}).get("content") or "" for choice in frame.get("choices", ()))


@dataclass
class FaultyServer:
    """A server whose engines can be killed, and the real SDK as its client."""

    url: str
    client: openai.AsyncOpenAI
    services: Services
    reaper: Reaper

    async def ask(self, *, stream: bool, **request: Any) -> Answer:
        """Ask at temperature 0."""
        request = {"model": "tiny-gpt-oss", "temperature": 0, **request}
        if not stream:
            return whole(await self.client.chat.completions.create(**request))
        collector = Collector()
        chunks = await self.client.chat.completions.create(
            **request, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            collector.add(chunk)
        return collector.answer

    def pids(self) -> list[int]:
        """The engines that run."""
        return [model.pid for model in self.services.pool.loaded()]


@asynccontextmanager
async def faulty_server(cache_dir: Path, **settings: Any) -> AsyncIterator[FaultyServer]:
    """A server in this process; everything is stopped at the end."""
    chosen = Settings(**{"cache_dir": cache_dir, "parallel": 2, "llamacpp_args": "--threads 1", **settings})
    opened: list[Services] = []

    @asynccontextmanager
    async def open_and_keep(settings: Settings, observation: Observation) -> AsyncIterator[Services]:
        async with open_services(settings, observation) as services:
            opened.append(services)
            yield services

    with pytest.MonkeyPatch.context() as monkeypatch:
        async with (
            serving(create_app(chosen, open_and_keep)) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ):
            services = opened[0]
            reaper = Reaper(monkeypatch, lambda: [model.pid for model in services.pool.loaded()])
            yield FaultyServer(url, client, services, reaper)
