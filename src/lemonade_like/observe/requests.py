"""Gives each request an id and writes one log line about it. Bodies and query strings are never logged."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from lemonade_like.observe.context import endpoint_var, new_request_id, request_id_var

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Count = Callable[[str, str | None, int, float], None]

logger: Final = logging.getLogger(__name__)

#: Asked every few seconds by whatever watches the server, so they are worth a line only to somebody who debugs.
_PROBES: Final = frozenset({"health", "live", "metrics"})

#: Whatever else a client calls its method is not told by name.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: What is logged as the status where the client went away before there was one (nginx's custom).
CLIENT_CLOSED_REQUEST: Final = 499


class RequestLog:
    """ASGI middleware: the request's id and its log line.

    The id is the client's ``X-Request-ID`` if it is sane, else a new one. It is echoed in the answer's header, stands
    in the ``request_id`` context variable, and in ``scope["state"]["request_id"]``. Whatever an endpoint puts into the
    dict ``scope["state"]["facts"]`` is added to the line. ``count`` is given the method, the endpoint (see
    :func:`endpoint_of`), the status and the seconds of each request that is over.
    """

    def __init__(self, app: ASGIApp, count: Count = lambda *_: None) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = new_request_id(_header(scope, b"x-request-id"))
        facts: dict[str, Any] = {}
        state = scope.setdefault("state", {})
        state["request_id"] = current
        state["facts"] = facts
        id_header = (b"x-request-id", current.encode())
        status = CLIENT_CLOSED_REQUEST

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                nonlocal status
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        token, endpoint = request_id_var.set(current), endpoint_var.set(scope["path"])
        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - started
            self._count(scope["method"], endpoint_of(scope), status, seconds)
            _log(scope, status, seconds, facts)
            request_id_var.reset(token)
            endpoint_var.reset(endpoint)


def endpoint_of(scope: Scope) -> str | None:
    """Return the path of the request's route without the API's prefix, ``None`` if it got to no route.

    What a client can make up is not in it: parameters stand by their names.
    """
    path: str | None = getattr(scope.get("route"), "path", None)
    # Whether a route tells the prefix that its router is under differs between versions of FastAPI.
    return None if path is None else re.sub("^(/api)?/v1(?=/)", "", path)


def _log(scope: Scope, status: int, seconds: float, facts: dict[str, Any]) -> None:
    path: str = scope["path"]
    probe_is_well = status < 400 and path.rpartition("/")[2] in _PROBES
    level = logging.DEBUG if probe_is_well else logging.INFO
    if not logger.isEnabledFor(level):
        return
    # Quoted, so that a path with line breaks in it cannot forge a line of the log.
    quoted = quote(path, safe="/:@!$&+,;=~*()")
    line = f"{scope['method']} {quoted} {status} in {seconds * 1000:.1f} ms"
    if facts:
        line += "".join(f" {name}={_plain(value)}" for name, value in facts.items())
    fields = facts | {"method": scope["method"], "path": quoted, "status": status, "ms": round(seconds * 1000, 1)}
    logger.log(level, "%s", line, extra={"facts": fields})


def _plain(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text and text else repr(text)


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            decoded: str = value.decode("latin-1")
            return decoded
    return None
