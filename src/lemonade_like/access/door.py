"""What is asked of every request before its key is looked at: the size of its head, its host, and its origin."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from lemonade_like.access.addresses import is_own_address
from lemonade_like.access.refusals import turn_away
from lemonade_like.errors import BadRequest, Forbidden, ServerError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lemonade_like.access.addresses import Hosts
    from lemonade_like.access.origins import Origins
    from lemonade_like.access.refusals import Refuse

#: Of the request's address and all its headers. Cookies of other servers on this machine, and tokens, have room in it.
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100

#: The statuses of what is said to those who are turned away, whatever they ask for.
REFUSALS: Final = frozenset({400, 403, 431})

_REMEMBERED: Final = 256


class HeadTooLarge(ServerError):
    """The request's headers are more, or larger, than anybody needs."""

    status = 431
    type = "invalid_request_error"
    default_code = "headers_too_large"


class FrontDoor:
    """ASGI middleware that turns away what no client of good faith sends.

    ``only_for_itself`` has it take requests only on addresses that no other machine can reach. ``refuse`` answers with
    an error in the wire format of the server.
    """

    def __init__(self, app: ASGIApp, *, hosts: Hosts, origins: Origins, only_for_itself: bool, refuse: Refuse) -> None:
        self._app = app
        self._origins = origins
        self._only_for_itself = only_for_itself
        self._refuse = refuse
        # Nearly all requests are for one or two hosts.
        self._allows_host = lru_cache(_REMEMBERED)(hosts.allow)
        self._is_own_address = lru_cache(_REMEMBERED)(is_own_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] in ("http", "websocket") and (error := self._refusal(scope)) is not None:
            await turn_away(error, self._refuse, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServerError | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        hosts: list[str] = []
        origin: str | None = None
        for name, value in headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts.append(value.decode("latin-1").strip())
            elif name == b"origin":
                origin = value.decode("latin-1").strip()
        if size > MAX_HEAD_BYTES or len(headers) > MAX_HEADERS:
            return HeadTooLarge(
                f"The request has {len(headers)} headers, and {size:,} bytes of them with its address. "
                f"{MAX_HEADERS} headers and {MAX_HEAD_BYTES:,} bytes are as much as this server takes."
            )
        server = scope.get("server")
        if self._only_for_itself and server is not None and not self._is_own_address(server[0]):
            return Forbidden(
                "This server has no API key, so it serves nobody but its own machine. Start it with a key "
                "(LEMONADE_LIKE_API_KEY), or with --insecure if everybody who can reach it may use it.",
                code="api_key_not_set",
            )
        if len(hosts) > 1:
            return BadRequest("The request has more than one Host header.", code="invalid_host")
        # Only HTTP/1.0 may leave it out, which no browser speaks.
        host = hosts[0] if hosts else ""
        if not self._allows_host(host):
            return Forbidden(
                f"This server is not called {host[:100]!r}. If it is meant to be, start it with --allowed-host NAME "
                "(allowed_hosts, LEMONADE_LIKE_ALLOWED_HOSTS).",
                code="host_not_allowed",
            )
        if origin is not None and not self._origins.allow(origin, host):
            return Forbidden(
                f"Web pages of {origin[:100]!r} may not use this server. If they are meant to, start it with "
                "--cors-origin ORIGIN (cors_origins, LEMONADE_LIKE_CORS_ORIGINS).",
                code="origin_not_allowed",
            )
        return None
