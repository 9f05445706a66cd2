"""``lemonade-like serve``: takes the port, runs the app under uvicorn, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import typer
import uvicorn

from lemonade_like.access.addresses import require_protection
from lemonade_like.access.keys import Keyring
from lemonade_like.access.protocol import BoundedHttpProtocol
from lemonade_like.app import create_app, open_services
from lemonade_like.cli.listening import listen, port_of, url_of
from lemonade_like.engine.find import find_engine
from lemonade_like.engine.options import check_arguments
from lemonade_like.models.registry import Registry
from lemonade_like.observe.logging import setup_logging

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from types import FrameType

    from lemonade_like.api.services import Services
    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.observe.observation import Observation
    from lemonade_like.settings import Settings

_logger = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 1
"""For connections to be told why they end, once nothing more is waited for."""


def run_server(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C. Raises :class:`~lemonade_like.errors.ServerError` if it cannot start."""
    setup_logging(settings.log_level, log_format=settings.log_format)
    warn_of_prompts(settings)
    check_arguments(settings)
    keys = Keyring.from_settings(settings)
    require_protection(settings, protected=keys.has_users)
    warn_of_pages(settings, protected=bool(keys))
    _exit_cleanly_on_signals()
    engine = find_engine(settings.llama_server, settings.backend, installed_dir=settings.backends_dir)
    registry = Registry.from_settings(settings)
    # What the banner names is what is used.
    app = create_app(settings, partial(open_services, registry=registry, engine=engine), keys)
    with listen(settings.host, settings.port) as sockets:
        config = uvicorn.Config(
            app,
            # Our own log lines have the request's id, its time and what it cost.
            log_config=None,
            access_log=False,
            server_header=False,
            http=BoundedHttpProtocol,
            # Whoever sends X-Forwarded-For is believed by nobody here.
            proxy_headers=False,
            # No route speaks WebSocket, and its library costs memory.
            ws="none",
            timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        )
        ready = banner(settings, port_of(sockets[0]), registry.chosen, engine, _chats(registry))

        async def drain() -> None:
            services: Services = app.state.services
            observation: Observation = app.state.observation
            # Whoever follows a download or an install would hold up the rest for as long as that takes.
            try:
                await asyncio.gather(services.manager.close(), services.engines.close(), services.pool.drain())
            finally:
                # Whoever reads the log has now seen the answers end, and would hold up the rest, too.
                observation.logs.end()

        _Server(config, ready, drain, settings.drain_timeout).run(sockets=sockets)


def warn_of_prompts(settings: Settings) -> None:
    """Says what comes of ``log_prompts``, where it is on."""
    if not settings.log_prompts:
        return
    if settings.log_level == "debug":
        _logger.warning("log_prompts is on: all that models are asked and answer is logged, for whoever reads the log")
    else:
        _logger.warning("log_prompts is on, but nothing comes of it: prompts are logged at --log-level debug only")


def warn_of_pages(settings: Settings, *, protected: bool) -> None:
    """Says what comes of letting in all web pages where there is no key (``protected``) that they would need."""
    if "*" in settings.cors_origins and not protected:
        _logger.warning(
            "cors_origins is * and there is no key: any web page in a browser that can reach this server may use it, "
            "and load and delete models"
        )


def _chats(registry: Registry) -> str | None:
    """The first of the chosen models that chats."""
    models = (registry.find(name) for name in registry.chosen)
    return next((model.name for model in models if registry.describe(model).mode == "chat"), None)


def banner(settings: Settings, port: int, names: Sequence[str], engine: FoundEngine, chats: str | None) -> str:
    """What is printed when the server is ready: where it is, what it serves and on what, and a line to try; ``chats``
    is a model to ask, if there is one."""
    url = url_of(settings.host, port)
    key = " -H 'Authorization: Bearer YOUR_KEY'" if settings.api_key or settings.api_key_file else ""
    body = f'{{"model":"{chats}","messages":[{{"role":"user","content":"What is 2+2?"}}]}}'
    chat = f"{url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'"
    return "\n".join(
        [
            f"lemonade-like is ready at {url}/v1 (Ctrl-C stops it)",
            f"  models  {', '.join(names)}",
            f"  engine  {engine.backend}" + (f" ({engine.command[0]})" if engine.source != "bundled" else ""),
            f"  try     curl {chat if chats else f'{url}/v1/models{key}'}",
        ]
    )


class _Server(uvicorn.Server):
    """Says so when it is ready. Told to stop, it drains first; told again, it does not wait any longer.

    While it drains it still takes connections, so that clients and whoever watches the server learn what it does.
    """

    def __init__(
        self, config: uvicorn.Config, ready: str, drain: Callable[[], Awaitable[None]], drain_timeout: float
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain_all = drain
        self._drain_timeout = drain_timeout
        self._told_to_stop = False
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            typer.echo(self._ready)
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Called between any two instructions: the event loop does the work at its next tick.
        if self._told_to_stop:
            super().handle_exit(sig, frame)
        self._told_to_stop = True

    async def on_tick(self, counter: int) -> bool:
        if self._told_to_stop and self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return await super().on_tick(counter)

    async def _drain(self) -> None:
        _logger.info(
            "stopping: running answers have %g s to finish; a second signal ends them at once", self._drain_timeout
        )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain_all(), self._drain_timeout)
        self.should_exit = True


def _exit_cleanly_on_signals() -> None:
    """Has SIGTERM and Ctrl-C end the process with 0, while it starts and after it has stopped.

    While it serves, uvicorn's own handlers stop it in order; then it raises the signal once more, for these.
    """
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda _signal, _frame: sys.exit(0))
