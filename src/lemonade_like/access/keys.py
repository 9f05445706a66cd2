"""Who gets in: the API key."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import ServerError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

#: Anybody may ask these. They tell nothing that needs protection: ``/health`` says only whether the server is well
#: to somebody without a key (see ``is_trusted``).
_OPEN_PATHS: Final = frozenset(
    {"/"} | {f"{prefix}/{probe}" for prefix in ("", "/v1", "/api/v1") for probe in ("live", "health")}
)


class ApiKeys:
    """The keys that open the server; none at all means that it is open to everybody."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = tuple(key.encode() for key in keys if key)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def refusals(self, method: str, path: str) -> frozenset[int]:
        """Return the statuses with which a request for that endpoint may be refused for want of a key."""
        return frozenset({401}) if self and path not in _OPEN_PATHS else frozenset()

    def match(self, offered: Iterable[bytes]) -> bytes | None:
        """Return the right one of the keys offered, in a time that does not depend on how nearly the others are."""
        right = None
        for candidate in offered:
            for key in self._keys:
                if hmac.compare_digest(candidate, key):
                    right = key
        return right


class KeyGate:
    """ASGI middleware that lets a request through if it carries a key, as ``Authorization: Bearer`` or ``x-api-key``.

    Everything is closed except a few paths that are named here, so that a new endpoint is closed unless somebody
    decides otherwise. ``refuse`` answers with the error in the wire format of the server.
    """

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, refuse: Callable[[ServerError], ASGIApp]) -> None:
        self._app = app
        self._keys = keys
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] not in ("http", "websocket") or not self._keys:
            await self._app(scope, receive, send)
            return
        offered = list(_offered_keys(scope))
        key = self._keys.match(offered)
        # Tells clients apart without telling their keys.
        owner = hashlib.sha256(key).hexdigest()[:16] if key is not None else ""
        scope.setdefault("state", {}).update(trusted=key is not None, owner=owner)
        if key is not None or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        await self._refuse(_refusal(bool(offered)))(scope, receive, send)


def _refusal(key_given: bool) -> Unauthorized:
    how = "Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."
    if key_given:
        return Unauthorized(f"The API key is not one of this server's. {how}")
    return Unauthorized(f"This server wants an API key, and the request carries none. {how}")


def _offered_keys(scope: Scope) -> Iterator[bytes]:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield key.strip()
