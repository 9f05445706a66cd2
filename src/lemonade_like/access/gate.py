"""Lets a request through if its key opens the endpoint that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.access.levels import Level, level_of
from lemonade_like.access.refusals import turn_away
from lemonade_like.errors import Forbidden, ServerError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from lemonade_like.access.keys import Caller, Keyring
    from lemonade_like.access.refusals import Refuse

_HOW = "Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."


class KeyGate:
    """ASGI middleware that lets a request through if its key opens the endpoint that it is for.

    It leaves in the request's state whether it may know what the server does (``trusted``) and whose it is (``owner``),
    and in its line of the log whose key it was. ``refuse`` answers with an error in the wire format of the server.
    ``leads_somewhere`` tells whether there is an endpoint for a request at all: a user who has mistyped a path shall be
    told so, and not that admins may have it.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Keyring, refuse: Refuse, leads_somewhere: Callable[[Scope], bool] = lambda _: True
    ) -> None:
        self._app = app
        self._keys = keys
        self._refuse = refuse
        self._leads_somewhere = leads_somewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] not in ("http", "websocket") or not self._keys:
            await self._app(scope, receive, send)
            return
        offered = list(_offered_keys(scope))
        caller = self._keys.caller(offered)
        state = scope.setdefault("state", {})
        state["trusted"] = caller.level >= Level.USER
        state["owner"] = caller.owner
        if caller.label:
            state.setdefault("facts", {})["key"] = caller.label
        needed = level_of(scope.get("method", scope["type"]), scope["path"])
        if needed <= caller.level or (caller.level is Level.USER and not self._leads_somewhere(scope)):
            await self._app(scope, receive, send)
        else:
            await turn_away(self._refusal(needed, caller, bool(offered)), self._refuse, scope, receive, send)

    def _refusal(self, needed: Level, caller: Caller, key_given: bool) -> ServerError:
        if needed is Level.ADMIN and caller.level is Level.USER:
            if not self._keys.has_admins:
                return Forbidden(
                    "This is for admins, and the server has no admin key. Start it with one (LEMONADE_LIKE_ADMIN_KEY, "
                    "admin_key_file or --admin-key), and send that key.",
                    code="admin_key_required",
                )
            if caller.owner:
                return Forbidden(
                    "This is for admins, and the key is that of a user. Send the admin key.", code="admin_key_required"
                )
        what = "admin key" if not self._keys.has_users else "API key"
        if key_given:
            return Unauthorized(f"The {what} is not one of this server's. {_HOW}")
        return Unauthorized(f"This server wants an {what}, and the request carries none. {_HOW}")


def _offered_keys(scope: Scope) -> Iterator[bytes]:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield key.strip()
