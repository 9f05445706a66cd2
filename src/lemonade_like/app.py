"""``create_app``: joins the rooms into one application, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import aiohttp
from fastapi import FastAPI

from lemonade_like.access.keys import ApiKeys, KeyGate
from lemonade_like.api.errors import UnexpectedErrors, error_response, install_error_handlers
from lemonade_like.api.openapi import install_body_definitions
from lemonade_like.api.routes import endpoint_paths, install_routes
from lemonade_like.api.services import Services
from lemonade_like.engine.backends.manager import EngineManager
from lemonade_like.engine.backends.report import Reporter
from lemonade_like.engine.backends.states import Engines
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.management import ModelManager
from lemonade_like.models.pulling import Pulls
from lemonade_like.models.registry import Registry
from lemonade_like.models.vocabulary import vocabulary_dir
from lemonade_like.observe.recorder import Recorder
from lemonade_like.observe.requests import RequestLog
from lemonade_like.observe.stats import ObservedTurns, Statistics
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader
from lemonade_like.pool.pool import Pool
from lemonade_like.store.recordings import RecordingLimits, Recordings
from lemonade_like.store.responses import ResponseStore, StoreLimits
from lemonade_like.turns.formats import HarmonyFormats
from lemonade_like.turns.service import TurnOptions, Turns

if TYPE_CHECKING:
    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.settings import Settings


_logger = logging.getLogger(__name__)

OpenServices = Callable[["Settings"], AbstractAsyncContextManager[Services]]


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    registry: Registry | None = None,
    engine: FoundEngine | None = None,
    hub: HubPlace | None = None,
) -> AsyncIterator[Services]:
    """Open what the endpoints need, and stop every engine at the end.

    ``registry`` and ``engine`` are those that the settings ask for, where the caller has looked them up already.
    ``hub`` is another place for models to be pulled from and to.

    Raises:
        ModelNotFound: a model that the settings name is not there.
    """
    hub = hub or HubPlace()
    registry = registry or Registry.from_settings(settings, hub.cache)
    if engine and engine.source == "installed":
        # It may be updated while the server runs, and its place is another then: it is looked for at each load.
        engine = None
    # Turns run side by side without limit; an engine queues what it has no slot for.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        # A vocabulary is checked by its hash once, not each time that its model is loaded.
        formats = HarmonyFormats(cache(partial(vocabulary_dir, cache_dir=settings.cache_dir)))
        pool = Pool(registry, Loader(registry, settings, session, formats, engine), PoolLimits.from_settings(settings))
        found = Engines(settings.llama_server, settings.backend, settings.backends_dir)
        reporter = Reporter(found, hub.folder)
        engines = EngineManager(settings.backends_dir, settings.releases_url, reporter.forget)
        statistics = Statistics()
        recordings = _recordings(settings)
        recorder = None if recordings is None else Recorder(recordings, version("lemonade-like"))
        responses = ResponseStore(settings.data_dir / "responses.sqlite3", _store_limits(settings))
        services = Services(
            turns=ObservedTurns(Turns(pool, _turn_options(settings), recorder), statistics),
            pool=pool,
            catalogue=registry,
            system=reporter,
            engines=engines,
            manager=ModelManager(
                registry,
                Pulls(hub),
                hub,
                in_use=lambda name: name in pool.loading(),
                unload=pool.unload,
            ),
            statistics=statistics,
            responses=responses,
            version=version("lemonade-like"),
            started_at=time.time(),
        )
        try:
            yield services
        finally:
            await engines.close()
            await services.manager.close()
            await pool.close()
            responses.close()
            if recordings is not None:
                await asyncio.to_thread(recordings.close)


def _turn_options(settings: Settings) -> TurnOptions:
    day = settings.current_date
    return TurnOptions(
        default_effort=settings.reasoning_level,
        reasoning_format=settings.reasoning_format,
        reasoning_memory_bytes=settings.reasoning_memory * 1_000_000,
        model_identity=settings.model_identity,
        knowledge_cutoff=settings.knowledge_cutoff,
        today=(lambda: date.fromisoformat(day)) if day else date.today,
    )


def _recordings(settings: Settings) -> Recordings | None:
    if settings.record_turns is None:
        return None
    _logger.info("Every turn is recorded in %s, prompts and answers included.", settings.record_turns)
    limits = RecordingLimits(max_bytes=settings.record_max_mb * 1_000_000, max_files=settings.record_files)
    return Recordings(settings.record_turns, limits)


def _store_limits(settings: Settings) -> StoreLimits:
    return StoreLimits(
        max_bytes=settings.response_store * 1_000_000,
        max_count=settings.response_store_count,
        max_age=settings.response_store_days * 86_400.0,
    )


def create_app(settings: Settings, open_services: OpenServices = open_services) -> FastAPI:
    """Return the application. Nothing is opened before it starts, and no engine before the first request for it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="lemonade-like",
        version=version("lemonade-like"),
        summary="An OpenAI-compatible server for llama.cpp that speaks Harmony.",
        lifespan=lifespan,
    )
    install_error_handlers(app, endpoint_paths())
    install_body_definitions(app)
    install_routes(app)
    # The last one added is the outermost.
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    app.add_middleware(KeyGate, keys=ApiKeys([key]), refuse=error_response)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RequestLog)
    return app
