"""Turns that play a script, and an app around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from lemonade_like.api.services import EngineInstaller, Services, SystemReporter
from lemonade_like.app import create_app
from lemonade_like.engine.backends.manager import InstallStep
from lemonade_like.engine.backends.report import SystemReport
from lemonade_like.errors import ModelNotFound
from lemonade_like.models.describe import Description, describe
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.management import ModelManager
from lemonade_like.models.model import Model, ModelEntry, ModelOptions
from lemonade_like.models.pulling import Pulls
from lemonade_like.observe.observation import Observation
from lemonade_like.observe.stats import Statistics
from lemonade_like.pool.inspection import Inspected
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.pool import LoadReport
from lemonade_like.pool.status import ModelStatus
from lemonade_like.settings import Settings
from lemonade_like.store.responses import ResponseStore
from lemonade_like.tools.toolbox import Toolbox
from lemonade_like.turns.events import ContentDelta, Event, Finish, Usage
from lemonade_like.turns.request import CompletionRequest, TurnRequest
from lemonade_like.turns.tokens import TokenizeRequest
from lemonade_like.vectors.request import Embeddings, EmbeddingsRequest, Ranking, RerankRequest
from tests.support.described import CheckedTransport, Described

#: One step of a turn: a batch to yield, an error to raise, or something to wait for.
Step = list[Event] | BaseException | asyncio.Event

HELLO: list[Step] = [[ContentDelta("Hel")], [ContentDelta("lo"), Finish("stop", Usage(3, 2))]]


class ScriptedTurns:
    """Plays the same script for each turn; remembers what was asked and how many turns have ended, whichever way."""

    def __init__(self, script: Iterable[Step] = HELLO) -> None:
        self.script = list(script)
        self.requests: list[TurnRequest] = []
        self.completions: list[CompletionRequest] = []
        self.tokenized: list[TokenizeRequest] = []
        self.waiting = asyncio.Event()
        self.closed = asyncio.Event()
        self.cancelled = 0
        self.playing = 0

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        self.requests.append(request)
        return self._play()

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        self.completions.append(request)
        return self._play()

    async def tokenize(self, request: TokenizeRequest) -> list[Any]:
        self.tokenized.append(request)
        return [{"id": 7, "piece": [240]}] if request.with_pieces else [7]

    async def detokenize(self, model: str, ids: Sequence[int], client: str = "") -> str:
        return f"{model}: {list(ids)}"

    async def _play(self) -> AsyncGenerator[list[Event], None]:
        self.playing += 1
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
            self.playing -= 1
            self.closed.set()


class FakePool:
    """Says of its models what it was told to say, and remembers what it was asked to load and unload."""

    def __init__(self, *models: ModelStatus, report: LoadReport | BaseException | None = None) -> None:
        self.models = list(models)
        self.report = report
        self.loads: list[tuple[str, LoadOptions | None, bool | None]] = []
        self.unloads: list[str | None] = []
        self.draining = False

    async def drain(self) -> None:
        self.draining = True

    async def status(self) -> list[ModelStatus]:
        return self.models

    async def load(self, name: str, options: LoadOptions | None = None, *, pinned: bool | None = None) -> LoadReport:
        self.loads.append((name, options, pinned))
        if isinstance(self.report, BaseException):
            raise self.report
        assert self.report is not None
        return self.report

    async def inspect(self, what: Inspected, name: str | None = None) -> bytes:
        if what == "slots":
            return orjson.dumps([{"id": 0, "is_processing": False, "model": name}])
        return orjson.dumps({"total_slots": 1, "default_generation_settings": {}, "model": name})

    async def engine_log(self, name: str, tail: int) -> AsyncGenerator[list[str], None]:
        yield [f"{name} says this"][:tail]

    async def unload(self, name: str | None = None) -> list[str]:
        self.unloads.append(name)
        return [model.name for model in self.models if name in (None, model.name)]


class FakeCatalogue:
    def __init__(self, *models: Model) -> None:
        self._models = models
        self.saved: dict[str, ModelOptions] = {}

    def models(self) -> list[Model]:
        return list(self._models)

    def find(self, name: str) -> Model:
        for model in self._models:
            if model.name == name:
                return model
        raise ModelNotFound(f"There is no model called {name!r} here.", param="model")

    def to_pull(self, name: str) -> Model:
        return self.find(name)

    def describe(self, model: Model) -> Description:
        return describe(model, model.path)

    def register(self, name: str, entry: ModelEntry) -> Model:
        raise AssertionError(f"{name} was registered")

    def forget(self, name: str) -> None:
        raise AssertionError(f"{name} was forgotten")

    def changed(self, name: str) -> None:
        raise AssertionError(f"{name} has changed")

    def save_options(self, name: str, options: ModelOptions) -> None:
        self.saved[name] = options


MODELS = (
    Model("tiny", bundled=True, labels=frozenset({"gpt-oss", "reasoning"})),
    Model("org/local", path=Path("/models/local.gguf"), checkpoint="org/repo:Q4_0"),
    Model("far-away", checkpoint="org/far:Q4_0"),
)


class NoEngines:
    def install(
        self, backend: str, version: str | None = None, *, force: bool = False
    ) -> AsyncGenerator[InstallStep, None]:
        raise AssertionError("nobody installs an engine")

    async def uninstall(self, backend: str) -> None:
        raise AssertionError("nobody removes an engine")


class NoVectors:
    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        raise AssertionError("nobody embeds")

    async def rerank(self, request: RerankRequest) -> Ranking:
        raise AssertionError("nobody reranks")


class NoSystem:
    async def report(self) -> SystemReport:
        raise AssertionError("nobody asks for the machine")


def scripted_services(
    turns: ScriptedTurns | None = None,
    pool: FakePool | None = None,
    system: SystemReporter | None = None,
    engines: EngineInstaller | None = None,
    responses: ResponseStore | None = None,
    stop: Callable[[], None] = lambda: None,
    keep_alive_seconds: float = 5.0,
) -> Services:
    catalogue = FakeCatalogue(*MODELS)
    # No hub is there.
    place = HubPlace("http://127.0.0.1:9", Path("/nowhere"))
    turns = turns or ScriptedTurns()
    return Services(
        turns=turns,
        texts=turns,
        vectors=NoVectors(),
        pool=pool or FakePool(),
        catalogue=catalogue,
        system=system or NoSystem(),
        engines=engines or NoEngines(),
        manager=ModelManager(catalogue, Pulls(place), place, in_use=lambda _: False),
        statistics=Statistics(),
        responses=responses or ResponseStore(None),
        stop=stop,
        tools=Toolbox({}),
        version="1.2.3",
        started_at=1_700_000_000.5,
        keep_alive_seconds=keep_alive_seconds,
    )


def scripted_app(services: Services | None = None, **settings: object) -> FastAPI:
    @asynccontextmanager
    async def open_services(_: Settings, __: Observation) -> AsyncIterator[Services]:
        yield services or scripted_services()

    app = create_app(Settings(**settings), open_services)
    app.state.settings = repr(sorted(settings.items()))
    return app


#: By the settings of their apps: to write one takes long enough to be noticed over a thousand tests.
_DESCRIBED: dict[str, Described] = {}


def described(app: FastAPI) -> Described:
    """What an app says of its answers."""
    settings: str | None = getattr(app.state, "settings", None)
    if settings is None:
        return Described(app.openapi())
    if settings not in _DESCRIBED:
        _DESCRIBED[settings] = Described(app.openapi())
    return _DESCRIBED[settings]


@asynccontextmanager
async def client_of(
    app: FastAPI, base_url: str = "http://server", headers: Mapping[str, bytes] | None = None, *, checked: bool = True
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the app without a network. It gets an answer only when it is whole, and, where it is
    ``checked``, as it is described."""
    transport = CheckedTransport(app, described(app)) if checked else httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client,
    ):
        yield client
