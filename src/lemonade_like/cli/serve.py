"""``lemonade-like serve``: takes the port, runs the app under uvicorn, and stops cleanly."""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import typer
import uvicorn

from lemonade_like.app import create_app, open_services
from lemonade_like.cli.listening import listen, port_of, url_of
from lemonade_like.engine.find import find_engine
from lemonade_like.engine.options import check_arguments
from lemonade_like.models.registry import Registry
from lemonade_like.observe.logging import setup_logging

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.settings import Settings

_SHUTDOWN_GRACE = 5
"""Seconds that running answers have to finish after a stop signal. Docker kills after ten, and engines need some."""


def run_server(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C. Raises :class:`~lemonade_like.errors.ServerError` if it cannot start."""
    setup_logging(settings.log_level)
    check_arguments(settings)
    _exit_cleanly_on_signals()
    engine = find_engine(settings.llama_server, settings.backend, installed_dir=settings.backends_dir)
    registry = Registry.from_settings(settings)
    with listen(settings.host, settings.port) as sockets:
        config = uvicorn.Config(
            # What the banner names is what is used.
            create_app(settings, partial(open_services, registry=registry, engine=engine)),
            # Our own log lines have the request's id, its time and what it cost.
            log_config=None,
            access_log=False,
            server_header=False,
            # No route speaks WebSocket, and its library costs memory.
            ws="none",
            timeout_graceful_shutdown=_SHUTDOWN_GRACE,
        )
        _Server(config, banner(settings, port_of(sockets[0]), registry.chosen, engine)).run(sockets=sockets)


def banner(settings: Settings, port: int, names: Sequence[str], engine: FoundEngine) -> str:
    """What is printed when the server is ready: where it is, what it serves and on what, and a line to try."""
    url = url_of(settings.host, port)
    key = " -H 'Authorization: Bearer YOUR_KEY'" if settings.api_key else ""
    body = f'{{"model":"{names[0]}","messages":[{{"role":"user","content":"What is 2+2?"}}]}}'
    return "\n".join(
        [
            f"lemonade-like is ready at {url}/v1 (Ctrl-C stops it)",
            f"  models  {', '.join(names)}",
            f"  engine  {engine.backend}" + (f" ({engine.command[0]})" if engine.source != "bundled" else ""),
            f"  try     curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'",
        ]
    )


class _Server(uvicorn.Server):
    """Says so when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            typer.echo(self._ready)
            sys.stdout.flush()


def _exit_cleanly_on_signals() -> None:
    """Has SIGTERM and Ctrl-C end the process with 0, while it starts and after it has stopped.

    While it serves, uvicorn's own handlers stop it in order; then it raises the signal once more, for these.
    """
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda _signal, _frame: sys.exit(0))
