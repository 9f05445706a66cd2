"""Turns that play a script, and an app around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from lemonade_like.api.services import Services
from lemonade_like.app import create_app
from lemonade_like.errors import ModelNotFound
from lemonade_like.models.registry import Model
from lemonade_like.observe.stats import Statistics
from lemonade_like.pool.resident import LoadedModel
from lemonade_like.settings import Settings
from lemonade_like.turns.events import ContentDelta, Event, Finish, Usage
from lemonade_like.turns.request import TurnRequest

#: One step of a turn: a batch to yield, an error to raise, or something to wait for.
Step = list[Event] | BaseException | asyncio.Event

HELLO: list[Step] = [[ContentDelta("Hel")], [ContentDelta("lo"), Finish("stop", Usage(3, 2))]]


class ScriptedTurns:
    """Plays the same script for each turn; remembers what was asked and how many turns have ended, whichever way."""

    def __init__(self, script: Iterable[Step] = HELLO) -> None:
        self.script = list(script)
        self.requests: list[TurnRequest] = []
        self.waiting = asyncio.Event()
        self.closed = asyncio.Event()
        self.cancelled = 0

    async def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        self.requests.append(request)
        try:
            for step in self.script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    self.waiting.set()
                    await step.wait()
                else:
                    yield step
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.closed.set()


class FakePool:
    def __init__(self, loaded: Iterable[LoadedModel] = (), loading: Iterable[str] = ()) -> None:
        self._loaded = list(loaded)
        self._loading = list(loading)

    def loaded(self) -> list[LoadedModel]:
        return self._loaded

    def loading(self) -> list[str]:
        return self._loading


class FakeCatalogue:
    def __init__(self, *models: Model) -> None:
        self._models = models

    def models(self) -> list[Model]:
        return list(self._models)

    def find(self, name: str) -> Model:
        for model in self._models:
            if model.name == name:
                return model
        raise ModelNotFound(f"There is no model called {name!r} here.", param="model")


MODELS = (
    Model("tiny", bundled=True, labels=frozenset({"gpt-oss", "reasoning"})),
    Model("org/local", path=Path("/models/local.gguf"), checkpoint="org/repo:Q4_0"),
    Model("far-away", checkpoint="org/far:Q4_0"),
)


def scripted_services(turns: ScriptedTurns | None = None, pool: FakePool | None = None) -> Services:
    return Services(
        turns=turns or ScriptedTurns(),
        pool=pool or FakePool(),
        catalogue=FakeCatalogue(*MODELS),
        statistics=Statistics(),
        version="1.2.3",
        started_at=1_700_000_000.5,
    )


def scripted_app(services: Services | None = None, **settings: object) -> FastAPI:
    @asynccontextmanager
    async def open_services(_: Settings) -> AsyncIterator[Services]:
        yield services or scripted_services()

    return create_app(Settings(**settings), open_services)


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the app without a network. It gets an answer only when it is whole."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client,
    ):
        yield client
