"""``create_app``: joins the rooms into one application, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import aiohttp
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from lemonade_like.access.addresses import Hosts
from lemonade_like.access.door import REFUSALS, FrontDoor
from lemonade_like.access.gate import KeyGate
from lemonade_like.access.keys import Keyring
from lemonade_like.access.origins import Origins
from lemonade_like.api.description import INFO
from lemonade_like.api.docs_page import install_docs_page
from lemonade_like.api.errors import UnexpectedErrors, error_response, install_error_handlers
from lemonade_like.api.limits import BodyLimits
from lemonade_like.api.openapi import install_description, operation_id
from lemonade_like.api.routes import endpoints, install_routes, methods_of
from lemonade_like.api.services import Services
from lemonade_like.engine.backends.manager import EngineManager
from lemonade_like.engine.backends.report import Reporter
from lemonade_like.engine.backends.states import Engines
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.management import ModelManager
from lemonade_like.models.pulling import Pulls
from lemonade_like.models.registry import Registry
from lemonade_like.models.vocabulary import vocabulary_dir
from lemonade_like.observe.observation import Observation
from lemonade_like.observe.recorder import Recorder
from lemonade_like.observe.requests import RequestLog
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader
from lemonade_like.pool.pool import Pool
from lemonade_like.store.recordings import RecordingLimits, Recordings
from lemonade_like.store.responses import ResponseStore, StoreLimits
from lemonade_like.tools.toolbox import open_toolbox
from lemonade_like.turns.formats import HarmonyFormats
from lemonade_like.turns.service import TurnOptions, Turns
from lemonade_like.turns.tool_loop import LoopLimits, ToolLoop
from lemonade_like.vectors.service import Vectors

if TYPE_CHECKING:
    from starlette.types import Scope

    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.settings import Settings


_logger = logging.getLogger(__name__)


OpenServices = Callable[["Settings", Observation], AbstractAsyncContextManager[Services]]


@asynccontextmanager
async def open_services(
    settings: Settings,
    observation: Observation,
    *,
    registry: Registry | None = None,
    engine: FoundEngine | None = None,
    hub: HubPlace | None = None,
) -> AsyncIterator[Services]:
    """Open what the endpoints need, watched by ``observation``, and stop every engine at the end.

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
        pool = Pool(
            registry,
            Loader(registry, settings, session, formats, engine),
            PoolLimits.from_settings(settings),
            report=observation.metrics.engine,
        )
        found = Engines(settings.llama_server, settings.backend, settings.backends_dir)
        reporter = Reporter(found, hub.folder)
        engines = EngineManager(settings.backends_dir, settings.releases_url, reporter.forget)
        recordings = _recordings(settings)
        recorder = None if recordings is None else Recorder(recordings, version("lemonade-like"))
        responses = ResponseStore(settings.data_dir / "responses.sqlite3", _store_limits(settings))
        turns = observation.of(Turns(pool, _turn_options(settings), recorder), pool.known_name)
        toolbox = open_toolbox(settings.tool_servers, settings.log_dir)
        services = Services(
            turns=ToolLoop(turns, toolbox, _loop_limits(settings), pool.answer),
            texts=turns,
            vectors=observation.of_vectors(Vectors(pool), pool.known_name),
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
            statistics=observation.statistics,
            responses=responses,
            tools=toolbox,
            stop=cache(partial(signal.raise_signal, signal.SIGTERM)),
            limits=BodyLimits(settings.max_body_mb << 20, settings.max_messages),
            version=version("lemonade-like"),
            started_at=time.time(),
            keep_alive_seconds=settings.keep_alive,
        )
        try:
            yield services
        finally:
            # A tool server that does not end by itself holds up neither an engine nor what is still to be written.
            tools_closed = asyncio.create_task(toolbox.close())
            try:
                await engines.close()
                await services.manager.close()
                await pool.close()
            finally:
                responses.close()
                if recordings is not None:
                    await asyncio.to_thread(recordings.close)
                await tools_closed


def _turn_options(settings: Settings) -> TurnOptions:
    day = settings.current_date
    return TurnOptions(
        default_effort=settings.reasoning_level,
        reasoning_format=settings.reasoning_format,
        reasoning_memory_bytes=_memory_bytes(settings),
        model_identity=settings.model_identity,
        knowledge_cutoff=settings.knowledge_cutoff,
        log_prompts=settings.log_prompts,
        today=(lambda: date.fromisoformat(day)) if day else date.today,
    )


def _recordings(settings: Settings) -> Recordings | None:
    if settings.record_turns is None:
        return None
    _logger.info("Every turn is recorded in %s, prompts and answers included.", settings.record_turns)
    limits = RecordingLimits(max_bytes=settings.record_max_mb * 1_000_000, max_files=settings.record_files)
    return Recordings(settings.record_turns, limits)


def _loop_limits(settings: Settings) -> LoopLimits:
    return LoopLimits(
        rounds=settings.max_tool_rounds,
        result_characters=settings.tool_result_limit,
        memory_bytes=_memory_bytes(settings),
    )


def _memory_bytes(settings: Settings) -> int:
    """What each of the two memories may take: of reasoning, and of the tools that the server ran, if it has any."""
    megabytes = settings.reasoning_memory * 1_000_000
    return megabytes // 2 if settings.tool_servers else megabytes


def _store_limits(settings: Settings) -> StoreLimits:
    return StoreLimits(
        max_bytes=settings.response_store * 1_000_000,
        max_count=settings.response_store_count,
        max_age=settings.response_store_days * 86_400.0,
    )


def create_app(settings: Settings, open_services: OpenServices = open_services, keys: Keyring | None = None) -> FastAPI:
    """Return the application. Nothing is opened before it starts, and no engine before the first request for it.

    ``keys`` are those that the settings ask for, where the caller has looked them up already.

    Raises:
        SettingsError: a file of keys cannot be read, or has no key in it; or there shall be traces that cannot be had.
    """
    observation = Observation.from_settings(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        observation.open()
        try:
            async with open_services(settings, observation) as services:
                app.state.services = services
                yield
        finally:
            await observation.close()

    app = FastAPI(
        **INFO,
        version=version("lemonade-like"),
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.state.observation = observation
    install_error_handlers(app, [path for path, _ in endpoints()], methods_of)
    keys = keys or Keyring.from_settings(settings)
    install_description(app, lambda method, path: keys.refusals(method, path) | REFUSALS)
    install_routes(app)
    install_docs_page(app)
    _guard(app, settings, keys)
    if observation.tracing is not None:
        app.add_middleware(observation.tracing.around)
    app.add_middleware(RequestLog, count=observation.metrics.request)
    return app


def _guard(app: FastAPI, settings: Settings, keys: Keyring) -> None:
    """Have every request checked. The last one added is the outermost, and sees it first."""

    def leads_somewhere(scope: Scope) -> bool:
        return any(route.matches(dict(scope))[0] is Match.FULL for route in app.routes)

    app.add_middleware(KeyGate, keys=keys, refuse=error_response, leads_somewhere=leads_somewhere)
    app.add_middleware(UnexpectedErrors)
    if settings.cors_origins:
        # Outside of the keys: a browser asks whether it may send one without it, and is to read why it was refused.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=("x-request-id", "request-id", "retry-after"),
        )
    app.add_middleware(
        FrontDoor,
        hosts=Hosts.from_settings(settings),
        origins=Origins(settings.cors_origins),
        only_for_itself=not (keys.has_users or settings.insecure),
        refuse=error_response,
    )
